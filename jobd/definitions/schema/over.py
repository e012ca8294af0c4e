"""What is watched of a job: what it is expected to keep."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from jobd.core import model, names
from jobd.definitions.schema.kinds import Duration, Name, Words, duration, one_or_list

Occasion = Literal[
    "attempt_failure", "failure", "recovery", "success", "late", "missed", "timeout_warning", "circuit_open"
]
OCCASIONS = ("attempt_failure", "failure", "recovery", "success", "late", "missed", "timeout_warning", "circuit_open")


class Expect(Words):
    max_time_since_success: Annotated[float, duration(1.0)] | None = Field(
        default=None, description="The job is late where its last success is longer ago."
    )
    late_after: Annotated[float, duration(1.0)] | None = Field(
        default=None, description="The job is late where a run has not started so long after it was due."
    )
    max_runtime: Annotated[float, duration(1.0)] | None = Field(
        default=None, description="The job is late where an attempt has been running for longer; it is not ended."
    )

    @model_validator(mode="after")
    def _expects_something(self) -> Self:
        if self.max_time_since_success is self.late_after is self.max_runtime is None:
            raise ValueError("expects nothing (give max_time_since_success, late_after or max_runtime)")
        return self

    def expect(self) -> model.Expect:
        return model.Expect(self.max_time_since_success, self.late_after, self.max_runtime)


class Notify(Words):
    on: Annotated[list[Occasion], one_or_list({"enum": [*OCCASIONS]})] = Field(
        default=["failure", "recovery", "late"],
        description="What somebody is told of; failure is that of a run, for good.",
    )
    via: Annotated[list[Name], one_or_list({"type": "string", "pattern": f"^{names.NAME.pattern}$"})] = Field(
        default_factory=list, description="Channels of jobd.yaml; a healthcheck is told of every run."
    )
    repeat_after: Duration = Field(
        default=3600.0, description="What goes on is told of again after so long, where it happens again; 0 is always."
    )

    def notify(self) -> model.Notify:
        return model.Notify(tuple(dict.fromkeys(self.on)), tuple(dict.fromkeys(self.via)), self.repeat_after)


class Watched(Words):
    expect: Expect | None = Field(
        default=None, description="What the job is expected to keep; else it is late: see docs/notifications.md."
    )
    notify: Notify | None = Field(default=None, description="Who is told of what; see docs/notifications.md.")
