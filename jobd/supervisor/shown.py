"""The jobs in force as the control edge shows them, each made when it is looked at and kept until it changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from jobd.control.ports import DefinedJob
from jobd.definitions.defined import Defined
from jobd.supervisor.catalogs import InForce
from jobd.supervisor.keeper import Keeper

_Made = dict[str, tuple[InForce, DefinedJob]]


@dataclass(slots=True)
class Shown:
    """Remembers what was shown of each job, so that a list of ten thousand is made of what is there already."""

    keeper: Keeper
    _made: _Made = field(default_factory=dict)

    def now(self) -> Mapping[str, DefinedJob]:
        """The jobs as they are in force at this moment; a later change makes other mappings."""
        in_force = self.keeper.in_force
        if len(self._made) > len(in_force):
            self._made = {name: made for name, made in self._made.items() if name in in_force}
        return _Jobs(self.keeper, in_force, self._made)


class _Jobs(Mapping[str, DefinedJob]):
    def __init__(self, keeper: Keeper, in_force: Mapping[str, InForce], made: _Made) -> None:
        self._in_force, self._engine, self._made = in_force, keeper.engine, made

    def __getitem__(self, name: str) -> DefinedJob:
        job, next_at = self._in_force[name], self._engine.agenda.at(name)
        known = self._made.get(name)
        if known is None or known[0] is not job or known[1].next_at != next_at:
            defined = job.defined
            shown = DefinedJob(
                job=defined.job,
                file=defined.file,
                line=defined.line,
                timezone=defined.job.schedule.timezone or self._engine.rules.host.zone,
                next_at=next_at,
                sources=_Lazy(defined, "sources"),
                document=_Lazy(defined, "document"),
            )
            self._made[name] = known = (job, shown)
        return known[1]

    def __iter__(self) -> Iterator[str]:
        return iter(self._in_force)

    def __len__(self) -> int:
        return len(self._in_force)


class _Lazy(Mapping[str, Any]):
    """A mapping that is parsed when somebody looks into it: most look-ups of a job never do."""

    __slots__ = ("_defined", "_what")

    def __init__(self, defined: Defined, what: Literal["sources", "document"]) -> None:
        self._defined, self._what = defined, what

    def _read(self) -> Mapping[str, Any]:
        return self._defined.sources if self._what == "sources" else self._defined.document

    def __getitem__(self, key: str) -> Any:
        return self._read()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())
