"""What a host would do with the slots of some time: which start, wait or are skipped, given how long runs take.

It goes by the rules that the daemon goes by (overlap, limits of job, queue and host, priority), over plain numbers:
instants and spans are seconds. Nobody submits anything, nothing fails, the host is always there, and a run that is
replaced is gone at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

from jobd.core.forecast import Crowd, Forecast, Incident, Limits, Load, Tally
from jobd.core.overlap import Active, Go, Skip, meet


def simulate(
    loads: Sequence[Load], slots: Iterable[tuple[float, int]], until: float, limits: Limits, most_incidents: int = 1000
) -> Forecast:
    """Walk the slots, each an instant and the index of its load, in order; what is under way at the end is let finish.

    `until` bounds the slots that come of `after_seconds`.
    """
    host = _Host(loads, limits, most_incidents, until)
    for at, indices in host.moments(slots):
        for index in indices:
            host.meet(at, index)
        host.reserve(at)
    return host.forecast()


@dataclass(slots=True)
class _Run:
    id: int
    index: int
    at: float
    ends_at: float = 0.0
    started: bool = False
    is_over: bool = False
    was_parked: bool = False


@dataclass(slots=True)
class _Work:
    """The runs of one job."""

    waiting: dict[int, _Run] = field(default_factory=dict)
    running: dict[int, _Run] = field(default_factory=dict)
    parked: list[_Run] = field(default_factory=list)
    """Those that had their turn while the job was at its limit."""


class _Host:
    def __init__(self, loads: Sequence[Load], limits: Limits, most_incidents: int, until: float) -> None:
        self._loads, self._limits, self._most, self._until = loads, limits, most_incidents, until
        self._work = [_Work() for _ in loads]
        self._tallies = {load.name: Tally() for load in loads}
        self._crowds: dict[str, Crowd] = {}
        self._host = Crowd(limits.workers)
        self._ready: dict[str, list[tuple[int, float, int, _Run]]] = {}
        self._ends: list[tuple[float, int, _Run]] = []
        self._later: list[tuple[float, int]] = []
        self._incidents: list[Incident] = []
        self._incident_count = 0
        self._minutes: Counter[int] = Counter()
        self._ids = 0
        self._last_queue = ""
        self._held: dict[str, str] = {}

    def moments(self, slots: Iterable[tuple[float, int]]) -> Iterator[tuple[float, list[int]]]:
        """Every instant at which something happens, with the slots due then, until nothing is left.

        What ends then has ended before the slots are met, as in a tick of the daemon.
        """
        rest = iter(slots)
        following = next(rest, None)
        while following or self._later or self._ends:
            at = min(first[0] for first in (following, *self._later[:1], *self._ends[:1]) if first)
            while self._ends and self._ends[0][0] <= at:
                self._finish()
            batch: list[int] = []
            while following and following[0] <= at:
                batch.append(following[1])
                following = next(rest, None)
            while self._later and self._later[0][0] <= at:
                batch.append(heappop(self._later)[1])
            yield at, batch

    def meet(self, at: float, index: int) -> None:
        """Decide a slot among the runs of its job."""
        load, work = self._loads[index], self._work[index]
        tally = self._tallies[load.name]
        tally.slots += 1
        self._minutes[int(at // 60)] += 1
        active = Active(tuple(work.waiting), tuple(work.running), load.max_running)
        match meet(load.overlap, active, 0):
            case Skip():
                tally.skipped += 1
                left = min((run.ends_at for run in work.running.values()), default=at) - at
                self._note(Incident(at, load.name, "skipped", "overlap", max(0.0, left)))
            case Go(replaces=replaces):
                for old in replaces:
                    self._give_way(at, index, old)
                self._enqueue(at, index)

    def _give_way(self, at: float, index: int, old: int) -> None:
        """Drop a run in favour of a newer slot."""
        load, work = self._loads[index], self._work[index]
        tally = self._tallies[load.name]
        if (waiting := work.waiting.pop(old, None)) is not None:
            waiting.is_over = True
            tally.coalesced += 1
            self._note(Incident(waiting.at, load.name, "coalesced", "overlap"))
        elif (running := work.running.get(old)) is not None:
            tally.replaced += 1
            self._note(Incident(running.at, load.name, "replaced", "overlap", running.ends_at - at))
            self._leave(running)

    def _enqueue(self, at: float, index: int) -> None:
        self._ids += 1
        run = _Run(self._ids, index, at)
        self._work[index].waiting[run.id] = run
        self._make_ready(run)
        deadline = self._loads[index].deadline_seconds
        if deadline is not None:
            heappush(self._ends, (at + deadline, run.id, run))

    def _make_ready(self, run: _Run) -> None:
        load = self._loads[run.index]
        heappush(self._ready.setdefault(load.queue, []), (-load.priority, run.at, run.id, run))

    def reserve(self, at: float) -> None:
        """Start what may start: queues take turns, the best run of each first."""
        while not self._host.is_full:
            names = sorted(name for name, ready in self._ready.items() if ready)
            turns = [name for name in names if name > self._last_queue] + [n for n in names if n <= self._last_queue]
            if not any(self._start_best(name, at) for name in turns):
                break
        if self._host.is_full:
            self._held.update(dict.fromkeys(self._ready, "workers"))

    def _start_best(self, queue: str, at: float) -> bool:
        """Start the first run of a queue that may; whether one did."""
        ready, crowd = self._ready[queue], self._crowd(queue)
        while ready and not self._host.is_full:
            run = ready[0][3]
            if run.is_over:
                heappop(ready)
            elif crowd.is_full:
                self._held[queue] = "queue"
                return False
            elif self._is_at_limit(run):
                run.was_parked = True
                self._work[run.index].parked.append(heappop(ready)[3])
            else:
                heappop(ready)
                self._start(run, crowd, at)
                self._last_queue = queue
                return True
        return False

    def _is_at_limit(self, run: _Run) -> bool:
        limit = self._loads[run.index].running_limit
        return limit is not None and len(self._work[run.index].running) >= limit

    def _start(self, run: _Run, crowd: Crowd, at: float) -> None:
        load, work = self._loads[run.index], self._work[run.index]
        tally = self._tallies[load.name]
        work.running[run.id] = work.waiting.pop(run.id)
        run.ends_at, run.started = at + load.seconds, True
        heappush(self._ends, (run.ends_at, run.id, run))
        crowd.enter(at)
        self._host.enter(at)
        tally.started += 1
        if at > run.at:
            tally.waited += 1
            tally.longest_wait = max(tally.longest_wait, at - run.at)
            self._note(Incident(run.at, load.name, "waited", self._why_held(run), at - run.at))

    def _finish(self) -> None:
        """End the run whose end, or last chance to start, comes first."""
        at, _, run = heappop(self._ends)
        if run.is_over or (run.started and at < run.ends_at):
            return
        if not run.started:
            self._expire(run, at)
            return
        self._leave(run)
        after = self._loads[run.index].after_seconds
        if after is not None and at + after <= self._until:
            heappush(self._later, (at + after, run.index))

    def _expire(self, run: _Run, at: float) -> None:
        load = self._loads[run.index]
        run.is_over = True
        del self._work[run.index].waiting[run.id]
        self._tallies[load.name].expired += 1
        self._note(Incident(run.at, load.name, "expired", self._why_held(run), at - run.at))

    def _why_held(self, run: _Run) -> str:
        return "job" if run.was_parked else self._held.get(self._loads[run.index].queue, "queue")

    def _leave(self, run: _Run) -> None:
        run.is_over = True
        load, work = self._loads[run.index], self._work[run.index]
        work.running.pop(run.id)
        self._crowd(load.queue).running -= 1
        self._host.running -= 1
        while work.parked:
            self._make_ready(work.parked.pop())

    def _crowd(self, queue: str) -> Crowd:
        crowd = self._crowds.get(queue)
        if crowd is None:
            crowd = self._crowds[queue] = Crowd(self._limits.queues.get(queue))
        return crowd

    def _note(self, incident: Incident) -> None:
        self._incident_count += 1
        if len(self._incidents) < self._most:
            self._incidents.append(incident)

    def forecast(self) -> Forecast:
        busiest = max(self._minutes.items(), key=lambda minute: (minute[1], -minute[0]), default=None)
        return Forecast(
            self._tallies,
            self._crowds,
            self._host,
            self._incidents,
            self._incident_count,
            None if busiest is None else (busiest[0] * 60.0, busiest[1]),
        )
