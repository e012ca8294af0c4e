"""From local minutes to instants: what becomes of those that a moved clock skips or repeats (SEMANTICS, DST).

Wildcard schedules follow real time; fixed-time ones are due once a day whatever the clock does, as in Debian's cron.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, Protocol

from jobd.core.spans import EPOCH, show_seconds
from jobd.core.zones import Span, Zone

Gap = Literal["run", "skip", "shift"]
Overlap = Literal["first", "second", "both"]

_HORIZON_SECONDS = 251 * 366 * 86400
_MARGIN_SECONDS = 2 * 86400
"""More than any offset from UTC, and more than any gap."""


class Walls(Protocol):
    """Local times in seconds from 1970-01-01 00:00 local, as if no clock had ever been moved."""

    def first_wall(self, wall: int) -> int | None: ...

    def count_walls(self, after: int, until: int) -> int: ...


@dataclass(frozen=True, slots=True)
class Clockwork:
    """The instants that local times have in a zone. Instants are seconds since 1970 UTC."""

    walls: Walls
    zone: Zone
    gap: Gap
    """Local times that are skipped: `run` once when the gap ends, `skip` them, or `shift` them by the gap's length."""
    overlap: Overlap
    """Local times that come twice: which of the two passes counts."""

    def next_from(self, second: int) -> int | None:
        """The first instant at or after `second`; None if no local time comes within 50 years."""
        horizon = second + _HORIZON_SECONDS
        while second < horizon:
            span = self.zone.span(second)
            found = self._in_span(span, second)
            if found is not None:
                return found
            ahead = self.walls.first_wall(span.end - _MARGIN_SECONDS)
            if ahead is None:
                return None
            second = max(span.end, ahead - _MARGIN_SECONDS)
        return None

    def about(self, after: int, until: int) -> int:
        """How many instants come after `after` and not after `until`, changes of the offset not counted."""
        first, last = (second + self.zone.span(second).offset for second in (after, until))
        return self.walls.count_walls(first, last)

    def remark(self, second: int) -> str:
        """What a moved clock has to do with this instant, as a phrase; empty for nothing."""
        span = self.zone.span(second)
        if (origin := self._skipped_wall(span, second)) is not None:
            return f"shifted out of the DST gap {_clocks(origin, second + span.offset)}"
        wall = second + span.offset
        if self.walls.first_wall(wall) != wall:
            return ""
        if span.after < span.offset and wall >= span.end + span.after:
            return f"first pass of the repeated {_length(span.offset - span.after)}"
        if span.before > span.offset and wall < span.start + span.before:
            return f"second pass of the repeated {_length(span.before - span.offset)}"
        return ""

    def _in_span(self, span: Span, second: int) -> int | None:
        found = self._regular(span, second)
        if span.before >= span.offset or self.gap == "skip":
            return found
        skipped = self._out_of_gap(span, second)
        if found is None or skipped is None:
            return found if skipped is None else skipped
        return min(found, skipped)

    def _regular(self, span: Span, second: int) -> int | None:
        """The first instant in a span, from `second` on, whose local time matches."""
        start, end = second + span.offset, span.end + span.offset
        if self.overlap == "first" and span.before > span.offset:
            start = max(start, span.start + span.before)
        if self.overlap == "second" and span.after < span.offset:
            end = span.end + span.after
        wall = self.walls.first_wall(start)
        return None if wall is None or wall >= end else wall - span.offset

    def _out_of_gap(self, span: Span, second: int) -> int | None:
        """The first instant, from `second` on, that stands for a local time in the gap before the span."""
        opens, closes = span.start + span.before, span.start + span.offset
        if self.gap == "run":
            wall = self.walls.first_wall(opens)
            return span.start if second <= span.start and wall is not None and wall < closes else None
        wall = self.walls.first_wall(max(opens, second + span.before))
        return None if wall is None or wall >= closes else wall - span.before

    def _skipped_wall(self, span: Span, second: int) -> int | None:
        """The skipped local time that an instant stands for, if it does."""
        if span.before >= span.offset or self.gap == "skip" or self._out_of_gap(span, second) != second:
            return None
        return self.walls.first_wall(span.start + span.before if self.gap == "run" else second + span.before)


def _length(seconds: int) -> str:
    return "hour" if seconds == 3600 else show_seconds(seconds)


def _clocks(skipped: int, shown: int) -> str:
    before, after = EPOCH + timedelta(seconds=skipped), EPOCH + timedelta(seconds=shown)
    style = "%H:%M" if before.date() == after.date() else "%Y-%m-%d %H:%M"
    return f"{before.strftime(style)} → {after.strftime(style)}"
