"""Tells the collector of traces which spans have ended, through a sink of its own (`observe.otlp`)."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable

from jobd.core.events import AttemptFinished, Event, RunFinished
from jobd.core.tracing import Tracer
from jobd.observe import spans
from jobd.observe.spans import Span
from jobd.store.history import History
from jobd.supervisor.settings import Tracing
from jobd.work.outlet import Ears, Outlet

SINK = "otel"


class Spans:
    """Makes spans of events and hands them on; what the collector does not take in time is counted and lost."""

    def __init__(
        self,
        settings: Tracing,
        tracer: Tracer,
        history: History,
        on_counted: Callable[[str, str, int], None],
        on_ailing: Callable[[str], None],
    ) -> None:
        self._tracer, self._history = tracer, history
        ears = Ears(on_counted, lambda _, ailment: on_ailing(ailment))
        self._outlet = Outlet(SINK, settings.for_sink, sys.path, asyncio.get_running_loop(), ears)

    def take(self, event: Event) -> None:
        """Tell of the span that an event ends, if it ends one that is recorded."""
        match event:
            case AttemptFinished():
                span = self._of_attempt(event)
            case RunFinished():
                span = self._of_run(event)
            case _:
                return
        if span is not None:
            self._outlet.take(json.dumps(span, separators=(",", ":")).encode() + b"\n")

    def close(self) -> None:
        self._outlet.close()

    def _of_run(self, event: RunFinished) -> Span | None:
        facts = self._history.traced(event.run)
        if facts is None or not (spot := self._tracer.of_run(facts.traced)).is_sampled:
            return None
        parents = [self._tracer.of_run(one) for one in self._history.traced_parents(event.run)]
        ended_at = facts.finished_at or event.at
        began_at = facts.traced.began_at
        return spans.of_run(event, spot, began_at, ended_at, parents, trigger=facts.trigger, slot=facts.slot)

    def _of_attempt(self, event: AttemptFinished) -> Span | None:
        facts = self._history.traced(event.key.run)
        if facts is None or not (spot := self._tracer.of_attempt(facts.traced, event.key.attempt)).is_sampled:
            return None
        began_at, ended_at = self._history.span_of(event.key) or (event.at, event.at)
        return spans.of_attempt(event, spot, began_at, ended_at or event.at)
