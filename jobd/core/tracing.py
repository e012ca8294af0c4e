"""Where the spans of runs and attempts stand in their traces.

Ids are worked out of what a run is and drawn nowhere, so that a daemon which takes up the work of another one gives
the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from jobd.core.spans import micros
from jobd.core.trace import Trace

_SAMPLED = 1


@dataclass(frozen=True, slots=True)
class Traced:
    """A run as far as its spans need to know it."""

    run: int
    created_at: datetime
    renewed_at: datetime | None
    """When it was last made to wait again after it had been final: what follows is another span of the same run."""
    trace: Trace | None
    """What its submitter said it is part of."""

    @property
    def began_at(self) -> datetime:
        return self.renewed_at or self.created_at


@dataclass(frozen=True, slots=True)
class Spot:
    """The place of one span: ids as hexadecimal text; `parent_id` empty at the root of a trace."""

    trace_id: str
    span_id: str
    parent_id: str
    is_sampled: bool
    state: str = ""

    @property
    def trace(self) -> Trace:
        """What work below this span is told it is part of."""
        return Trace(f"00-{self.trace_id}-{self.span_id}-{int(self.is_sampled):02x}", self.state)


@dataclass(frozen=True, slots=True)
class Tracer:
    """Gives the spots of one store's runs.

    `seed` tells stores apart, which all count their runs from 1. `sample` is the share of the traces begun here that
    are recorded; who submits with a trace has decided for its own (W3C Trace Context, the sampled flag).
    """

    seed: str
    sample: float = 1.0

    def of_run(self, run: Traced) -> Spot:
        span_id = self._digest(run, "run", run.began_at)[:16]
        if run.trace is None:
            trace_id = self._digest(run, "trace")[:32]
            return Spot(trace_id, span_id, "", self._is_sampled(trace_id))
        _, trace_id, parent_id, flags = run.trace.parent.split("-")
        return Spot(trace_id, span_id, parent_id, bool(int(flags, 16) & _SAMPLED), run.trace.state)

    def of_attempt(self, run: Traced, attempt: int) -> Spot:
        above = self.of_run(run)
        span_id = self._digest(run, "attempt", attempt)[:16]
        return Spot(above.trace_id, span_id, above.span_id, above.is_sampled, above.state)

    def _digest(self, run: Traced, *what: object) -> str:
        # The instant is part of it because a store that was restored gives the same numbers to other runs.
        words = (self.seed, run.run, micros(run.created_at), *what)
        return sha256("/".join(map(str, words)).encode()).hexdigest()

    def _is_sampled(self, trace_id: str) -> bool:
        return int(trace_id[16:], 16) < self.sample * 2**64
