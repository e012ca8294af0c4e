"""What other packages bring along: entry points by group, looked through once and only when somebody asks."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import cache
from typing import Any, cast


class Unusable(Exception):
    """A plug-in that is named and is not there, or cannot be loaded."""


@cache
def targets(group: str) -> Mapping[str, str]:
    """Name and `module:object` of every entry point of a group on this host."""
    metadata = cast(Any, importlib.import_module("importlib.metadata"))
    return {one.name: one.value for one in metadata.entry_points(group=group)}


def load(target: str, what: str) -> Any:
    """The object at `module:object`. Raises Unusable, `what` being its subject, whatever the code of others raises."""
    module, _, path = target.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for name in filter(None, path.split(".")):
            found = getattr(found, name)
    except Exception as error:
        raise Unusable(f"{what} ({target}) cannot be loaded: {type(error).__name__}: {error}") from None
    return found
