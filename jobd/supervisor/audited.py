"""Makes entries of the audit trail of what was asked in a tick and what came of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from typing import Any

from jobd.core.audit import Entry, in_ranges
from jobd.core.errors import JobdError
from jobd.core.intents import Actor, Intent, Noted, SetQueue, Submit
from jobd.core.records import DeadFilter
from jobd.core.spans import rfc3339

Asked = tuple[Intent, Any]
"""An intent and its answer; an error is an answer too."""
_LONGEST = 500
_BEFORE_CAPITALS = re.compile(r"(?<!^)(?=[A-Z])")


def entries(asked: Iterable[Asked], at: datetime) -> Iterator[Entry]:
    """An entry for each intent; submits of one client that came together share one."""
    for (_, is_submit), group in groupby(asked, key=_kin):
        if is_submit:
            yield _submitted(list(group), at)
        else:
            yield from (_entry(intent, said, at) for intent, said in group)


def _kin(asked: Asked) -> tuple[Actor, bool]:
    intent, said = asked
    return intent.actor, isinstance(intent, Submit) and not isinstance(said, JobdError)


def _submitted(asked: list[Asked], at: datetime) -> Entry:
    actor = asked[0][0].actor
    accepted = [one for _, said in asked for one in said]
    made = in_ranges(one.id for one in accepted if not one.duplicate)
    jobs = dict.fromkeys(name for intent, _ in asked for name in _jobs(intent))
    duplicates = sum(one.duplicate for one in accepted)
    entry = _by(actor, at, "submit", f"runs {made}" if made else "")
    detail = f"of {', '.join(jobs)}" + (f"; {duplicates} there already" if duplicates else "")
    return replace(entry, detail=_bounded(detail), times=len(asked))


def _entry(intent: Intent, said: Any, at: datetime) -> Entry:
    if isinstance(intent, Noted):
        entry = _by(intent.actor, at, intent.did, intent.on)
        return replace(entry, result=intent.result, detail=_bounded(intent.detail), times=intent.times)
    did = _BEFORE_CAPITALS.sub("-", type(intent).__name__).lower()
    entry = _by(intent.actor, at, did, _target(intent))
    if isinstance(said, JobdError):
        return replace(entry, result="refused", detail=_bounded(str(said)))
    return replace(entry, detail=_bounded(_conditions(intent)))


def _by(actor: Actor, at: datetime, did: str, on: str) -> Entry:
    return Entry(at, actor.uid, actor.user, actor.pid, actor.executable, did, _bounded(on))


def _target(intent: Any) -> str:
    """What an intent is about, by the fields that intents have."""
    if isinstance(intent, Submit):
        return ", ".join(dict.fromkeys(f"job {name}" for name in _jobs(intent)))
    which = getattr(intent, "which", None)
    if isinstance(which, DeadFilter):
        return _filter(which)
    if hasattr(intent, "kind"):
        return f"{intent.kind} {intent.name}"
    return next(
        (f"{word} {getattr(intent, word)}" for word in ("run", "job", "queue", "channel") if hasattr(intent, word)), ""
    )


def _jobs(intent: Any) -> Iterator[str]:
    return (request.job.name for request in intent.requests)


def _filter(which: DeadFilter) -> str:
    if which.runs:
        return f"runs {in_ranges(sorted(which.runs))}"
    named = [f"{word} {value}" for word, value in (("job", which.job), ("queue", which.queue)) if value]
    return "dead letters of " + " and ".join(named) if named else "all dead letters"


def _conditions(intent: Any) -> str:
    said = []
    if getattr(intent, "replaces_payload", False):
        said.append("with another payload")
    if isinstance(intent, SetQueue):
        said.append(str(intent.change))
    if getattr(intent, "until", None) is not None:
        said.append(f"until {rfc3339(intent.until)}")
    if getattr(intent, "note", ""):
        said.append(intent.note)
    return "; ".join(said)


def _bounded(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
