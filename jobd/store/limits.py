"""What limits of starting leave behind, as statements: buckets, resources taken, and what was set of queues."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from jobd.core import buckets
from jobd.core.buckets import Level, Rate
from jobd.core.ledger import NO_TERMS, Terms, Uses
from jobd.core.model import Job
from jobd.core.queues import QueueSet
from jobd.core.spans import from_micros, micros
from jobd.store.connection import Transaction

Ask = Callable[[str, Any], list[tuple[Any, ...]]]
"""The rows of a named statement: of a transaction, or of a reader."""
_APART = 2**31
"""Stands for no limit of its own, where runs of a job are kept apart for another reason."""


def columns(job: Job) -> dict[str, object]:
    """The limits of a job as its row has them."""
    limit = job.running_limit
    return {
        "limit": _APART if limit is None and job.has_limits else limit,
        "rate": None if job.rate_limit is None else _rate_text(job.rate_limit),
        "uses": uses_text(job.uses) if job.uses else None,
    }


def uses_text(uses: Uses) -> str:
    """What runs use up, as the store keeps it: equal uses give equal texts."""
    return json.dumps(dict(sorted(uses)), separators=(",", ":"))


def _rate_text(rate: Rate) -> str:
    return json.dumps(rate.words, separators=(",", ":"))


def special_lane(tx: Transaction, job: int, uses: Uses) -> int:
    """The lane for runs of a job that use something of their own, which is there from now on."""
    bindings = {"job": job, "uses": uses_text(uses)}
    tx.run("add_special", bindings)
    row = tx.row("special_lane", bindings)
    assert row is not None
    return int(row[0])


def terms(ask: Ask, lanes: Collection[int]) -> dict[int, Terms]:
    """What binds the runs of lanes that are not common ones."""
    found = ask("terms", {"lanes": json.dumps([*lanes])}) if lanes else []
    return {lane: _terms(*row) for lane, *row in found}


def terms_of(ask: Ask, run: int) -> Terms:
    """What binds a run beside its queue."""
    found = ask("terms_of_run", {"run": run})
    return _terms(*found[0]) if found else NO_TERMS


def _terms(job: int, limit: int | None, rate: str | None, uses: str | None) -> Terms:
    return Terms(job, None if limit == _APART else limit, _rate(rate), _uses(uses))


def _rate(text: str | None) -> Rate | None:
    return None if text is None else buckets.rate(json.loads(text))


def _uses(text: str | None) -> Uses:
    return () if text is None else tuple(json.loads(text).items())


def taken(ask: Ask) -> dict[int, dict[str, int]]:
    """What each run under way has taken of resources."""
    return {run: json.loads(text) for run, text in ask("taken", ())}


def held(tx: Transaction) -> Counter[str]:
    """How much of each resource runs under way have taken."""
    total: Counter[str] = Counter()
    for uses in taken(tx.rows).values():
        total.update(uses)
    return total


def note_takes(tx: Transaction, runs: Iterable[tuple[int, Uses]]) -> None:
    """Write down what runs take that were just reserved."""
    for run, uses in runs:
        tx.run("note_takes", {"run": run, "takes": uses_text(uses)})


def level(tx: Transaction, name: str) -> Level | None:
    """What a bucket held last; None for one that was never used."""
    row = tx.row("bucket", {"name": name})
    return None if row is None else Level(row[0], from_micros(row[1]))


def levels(ask: Ask) -> dict[str, Level]:
    """What every bucket held last."""
    return {name: Level(tokens, from_micros(at)) for name, tokens, at in ask("buckets", ())}


def note_levels(tx: Transaction, found: Mapping[str, Level]) -> None:
    """Write down what buckets hold."""
    for name, one in found.items():
        tx.run("note_bucket", {"name": name, "tokens": one.tokens, "at": micros(one.at)})


def queue_settings(ask: Ask) -> dict[str, QueueSet]:
    """What was set of queues."""
    return {
        name: QueueSet(json.loads(text), from_micros(at), by)
        for name, text, at, by in ask("queue_settings", ())
        if text is not None
    }


def settings_now(tx: Transaction) -> dict[str, QueueSet]:
    """What was set of queues, read once in a transaction."""
    if "queue_settings" not in tx.known:
        tx.known["queue_settings"] = queue_settings(tx.rows)
    found: dict[str, QueueSet] = tx.known["queue_settings"]
    return found


def set_queue(tx: Transaction, name: str, settings: Mapping[str, Any], by: str) -> None:
    """Remember all that is set of a queue; nothing takes back what was."""
    text = json.dumps(settings, sort_keys=True) if settings else None
    tx.run("set_queue", {"name": name, "settings": text, "now": tx.at, "by": by})
    tx.known.pop("queue_settings", None)
