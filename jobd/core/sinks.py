"""What an event sink is: a part of another package that is told what happened, in a process of its own."""

from __future__ import annotations

from typing import Any

from jobd.core import brought
from jobd.core.brought import Unusable
from jobd.core.model import Json

GROUP = "jobd.sinks"


class Sink:
    """Takes events. Subclass it and name the class in the entry point group `jobd.sinks`.

    One is made, in a process of its own, for each name below `sinks` in jobd.yaml; `options` is what stands there.
    """

    def __init__(self, options: Json) -> None:
        """Raise anything where the options are no good: it is shown as what ails jobd, and tried again later."""
        self.options = options

    def take(self, event: dict[str, Any]) -> None:
        """One event, in the shape of `/v1/events`, once it is durable. What this raises is counted and logged."""
        raise NotImplementedError

    def flush(self) -> None:
        """Nothing came for a second: for a sink that gathers events and passes them on together."""

    def lost(self) -> tuple[int, str]:
        """How many of the events taken came to nothing since this was asked last, and what ails the sink now."""
        return 0, ""

    def close(self) -> None:
        """No more events come; the process ends when this returns, or a moment later."""


def make(name: str, options: Json) -> Sink:
    """The sink of this name. Raises Unusable with the reason where there is none or it does not take its options."""
    target = brought.targets(GROUP).get(name)
    if target is None:
        raise Unusable(f"no package on this host brings a sink named {name}")
    kind = brought.load(target, f"the sink {name}")
    try:
        made = kind(options)
    except Exception as error:
        raise Unusable(f"the sink {name} ({target}) cannot be made: {type(error).__name__}: {error}") from None
    if not hasattr(made, "take"):
        raise Unusable(f"the sink {name} ({target}) has no take(event)")
    return made  # type: ignore[no-any-return]
