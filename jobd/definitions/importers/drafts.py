"""What an importer hands over: a job in jobd's words without a name yet, what they leave out, and the old rule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from jobd.core.model import Job
from jobd.definitions.problems import Place, Problem


class OldRule(Protocol):
    """When the old scheduler fires, worked out by its own rule and nothing that jobd believes."""

    def fires(self, after: datetime, until: datetime, anchor: datetime) -> Iterator[datetime]:
        """The UTC instants after one and not after another, in order; one that fires twice at once comes twice.

        What is counted from an event, such as a start of the host, is counted from `anchor`.
        """


@dataclass(frozen=True, slots=True)
class Draft:
    """A job that is to be taken over. `words` may hold keys this version of jobd lacks: `settle` asks it."""

    hints: tuple[str, ...]
    """What its name is made of, in order."""
    place: Place
    words: Mapping[str, Any]
    old: tuple[OldRule, ...]
    """None where nobody can say when it fires."""
    problems: tuple[Problem, ...] = ()
    """What cannot be said, or not exactly; their paths are empty until the job has a name."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What came out of some files of an old scheduler."""

    drafts: tuple[Draft, ...] = ()
    problems: tuple[Problem, ...] = ()
    """What is wrong with lines or files that gave no job."""


@dataclass(frozen=True, slots=True)
class Imported:
    """A job in jobd's words that jobd accepts, and all that they do not say."""

    name: str
    place: Place
    words: Mapping[str, Any]
    job: Job
    problems: tuple[Problem, ...] = ()
    old: tuple[OldRule, ...] = field(default=(), compare=False)
