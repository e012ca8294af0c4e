"""Writes down what jobd is about to do with a definition, where its death cannot erase it; and bars what it died of.

The note lies in a page of the runtime directory that outlives the process and not the host: a power cut accuses nobody.
"""

from __future__ import annotations

import hashlib
import mmap
import os
from collections.abc import Sequence
from datetime import datetime
from functools import cache

from jobd.core import suspects
from jobd.core.suspects import CRASHES, Step, Suspect, Work
from jobd.definitions.defined import Defined
from jobd.store import suspects as kept
from jobd.store.connection import Transaction

_SIZE = 8192
_LENGTH = 2
_AT_MOST = _SIZE - _LENGTH


class Quarantine:
    """What jobd is at, and what it does not try any more. Without a file it forgets, as in tests of other things."""

    def __init__(self, path: str | None = None) -> None:
        self._page: mmap.mmap | bytearray = bytearray(_SIZE) if path is None else _page(path)
        self._is_marked = True
        self._barred: frozenset[Step] = frozenset()
        self._accused: frozenset[Step] = frozenset()
        self._entered: set[Step] = set()
        self._survived: set[Step] = set()
        """Of the steps that a jobd died in once, those that this one is in, and those it has just been through."""

    def left(self) -> Step | None:
        """What the last jobd was at when it died; None where it was at nothing, or ended as it should."""
        length = int.from_bytes(self._page[:_LENGTH], "little")
        return Step.from_bytes(bytes(self._page[_LENGTH : _LENGTH + length])) if length else None

    def judge(self, tx: Transaction, now: datetime, release: str) -> Step | None:
        """Blame what the last jobd died of, and bar what that happened to before. Returns what it died of."""
        found, step = kept.known(tx), self.left()
        if step is not None:
            found = suspects.blame(found, step, now, release)
            kept.note(tx, found)
        self._bar(found, release)
        return step

    def acquit(self, tx: Transaction) -> None:
        """Forget the single deaths in steps that went well since: the next one is not the second in a row."""
        if self._survived:
            kept.note(tx, suspects.without(kept.known(tx), self._survived))

    def _bar(self, found: Sequence[Suspect], release: str) -> None:
        self._barred = suspects.guilty(found, release)
        self._accused = frozenset(one.step for one in found) - self._barred

    # What is about to be done

    def reads(self, file: str, digest: str) -> str | None:
        """jobd is about to read a file of definitions. Returns why it should not."""
        return self._enter(Step(Work.READ, file, digest))

    def plans(self, one: Defined) -> str | None:
        """jobd is about to work out slots of a job. Returns why it should not."""
        return self._enter(_planning(one))

    def starts(self, job: str, spec: int) -> str | None:
        """jobd is about to start a run of a definition. Returns why it should not."""
        return self._enter(Step(Work.START, job, str(spec)))

    def objects(self, one: Defined) -> str | None:
        """Why slots of a job are not planned."""
        return _why(step) if self._barred and (step := _planning(one)) in self._barred else None

    def clear(self) -> None:
        """It is done, and jobd lives."""
        self._accused -= self._survived
        self._survived, self._entered = self._entered, set()
        if self._is_marked:
            self._is_marked = False
            self._page[:_LENGTH] = bytes(_LENGTH)

    def _enter(self, step: Step) -> str | None:
        if step in self._barred:
            return _why(step)
        if step in self._accused:
            self._entered.add(step)
        text = step.to_bytes()[:_AT_MOST]
        # The length goes first and comes last, so that a death in between leaves nothing that is half true.
        self._page[:_LENGTH] = bytes(_LENGTH)
        self._page[_LENGTH : _LENGTH + len(text)] = text
        self._page[:_LENGTH] = len(text).to_bytes(_LENGTH, "little")
        self._is_marked = True
        return None


@cache
def _why(step: Step) -> str:
    return f"is quarantined: jobd died {CRASHES} times in a row while {step.said} (change the definition)"


def _planning(one: Defined) -> Step:
    version = hashlib.blake2b(one.document_text.encode(errors="surrogatepass"), digest_size=8).hexdigest()
    return Step(Work.PLAN, one.job.name, version)


def _page(path: str) -> mmap.mmap:
    """The page at a path of jobd's own directory; a mapping that is written to outlives whoever wrote."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.ftruncate(descriptor, _SIZE)
        return mmap.mmap(descriptor, _SIZE)
    finally:
        os.close(descriptor)
