"""When a job is due, and what is done about slots that cannot be had."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from jobd.core.model import Schedule
from jobd.definitions.schema.kinds import Duration, Name, Words, duration, one_or_list, whole


class Dst(Words):
    gap: Annotated[
        Literal["run", "skip", "shift"] | None,
        Field(description="Skipped times: run once after the gap, skip them, or shift each by the gap's length."),
    ] = None
    overlap: Annotated[
        Literal["first", "second", "both"] | None, Field(description="Repeated times: which pass counts.")
    ] = None


Calendars = Annotated[list[Name], one_or_list({"type": "string"})]
Expressions = Annotated[list[str], one_or_list({"type": "string"})]


class When(Words):
    schedule: Expressions = Field(
        default_factory=list,
        description="One or several of: five cron fields or six (second first) with names, lists, steps, L, LW, 1#2,"
        " FRIL and H (by the job's name); @hourly and the like; @boot; every 15m; after 15m (of the last end);"
        " at 2026-12-24T18:00.",
    )
    timezone: Annotated[str | None, Field(description="An IANA name; the host's zone by default.")] = None
    dst: Annotated[Dst, Field(description="Otherwise as Debian's cron: see docs/schedules.md.")] = Dst()
    day_match: Annotated[
        Literal["or", "and"],
        Field(description="Whether a day must match day of month and day of week, or one of them."),
    ] = "or"
    jitter: Duration = 0.0
    exclude: Calendars = Field(
        default_factory=list, description="Calendars of jobd.yaml: on their days nothing starts."
    )
    start_deadline: Annotated[float, duration(1.0)] | None = None
    catch_up: Literal["skip", "latest", "all"] = "latest"
    catch_up_window: Duration = 3600.0
    max_catch_up: Annotated[int, whole(1, 10_000)] = 100
    overlap: Literal["skip", "queue", "replace", "allow"] = "skip"

    def timing(self) -> Schedule:
        """The schedule; which days the calendars in `exclude` hold is for those who know the main configuration."""
        return Schedule(
            expressions=tuple(self.schedule),
            timezone=self.timezone,
            dst_gap=self.dst.gap,
            dst_overlap=self.dst.overlap,
            day_match=self.day_match,
            jitter_seconds=self.jitter,
            start_deadline_seconds=self.start_deadline,
            catch_up=self.catch_up,
            catch_up_window_seconds=self.catch_up_window,
            max_catch_up=self.max_catch_up,
            overlap=self.overlap,
        )
