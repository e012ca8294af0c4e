"""The heart of jobd: one tick is one transaction, and only its commit sets anything off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from jobd.core.intents import Submit, TestChannel
from jobd.definitions.catalog import Catalog
from jobd.store import audit, coming, reservation, versions
from jobd.store.connection import Transaction
from jobd.supervisor import apply, audited, bell, catalogs, together, vigil
from jobd.supervisor.aftermath import Aftermath
from jobd.supervisor.bell import Bell, ring
from jobd.supervisor.catalogs import AdoptCatalog, Change, Host, InForce
from jobd.supervisor.expire import expire, give_up
from jobd.supervisor.finalize import finalize
from jobd.supervisor.follow import follow
from jobd.supervisor.hold import release, try_again
from jobd.supervisor.inbox import Asked, Batch
from jobd.supervisor.plan import carry, plan, stirred
from jobd.supervisor.quarantine import Quarantine
from jobd.supervisor.reserve import Places, Reservation
from jobd.supervisor.specs import Specs
from jobd.work.pool import Seat


@dataclass(slots=True)
class Rules:
    """What ticks decide by: the jobs in force and the limits of settings."""

    reservation: Reservation
    host: Host
    most_queued_per_user: int
    in_force: Mapping[str, InForce] = field(default_factory=dict)
    watched: Mapping[str, InForce] = field(default_factory=dict)
    """Those of which something is expected."""
    bell: Bell = field(default_factory=Bell)
    specs: Specs = field(default_factory=Specs)
    quarantine: Quarantine = field(default_factory=Quarantine)

    def put_in_force(self, in_force: Mapping[str, InForce]) -> None:
        """Decide by these jobs from now on."""
        self.in_force = in_force
        self.watched = vigil.watched(in_force)
        self.specs.in_force = {job.ref.spec: job.job for job in in_force.values()}


@dataclass(frozen=True, slots=True)
class Moment:
    """What is true as a tick begins, beside what has come in."""

    due: Sequence[str]
    """Jobs that have an undecided slot: all of them, or as many as one tick plans."""
    seats: Sequence[Seat]
    """Workers that can take an order now."""
    places: Places
    hiring: bool
    """There may be more workers than there are."""
    draining: bool
    """Nothing is reserved any more."""
    stepped: timedelta
    """How far the wall clock was set since the last tick; zero where it was not."""
    corrected: bool
    """The clock turned out to be wrong by hours when the jobs that are due were looked at last."""
    since: datetime
    """When that was, as the clock is now."""
    late: Sequence[str] = ()
    """Jobs that are late from about now on, if nothing has happened."""
    is_anew: bool = False
    """Other jobs are in force than at the last tick: what is remembered of those not watched any more is to go."""


def tick(tx: Transaction, rules: Rules, batch: Batch, moment: Moment) -> Aftermath:
    """Settle everything that has come in and come due; say what the commit is to set off.

    It decides from the store and its arguments and changes nothing but the store, so that a transaction that could not
    be committed is simply tried again.
    """
    after = Aftermath()
    if moment.stepped:
        # First of all: what follows is written down by the clock as it is now.
        carry(tx, moment.stepped, rules.in_force, rules.host)
    rules.quarantine.acquit(tx)
    finalize(tx, batch, rules.specs, after)
    answer(tx, rules, batch, after)
    # What was adopted just now holds for the slots of this tick already.
    in_force = after.change.in_force if after.change is not None else rules.in_force
    # Nearly always nothing is: then what would look for it is left out.
    is_due, is_in_time = coming.is_any(tx), True
    if is_due:
        is_in_time = expire(tx, after)
        give_up(tx, rules.specs, after)
    follow(tx, after)
    if is_due:
        release(tx, after)
    names = dict.fromkeys((*moment.due, *stirred(after.events, in_force)))
    plan_all = partial(plan, quarantine=rules.quarantine, since=moment.since, corrected=moment.corrected)
    plan_all(tx, names, in_force, rules.host, after)
    told = len(after.events)
    follow(tx, after)
    plan_all(tx, stirred(after.events[told:], in_force), in_force, rules.host, after)
    if is_due or names or after.final:
        reservation.promote(tx)
        try_again(tx, after)
    watched = rules.watched if after.change is None else vigil.watched(in_force)
    if not moment.draining:
        # What starts late just now is late all the same.
        if moment.is_anew:
            vigil.forget_others(tx, watched, after)
        vigil.watch(tx, {*moment.late, *vigil.concerned(after.events, watched)}, watched, after)
    ring(tx, after.events, in_force, rules.specs, rules.bell, after)
    seen = len(after.events)
    if is_in_time and not moment.draining:
        rules.reservation.reserve(
            tx, moment.seats, moment.places, rules.specs, after, hiring=moment.hiring, quarantine=rules.quarantine
        )
        vigil.watch(tx, vigil.concerned(after.events[seen:], watched), watched, after)
    # What starts is known only now; what is to be told of it starts with the next tick, which is due at once.
    again = tx.now if ring(tx, after.events[seen:], in_force, rules.specs, rules.bell, after) else None
    after.next_due = min(filter(None, (again, coming.next_at(tx), after.next_token)), default=None)
    return after


def answer(tx: Transaction, rules: Rules, batch: Batch, after: Aftermath) -> None:
    """Apply every intent in the order it came, and keep in the audit trail what came of it."""
    asked: list[audited.Asked] = []
    for questions in together.neighbours(batch.questions):
        said = _said(tx, rules, [question.intent for question in questions], after)
        after.answers += zip(questions, said, strict=True)
        for question, one in zip(questions, said, strict=True):
            if not isinstance(question.intent, AdoptCatalog):
                asked.append((question.intent, one))
    audit.append(tx, audited.entries(asked, tx.now))


def _adopted(tx: Transaction, rules: Rules, catalog: Catalog, *, anew: bool) -> Change:
    return catalogs.adopt(tx, catalog, rules.in_force, rules.host, anew=anew, quarantine=rules.quarantine)


def _said(tx: Transaction, rules: Rules, intents: Sequence[Asked], after: Aftermath) -> Sequence[object]:
    """The answers to one intent, or to plain submits that came one after the other."""
    most = rules.most_queued_per_user
    match intents[0]:
        case AdoptCatalog(catalog, releases):
            after.change = _adopted(tx, rules, catalog, anew=releases is not None)
            if releases is not None:
                versions.note(tx, releases)
            return [after.change]
        case TestChannel() as intent:
            return [bell.test(tx, intent, rules.bell, after)]
        case intent if len(intents) == 1:
            return [apply.answer(tx, intent, rules.in_force, most, after)]
        case _:
            submits = [intent for intent in intents if isinstance(intent, Submit)]
            return together.submit(tx, submits, rules.in_force, most, after)
