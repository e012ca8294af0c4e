"""The stage that has people told: an occasion becomes runs of the built-in jobs of channels, in the same transaction.

What carries notifications is never told of itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from jobd.core import channels, events, notices
from jobd.core.errors import NotFound
from jobd.core.intents import Accepted, TestChannel
from jobd.core.model import Job, Json, Notify, RunRequest
from jobd.core.names import ADHOC, is_reserved
from jobd.core.notices import Notice, Occasion
from jobd.core.spans import rfc3339
from jobd.core.states import Trigger
from jobd.store import notices as store
from jobd.store import runs, submits
from jobd.store.connection import Transaction
from jobd.supervisor.accept import accept
from jobd.supervisor.aftermath import Aftermath
from jobd.supervisor.cancel import cancel_waiting
from jobd.supervisor.catalogs import InForce
from jobd.supervisor.channels import Line
from jobd.supervisor.specs import Specs

_DIGEST = "digest"
"""The key of runs that carry several messages, by which those that wait are found."""
_MOST_PINGS = 100
"""Pings of one channel that wait; older ones make way for newer ones, which say more."""
_START_COUNTS = timedelta(minutes=5)
"""A ping of a start that is later than this tells nothing any more."""


@dataclass(slots=True)
class Bell:
    """What notifications are made with."""

    host: str = "localhost"
    tail: Callable[[int, int, Job | None], str] = lambda run, attempt, job: ""  # noqa: ARG005
    """The end of the output of an attempt of a job, for people to read: no secrets, a few lines."""
    template: Job | None = None
    """What ad-hoc runs are made from."""
    lines: Mapping[str, Line] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Told:
    """Whose event it is: the job by its id and definition, and what of it somebody wants to be told of."""

    id: int
    job: Job
    notify: Notify


def ring(
    tx: Transaction,
    happened: Sequence[events.Event],
    in_force: Mapping[str, InForce],
    specs: Specs,
    bell: Bell,
    after: Aftermath,
) -> bool:
    """Have people told of what has happened; whether there was anything to tell."""
    if not bell.lines or not happened:
        return False
    house = _House(tx, in_force, specs, bell)
    attempts = {one.key.run: one.key.attempt for one in happened if isinstance(one, events.AttemptFinished)}
    found: dict[tuple[str, Occasion], Notice] = {}
    ends: list[events.RunFinished | events.AttemptStarted] = []
    for event in happened:
        if isinstance(event, events.RunFinished | events.AttemptStarted) and house.pings(event):
            ends.append(event)
        notice = notices.of_event(event)
        for one in house.settled(notice) if notice is not None else ():
            before = found.get((one.job, one.occasion))
            found[one.job, one.occasion] = one if before is None else notices.merged(before, one)
    _drop_doubles(found)
    messages = house.weighed(found.values(), attempts)
    count = len(after.events)
    for line in bell.lines.values():
        if line.channel.pings:
            _ping(tx, line, ends, messages, house, attempts, after)
        elif texts := [told for told, via in messages if line.channel.name in via]:
            _post(tx, line, texts, bell, after)
    return len(after.events) > count


def _drop_doubles(found: dict[tuple[str, Occasion], Notice]) -> None:
    """A run that has failed for good is not told of a second time for its last attempt."""
    for job, occasion in list(found):
        if occasion is Occasion.ATTEMPT_FAILURE and (final := found.get((job, Occasion.FAILURE))) is not None:
            one = found[job, occasion]
            if one.times <= final.times:
                del found[job, occasion]


@dataclass(slots=True)
class _House:
    """Whom events concern, each looked up once."""

    tx: Transaction
    in_force: Mapping[str, InForce]
    specs: Specs
    bell: Bell
    _known: dict[str, Told | None] = field(default_factory=dict)

    def told(self, name: str, run: int | None) -> Told | None:
        """What is to be told of the job of this name; None where nothing is."""
        if name not in self._known:
            self._known[name] = self._find(name, run)
        return self._known[name]

    def _find(self, name: str, run: int | None) -> Told | None:
        if is_reserved(name):
            return None
        known = self.in_force.get(name)
        if known is not None:
            return Told(known.ref.job, known.job, known.job.notify) if known.job.notify else None
        if name == ADHOC and (self.bell.template is None or self.bell.template.notify is None):
            return None
        ref = None if run is None else runs.ref_of(self.tx, run)
        job = None if ref is None else self.specs.get(self.tx, ref.spec)
        return Told(ref.job, job, job.notify) if ref and job and job.notify else None

    def pings(self, event: events.RunFinished | events.AttemptStarted) -> bool:
        """Whether a healthcheck wants to know of this start or end of a run."""
        run = event.run if isinstance(event, events.RunFinished) else event.key.run
        told = self.told(event.job, run)
        return told is not None and any(line.channel.pings for line in self._via(told))

    def _via(self, told: Told) -> Iterable[Line]:
        return (line for name in told.notify.via if (line := self.bell.lines.get(name)) is not None)

    def settled(self, notice: Notice) -> list[Notice]:
        """A notice with what it means for earlier ones: a success ends what was wrong, and may be a recovery."""
        told = self.told(notice.job, notice.run)
        if told is None:
            return []
        if notice.occasion is not Occasion.SUCCESS or told.id == 0:
            return [notice]
        ended = store.settle(self.tx, told.id)
        since = min((at for occasion, at in ended.items() if occasion in notices.TROUBLE), default=None)
        recovery = Notice(
            Occasion.RECOVERY, notice.job, notice.at, notice.queue, notice.run, outcome=notice.outcome, since=since
        )
        return [notice] if since is None else [notice, recovery]

    def weighed(
        self, found: Iterable[Notice], attempts: Mapping[int, int]
    ) -> list[tuple[dict[str, Json], tuple[str, ...]]]:
        """What is to be told now, as facts, and through which channels."""
        made = []
        for notice in found:
            told = self.told(notice.job, notice.run)
            assert told is not None
            now = self._weigh(told, notice)
            if now is not None:
                made.append((self.facts(told, now, attempts), told.notify.via))
        return made

    def _weigh(self, told: Told, notice: Notice) -> Notice | None:
        is_wanted = notice.occasion.value in told.notify.on
        if not notices.is_remembered(notice.occasion):
            return notice if is_wanted else None
        known, now = notices.weigh(
            store.known(self.tx, told.id, notice.occasion), notice, told.notify.repeat_after_seconds
        )
        store.note(self.tx, told.id, notice.occasion, known)
        return now if is_wanted else None

    def facts(self, told: Told, notice: Notice, attempts: Mapping[int, int]) -> dict[str, Json]:
        run, attempt = notice.run, notice.attempt
        if run is not None and attempt is None:
            attempt = attempts.get(run)
        is_bad = notice.occasion in (Occasion.FAILURE, Occasion.ATTEMPT_FAILURE)
        tail = self.bell.tail(run, attempt, told.job) if run and attempt and is_bad else ""
        made = notices.facts(notice, told.job, self.bell.host, tail)
        return made | {"attempt": attempt}


def _post(tx: Transaction, line: Line, texts: list[dict[str, Json]], bell: Bell, after: Aftermath) -> None:
    """Send messages each by itself as long as they are few, and the others together."""
    channel, job = line.channel, line.job.ref.job
    since = tx.now - timedelta(seconds=channel.digest_seconds)
    room = max(0, channel.digest_after - store.recent(tx, job, since, channel.digest_after))
    made = [channels.message(channel, told) for told in texts]
    _send(tx, line, [_request(line, one) for one in made[:room]], after)
    rest = made[room:]
    if not rest:
        return
    waiting = store.waiting_digest(tx, job, _DIGEST)
    if waiting is not None:
        run, before = waiting
        submits.replace_payload(tx, run, channels.digest(before, rest, bell.host))
        return
    at = tx.now + timedelta(seconds=channel.digest_seconds)
    _send(tx, line, [_request(line, channels.digest(None, rest, bell.host), run_at=at, key=_DIGEST)], after)


def _ping(
    tx: Transaction,
    line: Line,
    ends: Iterable[events.RunFinished | events.AttemptStarted],
    messages: Iterable[tuple[dict[str, Json], tuple[str, ...]]],
    house: _House,
    attempts: Mapping[int, int],
    after: Aftermath,
) -> None:
    """Tell a healthcheck of starts and ends of runs, and write what else there is to tell into its log."""
    name, requests = line.channel.name, []
    for event in ends:
        run = event.run if isinstance(event, events.RunFinished) else event.key.run
        told = house.told(event.job, run)
        if told is not None and name in told.notify.via:
            requests += _pings_of(line, event, told, house.bell, attempts)
    for facts, via in messages:
        if name in via and facts["occasion"] not in ("success", "failure", "recovery"):
            text = notices.summary(dict(facts))
            requests.append(_request(line, channels.ping(facts, "log", None, text)))
    excess = store.waiting(tx, line.job.ref.job, _MOST_PINGS + len(requests)) + len(requests) - _MOST_PINGS
    if requests and excess > 0:
        for run in store.oldest_waiting(tx, line.job.ref.job, excess):
            cancel_waiting(tx, run, "newer pings wait", after)
    _send(tx, line, requests[-_MOST_PINGS:], after)


def _pings_of(
    line: Line,
    event: events.RunFinished | events.AttemptStarted,
    told: Told,
    bell: Bell,
    attempts: Mapping[int, int],
) -> list[RunRequest]:
    if isinstance(event, events.AttemptStarted):
        if event.key.attempt > 1:
            return []
        rid = channels.run_uuid(bell.host, event.job, event.key.run)
        facts = {
            "occasion": "start",
            "job": event.job,
            "run": event.key.run,
            "at": rfc3339(event.at),
            "host": bell.host,
        }
        text = f"run {event.key.run} of {event.job} on {bell.host} started"
        request = _request(line, channels.ping(facts, "start", rid, text), expires=_START_COUNTS.total_seconds())
        return [request]
    notice = Notice(
        Occasion.FAILURE,
        event.job,
        event.at,
        event.queue,
        event.run,
        attempts.get(event.run),
        event.outcome or event.state,
        event.exit_code,
        event.reason,
        duration_seconds=event.duration_seconds,
    )
    tail = bell.tail(event.run, notice.attempt, told.job) if notice.attempt else ""
    facts = notices.facts(notice, told.job, bell.host, tail) | {"occasion": event.state, "headline": event.state}
    rid = channels.run_uuid(bell.host, event.job, event.run)
    signal = channels.signal_of(event.state, event.exit_code)
    return [_request(line, channels.ping(facts, signal, rid, notices.summary(facts)))]


def _request(
    line: Line,
    message: dict[str, Json],
    *,
    run_at: datetime | None = None,
    key: str | None = None,
    expires: float | None = None,
) -> RunRequest:
    job = line.job.job
    return RunRequest(
        job=job,
        trigger=Trigger.SUBMIT,
        payload={"channel": line.channel.name, **message},
        queue=job.queue,
        run_at=run_at,
        key=key,
        max_attempts=1 if expires is not None else job.retry.max_attempts or 1,
        expires_seconds=expires,
    )


def _send(tx: Transaction, line: Line, requests: Sequence[RunRequest], after: Aftermath) -> list[Accepted]:
    return accept(tx, requests, {line.job.job.name: line.job}, after) if requests else []


def test(tx: Transaction, intent: TestChannel, bell: Bell, after: Aftermath) -> Accepted | NotFound:
    """Send a message that says that it is a test; the run that carries it."""
    line = bell.lines.get(intent.channel)
    if line is None:
        known = ", ".join(sorted(bell.lines)) or "none"
        return NotFound(f"there is no channel {intent.channel} in jobd.yaml (channels there: {known})")
    message = channels.trial(bell.host, rfc3339(tx.now), intent.actor.user)
    # Somebody waits to see what becomes of it: it is tried once, and nobody has to put it away.
    once = replace(_request(line, message), job=replace(line.job.job, dead_letter=False), max_attempts=1)
    (accepted,) = _send(tx, line, [once], after)
    return accepted
