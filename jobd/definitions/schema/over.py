"""What is watched of a job: what it is expected to keep."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from jobd.core import model
from jobd.definitions.schema.kinds import Words, duration


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


class Watched(Words):
    expect: Expect | None = Field(
        default=None, description="What the job is expected to keep; else it is late: see docs/notifications.md."
    )
