"""What a jobd was at when it died, kept for the next one: what dies with it again and again is left alone (G4)."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from jobd.core.spans import from_micros, micros

CRASHES = 2
"""So many, one soon after the other, and the definition is at fault."""
SOON = timedelta(hours=1)
_MOST = 100


class Work(StrEnum):
    """What jobd does with definitions, and may die of."""

    READ = "read"
    PLAN = "plan"
    START = "start"


class Step(NamedTuple):
    """One piece of work: on the file or the job of this name, as it was defined then."""

    work: Work
    name: str
    version: str

    def to_bytes(self) -> bytes:
        return "\0".join(self).encode(errors="surrogateescape")

    @classmethod
    def from_bytes(cls, text: bytes) -> Step | None:
        """The step that was written down; None where that is none, or one of another jobd."""
        try:
            work, name, version = text.decode(errors="surrogateescape").split("\0")
            return cls(Work(work), name, version)
        except ValueError:
            return None

    @property
    def said(self) -> str:
        """What jobd was doing, for a sentence."""
        match self.work:
            case Work.READ:
                return "reading this file"
            case Work.PLAN:
                return f"planning the slots of {self.name}"
            case Work.START:
                return f"starting a run of {self.name}"


@dataclass(frozen=True, slots=True)
class Suspect:
    """A step in which jobd died, and when."""

    step: Step
    crashes: tuple[datetime, ...]
    release: str
    """The jobd that did; another one may be better at it."""

    @property
    def is_guilty(self) -> bool:
        return len(self.crashes) >= CRASHES


def blame(suspects: Sequence[Suspect], step: Step, now: datetime, release: str) -> list[Suspect]:
    """The suspects after a jobd of this release died in a step; those long ago that were no pattern are forgotten."""
    before = next((one for one in suspects if (one.step, one.release) == (step, release)), Suspect(step, (), release))
    recent = before.crashes if before.is_guilty else tuple(at for at in before.crashes if now - at <= SOON)
    others = [one for one in suspects if one is not before and (one.is_guilty or now - one.crashes[-1] <= SOON)]
    return [*others, replace(before, crashes=(*recent, now)[-CRASHES:])][-_MOST:]


def without(suspects: Iterable[Suspect], innocent: Container[Step]) -> list[Suspect]:
    """The suspects but for those that have only been near; what was guilty stays so."""
    return [one for one in suspects if one.is_guilty or one.step not in innocent]


def guilty(suspects: Iterable[Suspect], release: str) -> frozenset[Step]:
    """The steps that this jobd does not try any more."""
    return frozenset(one.step for one in suspects if one.is_guilty and one.release == release)


def to_text(suspects: Iterable[Suspect]) -> str:
    return json.dumps([[*one.step, [micros(at) for at in one.crashes], one.release] for one in suspects])


def from_text(text: str) -> list[Suspect]:
    """The suspects that `to_text` wrote."""
    return [
        Suspect(Step(Work(work), name, version), tuple(map(from_micros, crashes)), release)
        for work, name, version, crashes, release in json.loads(text)
    ]
