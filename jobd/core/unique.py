"""What makes two runs the same: the key of a unique run, and for how long it holds (SEMANTICS, Unique runs)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobd.core.model import Command, Json, RunRequest, Unique
from jobd.core.spans import from_micros, micros

_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


@dataclass(frozen=True, slots=True)
class Claim:
    """The key that a run asks for; `until` None holds it as long as the run is not final."""

    digest: bytes
    until: datetime | None = None


def claim(request: RunRequest, now: datetime) -> Claim | None:
    """The key that a request accepted `now` asks for, or None where nothing of it is unique."""
    unique = request.unique
    if unique is None:
        return None
    begins, ends = _window(unique, _due(request, now))
    parts = [_work(request), request.queue, _chosen(unique, request.payload), begins]
    digest = hashlib.sha256(_canonical(parts).encode()).digest()
    return Claim(digest, from_micros(ends) if unique.states == "all" and ends is not None else None)


def _due(request: RunRequest, now: datetime) -> datetime:
    """When a run is due: the slot of a fired one; a submitted one that is to run later belongs to that later period."""
    return request.slot or max(request.run_at or now, now)


def _window(unique: Unique, due: datetime) -> tuple[int | None, int | None]:
    """The period that an instant lies in, in microseconds since 1970; none where the key knows no period."""
    if unique.period_seconds is None:
        return None, None
    period = max(1, timedelta(seconds=unique.period_seconds) // timedelta(microseconds=1))
    begins = micros(due) // period * period
    return begins, begins + period


def _work(request: RunRequest) -> Json:
    """What the run does: its job, or an ad-hoc command together with the user it runs as."""
    action = request.job.action
    if request.adhoc and isinstance(action, Command):
        return ["adhoc", request.owner, list(action.argv)]
    return request.job.name


def _chosen(unique: Unique, payload: Json) -> Json:
    """The part of the payload that counts; a field that is not there differs from one that is null.

    A payload that has no fields counts as a whole.
    """
    if unique.text is not None:
        return {"text": unique.text}
    if unique.fields is None or (unique.fields and not isinstance(payload, dict)):
        return {"payload": payload}
    return {"fields": {name: payload[name] for name in unique.fields if name in payload}}
