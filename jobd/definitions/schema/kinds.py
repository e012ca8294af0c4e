"""The kinds of value a definition is made of: each refuses what it is not, and none converts in silence."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from jobd.core import names, spans
from jobd.core.shown import shown


class Words(BaseModel):
    """A mapping of known keys. Unknown keys and values of another type are errors, never guessed at."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """An annotation for a value that `check` reads (ValueError: why it cannot), `schema` being its JSON Schema."""

    check: Callable[[Any], Any]
    schema: dict[str, Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.check)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return dict(self.schema)


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """An annotation for a value that `change` brings into the shape of its type before that is checked."""

    change: Callable[[Any], Any]
    schema: dict[str, Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.change, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return dict(self.schema)


def _duration(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"{shown(value)} is not a duration (try 30s or 5m)")
    return spans.seconds(value)


def sized(value: Any) -> int:
    """Bytes, of a number or a word like 512KiB. Raises ValueError for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f"{shown(value)} is not a size (try 512KiB or 1GiB)")
    return spans.size(value)


def name(value: Any) -> str:
    if not isinstance(value, str) or not names.is_name(value):
        raise ValueError(
            f"{shown(value)} is not a name (1 to 128 letters, digits, '.', '_', '-'; a letter or digit first)"
        )
    return value


def whole(lowest: int, highest: int) -> Read:
    """An annotation for integers within these bounds."""

    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"{shown(value)} is not a whole number ({lowest} to {highest})")
        if not lowest <= value <= highest:
            raise ValueError(f"{value} is out of range ({lowest} to {highest})")
        return int(value)

    return Read(check, {"type": "integer", "minimum": lowest, "maximum": highest})


def duration(lowest: float) -> Read:
    """An annotation for spans of at least so many seconds."""

    def check(value: Any) -> float:
        span = _duration(value)
        if span < lowest:
            raise ValueError(f"{shown(value)} is too short (at least {spans.show_seconds(lowest)})")
        return span

    return Read(check, {"type": ["string", "number"], "description": "A duration: 90, 90s, 15m, 1h 30m, 2d."})


def number(lowest: float, highest: float) -> Read:
    """An annotation for numbers within these bounds."""

    def check(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{shown(value)} is not a number ({lowest:g} to {highest:g})")
        if not lowest <= value <= highest:
            raise ValueError(f"{value} is out of range ({lowest:g} to {highest:g})")
        return float(value)

    return Read(check, {"type": "number", "minimum": lowest, "maximum": highest})


def text_like(pattern: str, wanted: str) -> Read:
    """An annotation for texts that a regular expression accepts as a whole; `wanted` says so in words."""
    accepted = re.compile(pattern, re.ASCII)

    def check(value: Any) -> str:
        if not isinstance(value, str) or not accepted.fullmatch(value):
            raise ValueError(f"{shown(value)} is not {wanted}")
        return value

    return Read(check, {"type": "string", "pattern": f"^(?:{pattern})$"})


def one_or_list(item: dict[str, Any]) -> Prepared:
    """An annotation for a list, or a single item without the brackets; `item` is the JSON Schema of one."""

    def wrap(value: Any) -> Any:
        return value if isinstance(value, list | dict) else [value]

    return Prepared(wrap, {"anyOf": [item, {"type": "array", "items": item}]})


Duration = Annotated[
    float,
    Read(_duration, {"type": ["string", "number"], "description": "A duration: 90, 90s, 15m, 1h 30m, 2d."}),
]
Size = Annotated[
    int, Read(sized, {"type": ["string", "integer"], "description": "A size in bytes: 4096, 512KiB, 1GiB."})
]
Name = Annotated[str, Read(name, {"type": "string", "pattern": f"^{names.NAME.pattern}$"})]
ExitStatus = Annotated[int, whole(0, 255)]
ExitStatuses = Annotated[list[ExitStatus], one_or_list({"type": "integer", "minimum": 0, "maximum": 255})]
AbsolutePath = Annotated[str, text_like(r"/[^\0]*", "an absolute path (start it with /)")]
