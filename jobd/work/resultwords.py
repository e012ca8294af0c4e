"""What a job may leave in its result file: a result, and under `jobd` its word on how the run goes on."""

from __future__ import annotations

import json
from dataclasses import dataclass

from jobd.core.model import Directive, Json

RESULT_MAX_BYTES = 1024 * 1024
RESULT_MAX_DEPTH = 32
_WAYS_ON = {"retry_in": "retry", "snooze_in": "snooze", "cancel": "cancel", "discard": "discard"}
_LONGEST_SHOWN = 60
_LONGEST_REASON = 1000
"""Characters of what a job gives as its reason: it is shown in listings, and masked before it is kept."""


@dataclass(frozen=True, slots=True)
class Left:
    """What a job left behind; of what makes no sense the fault is told, and the rest holds."""

    result: Json = None
    directive: Directive | None = None
    fault: str = ""


NOTHING = Left()


def taken_apart(text: bytes) -> Left:
    """The result file in its parts. Raises ValueError where nothing of it can be kept."""
    try:
        value = json.loads(text, parse_constant=refuse_constant, parse_float=finite)
    except (ValueError, RecursionError) as problem:
        raise ValueError(f"the result file is not JSON: {problem}") from None
    if is_too_deep(value):
        raise ValueError(f"the result file is nested deeper than the {RESULT_MAX_DEPTH} levels allowed")
    if not isinstance(value, dict) or "jobd" not in value:
        return Left(value)
    rest = {name: item for name, item in value.items() if name != "jobd"} or None
    try:
        return Left(rest, directive(value["jobd"]))
    except ValueError as problem:
        return Left(rest, fault=f"{problem}; nothing of it was followed")


def directive(word: Json) -> Directive:
    """The job's word on its run, as in `{"retry_in": 30}`. Raises ValueError where it makes no sense."""
    known = [name for name in _WAYS_ON if isinstance(word, dict) and name in word]
    if len(known) != 1 or not isinstance(word, dict):
        raise ValueError(f'"jobd" in the result file takes exactly one of {", ".join(_WAYS_ON)} (and a reason)')
    if strange := word.keys() - {known[0], "reason"}:
        raise ValueError(f'"jobd" in the result file knows no {_shown(min(strange))} beside {known[0]} and reason')
    value, reason = word[known[0]], word.get("reason", "")
    kind = _WAYS_ON[known[0]]
    if kind in ("retry", "snooze"):
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
            raise ValueError(f'"{known[0]}" in the result file takes seconds, not {_shown(value)}')
        return Directive("retry" if kind == "retry" else "snooze", float(value), cut(str(reason)))
    said = value if isinstance(value, str) else str(reason)
    return Directive("cancel" if kind == "cancel" else "discard", 0.0, cut(said))


def cut(text: str, longest: int = _LONGEST_REASON) -> str:
    """A text of bearable length; the mark at its end tells whoever masks it that a secret may have been cut in two."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _shown(value: Json) -> str:
    text = json.dumps(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def is_too_deep(value: Json) -> bool:
    """Whether a value has more than RESULT_MAX_DEPTH lists and objects inside each other: some reader would give up."""
    level = [value]
    for _ in range(RESULT_MAX_DEPTH + 1):
        inside = [
            one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list | tuple)
        ]
        if not inside:
            return False
        level = [item for items in inside for item in items]
    return True


def finite(text: str) -> float:
    """For a JSON decoder's `parse_float`: a number that JSON can write again."""
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{text} is out of range")
    return number


def refuse_constant(word: str) -> Json:
    """For a JSON decoder's `parse_constant`: NaN and the infinities are no values that can be kept."""
    raise ValueError(f"{word} is no JSON number")
