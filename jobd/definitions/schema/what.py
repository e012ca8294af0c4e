"""Identity of a job. What it runs is for the executors to read (definitions.work)."""

from __future__ import annotations

from pydantic import Field

from jobd.definitions.schema.kinds import Name, Words


class Identity(Words):
    description: str = ""
    enabled: bool = True
    tags: list[Name] = Field(default_factory=list)
    owner: str | None = None
