"""Ten thousand jobs due in the same second: each fires once, limits hold, and clients are answered meanwhile."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime

import pytest

from tests.e2e.conftest import MakeHost
from tests.e2e.daemon import Host, until
from tests.e2e.ledger import nothing_fired_twice, rows

_JOBS_A_FILE = 500
_LIMIT = 6
_SETTINGS = f"workers: {{max: 8}}\nqueues: {{herd: {{max_running: {_LIMIT}}}}}\nlogging: {{level: warning}}\n"
_EVERY = "*/20 * * * * *"
"""Soon after whenever the last of the jobs is in force, all of them are due at once."""


def herd(host: Host, count: int) -> None:
    """So many jobs that do nothing, all due at the same seconds."""
    host.script("herd.py", "def nothing(_payload):\n    pass\n")
    for start in range(0, count, _JOBS_A_FILE):
        names = (f"herd-{number:05}" for number in range(start, min(start + _JOBS_A_FILE, count)))
        lines = [f"  {name}: {{python: 'herd:nothing', schedule: '{_EVERY}', queue: herd}}\n" for name in names]
        host.define(f"herd-{start:05}", "jobs:\n" + "".join(lines))


def slots_decided(host: Host) -> int:
    return int(rows(host, "SELECT count(*) FROM slot")[0][0])


def first_slot(host: Host) -> int:
    """The slot that all jobs share, once one of them has it."""
    return int(until(lambda: rows(host, "SELECT min(at) FROM slot")[0][0], 120.0, "the first slot"))


def all_over(host: Host, slot: int, count: int) -> bool:
    """Whether every run of a slot is over."""
    over = rows(host, "SELECT count(*) FROM run WHERE slot = ? AND finished_at IS NOT NULL", slot)
    return bool(over[0][0] == count)


def most_at_once(host: Host) -> int:
    """How many attempts were ever under way at the same time, from their reservation to their end."""
    marks = rows(
        host,
        """SELECT reserved_at, 1 FROM attempt UNION ALL SELECT finished_at, -1 FROM attempt
           WHERE finished_at IS NOT NULL ORDER BY 1, 2""",
    )
    count = most = 0
    for _, change in marks:
        count += change
        most = max(most, count)
    return most


class Caller:
    """A client that keeps asking small questions and the largest there is, and notes how long each answer took."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.small: list[float] = []
        self.lists: list[float] = []

    def __enter__(self) -> Caller:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _ask(self) -> None:
        with self._host.client(60.0) as client:
            while not self._over.is_set():
                for path, answers in (
                    ("/v1/version", self.small),
                    ("/v1/queues", self.small),
                    ("/v1/status", self.lists),
                ):
                    began = time.monotonic()
                    client.request("GET", path)
                    answers.append(time.monotonic() - began)
                time.sleep(0.02)


def told(name: str, answers: list[float]) -> str:
    ordered = sorted(answers)
    p50, p99 = ordered[len(ordered) // 2], ordered[int(0.99 * len(ordered))]
    figures = (("p50", p50), ("p99", p99), ("most", ordered[-1]))
    times = ", ".join(f"{what} {seconds * 1e3:.0f} ms" for what, seconds in figures)
    return f"{name}: {len(ordered)} answers, {times}"


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_ten_thousand_jobs_due_at_once_each_fire_once_within_their_limits(make_host: MakeHost) -> None:
    count, host = 10_000, make_host(_SETTINGS)
    herd(host, count)
    host.start(240.0)
    slot = first_slot(host)
    with Caller(host) as caller:
        until(lambda: all_over(host, slot, count), 900.0, "every run of the slot is over")
    host.kill()  # the next slots come soon, and the store is to hold still
    of_slot = rows(
        host, "SELECT disposition, count(*), count(DISTINCT job), count(DISTINCT run) FROM slot WHERE at = ?", slot
    )
    assert of_slot == [("started", count, count, count)]
    assert rows(host, "SELECT state, count(*) FROM run WHERE slot = ? GROUP BY state", slot) == [("succeeded", count)]
    nothing_fired_twice(host)
    assert most_at_once(host) <= _LIMIT
    last = rows(host, "SELECT max(finished_at) FROM run WHERE slot = ?", slot)[0][0]
    print(f"the last of {count:,} ended {(last - slot) / 1e6:.1f} s after the slot")
    print(told("version and queues", caller.small), told("status", caller.lists), sep="\n")
    assert max(caller.small) < 30.0, "asked in the middle of it, jobd answers; how soon is for the bench"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_daemon_killed_amid_a_herd_goes_on_where_it_was(make_host: MakeHost) -> None:
    count, host = 3000, make_host(_SETTINGS)
    herd(host, count)
    host.start(120.0)
    slot = first_slot(host)
    until(lambda: slots_decided(host) >= count // 10, 120.0, "some slots are decided")
    host.kill()
    decided = slots_decided(host)
    host.start(120.0)
    until(lambda: all_over(host, slot, count), 300.0, "every run of the slot is over")
    host.kill()
    found = rows(host, "SELECT disposition, count(*), count(DISTINCT job) FROM slot WHERE at = ?", slot)
    assert found == [("started", count, count)], f"{decided} were decided by {datetime.now(UTC)}"
    nothing_fired_twice(host)
    assert most_at_once(host) <= _LIMIT
