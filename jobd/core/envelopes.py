"""Payloads that are no plain JSON: an envelope that names the serializer and the version of its schema.

Plain JSON has no envelope and needs none. The store, the API and every program see JSON in any case: an envelope is an
object of two keys, `$serializer` and `data`. It is opened for Python callables and executors, and for `payload_schema`
to look at what is inside.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Protocol

from jobd.core import brought
from jobd.core.brought import Unusable
from jobd.core.model import Json

GROUP = "jobd.serializers"
_KEYS = frozenset({"$serializer", "data"})


class Serializer(Protocol):
    """Values to JSON and back. An instance of it is named in the entry point group `jobd.serializers`."""

    name: str
    """That of its entry point."""
    version: int
    """Of the schema of what `dump` returns now; `load` is told the version of what it gets."""

    def dump(self, value: Any) -> Json: ...
    def load(self, data: Json, version: int) -> Any: ...


class JsonSerializer:
    """What payloads are by default: JSON as it stands."""

    name = "json"
    version = 1

    def dump(self, value: Any) -> Json:
        return value

    def load(self, data: Json, version: int) -> Any:
        if version != self.version:
            raise ValueError(f"version {version} of json is not known here (only {self.version})")
        return data


def envelope(value: Any, serializer: Serializer) -> Json:
    """A payload to submit: the value in the serializer's JSON, with what it takes to read it again."""
    return {"$serializer": [serializer.name, serializer.version], "data": serializer.dump(value)}


def is_envelope(payload: Json) -> bool:
    if type(payload) is not dict or payload.keys() != _KEYS:
        return False
    named = payload["$serializer"]
    return isinstance(named, list) and [type(one) for one in named] == [str, int]


def content(payload: Json) -> Json:
    """What a payload holds as JSON: what is in its envelope, or itself."""
    return payload["data"] if is_envelope(payload) else payload


def opened(payload: Json) -> Any:
    """The value that a payload stands for. Raises Unusable where its serializer is not there or cannot read it."""
    if not is_envelope(payload):
        return payload
    name, version = payload["$serializer"]
    try:
        return _serializer(name).load(payload["data"], version)
    except Exception as error:
        if isinstance(error, Unusable):
            raise
        raise Unusable(
            f"the payload cannot be read by the serializer {name}: {type(error).__name__}: {error}"
        ) from None


@cache
def _serializer(name: str) -> Serializer:
    if name == JsonSerializer.name:
        return JsonSerializer()
    target = brought.targets(GROUP).get(name)
    if target is None:
        raise Unusable(f"no package on this host brings a serializer named {name}, which the payload asks for")
    made: Serializer = brought.load(target, f"the serializer {name}")
    return made
