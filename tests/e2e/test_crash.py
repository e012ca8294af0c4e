"""kill -9 of jobd under load, and what may never be broken by it (the books of clients, jobs and store compared).

JOBD_CRASH_SEED replays a sequence of kills and submissions; timing is the machine's.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import pytest

from tests.e2e.conftest import MakeHost
from tests.e2e.crash import Customer, customers, prepare
from tests.e2e.daemon import Host, until

FINAL = ("succeeded", "failed", "cancelled", "skipped", "expired")
SETTINGS = "workers: {max: 4}\nqueues: {default: {max_running: 4}, clock: {max_running: 2}}\ndrain_timeout: 10s\n"


@dataclass
class Aftermath:
    """Everything there is to compare when the last daemon has ended."""

    books: Path
    customers: list[Customer]
    base: apsw.Connection

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self.base.execute(sql).fetchall()

    def lines(self, word: str) -> Iterator[list[str]]:
        for line in (self.books / "jobs.log").read_text().splitlines():
            if line.split()[0] == word:
                yield line.split()[1:]


def kill_under_load(host: Host, kills: int, seed: int) -> Aftermath:
    """Kill the daemon at random moments, let the last one settle everything, and end it."""
    dice = random.Random(seed)
    books = prepare(host)
    host.start()
    with customers(host, books, 3, seed) as clients:
        for _ in range(kills):
            time.sleep(dice.uniform(0.0, 0.7))
            if dice.random() < 0.15:
                until(host.answers)
                host.kill_everything()
            else:
                host.kill()
            host.launch()
            if dice.random() < 0.8:
                until(host.answers, 20, "the daemon answers again")
    until(host.answers)
    (host.jobs / "clock.yaml").unlink()
    with host.client() as client:
        client.reload()
    until(lambda: _is_idle(host), 90, "every run is final")
    assert host.end() == 0, host.log()[-3000:]
    return Aftermath(books, clients, apsw.Connection(str(host.database), flags=apsw.SQLITE_OPEN_READONLY))


def _is_idle(host: Host) -> bool:
    with host.client() as client:
        states = [queue["states"] for queue in client.queues()]
        clocks = any(job["name"] == "ticking" for job in client.jobs())
    return not clocks and all(state in FINAL for one in states for state in one)


def nothing_is_broken(after: Aftermath) -> None:
    accepted_runs_are_there(after)
    keys_name_one_run(after)
    attempts_are_executed_once(after)
    states_agree(after)
    slots_are_unique_and_without_gaps(after)
    times_are_in_order(after)
    cancelled_runs_stay_cancelled(after)
    assert after.rows("PRAGMA integrity_check") == [("ok",)]
    assert after.rows("PRAGMA foreign_key_check") == []


def accepted_runs_are_there(after: Aftermath) -> None:
    stored = dict(after.rows("SELECT run.id, payload FROM run LEFT JOIN run_data ON run_data.run = run.id"))
    for customer in after.customers:
        assert customer.refused == []
        for acked in customer.acked:
            said = json.dumps(acked.payload, separators=(",", ":"), ensure_ascii=False)
            assert stored.get(acked.run) == said, f"run {acked.run} ({acked.key})"


def keys_name_one_run(after: Aftermath) -> None:
    """A key that was sent once or often, answered or not, has made one run for its owner, queue and job."""
    assert after.rows("SELECT key, count(*) FROM run WHERE key IS NOT NULL GROUP BY key HAVING count(*) > 1") == []
    for customer in after.customers:
        assert [double for double in customer.doubled if double[1] != double[2]] == []
    acked = [one.run for customer in after.customers for one in customer.acked]
    assert len(acked) == len(set(acked))


def attempts_are_executed_once(after: Aftermath) -> None:
    starts = [(int(run), int(attempt)) for run, attempt, *_ in after.lines("start")]
    assert [key for key, count in Counter(starts).items() if count > 1] == []
    assert list(after.lines("overlap")) == []
    stored = {
        (run, attempt): outcome for run, attempt, outcome in after.rows("SELECT run, attempt, outcome FROM attempt")
    }
    assert [key for key in starts if key not in stored] == [], "started without the store's knowledge"
    never = [key for key, outcome in stored.items() if outcome in ("succeeded", "timeout") and key not in set(starts)]
    assert never == [], "ended well without a start"
    codes = {(int(run), int(attempt)): code for run, attempt, code in after.lines("end")}
    wrong = [key for key, outcome in stored.items() if outcome == "succeeded" and codes.get(key) != "0"]
    assert wrong == []


def states_agree(after: Aftermath) -> None:
    assert after.rows(f"SELECT id, state FROM run WHERE state NOT IN {FINAL} OR finished_at IS NULL") == []
    cancelled = {run for customer in after.customers for run in customer.asked_to_cancel}
    attempts: dict[int, list[tuple[int, str]]] = defaultdict(list)
    for run, attempt, outcome in after.rows("SELECT run, attempt, outcome FROM attempt ORDER BY run, attempt"):
        attempts[run].append((attempt, outcome))
    columns = "id, state, attempt, given_back, max_attempts, error"
    for run, state, count, back, most, error in after.rows(f"SELECT {columns} FROM run"):
        tried = attempts.get(run, [])
        assert [number for number, _ in tried] == list(range(1, count + 1)), f"run {run}: {tried}"
        assert count - back <= most, f"run {run} has {count} attempts of {most}"
        outcomes = [outcome for _, outcome in tried]
        assert None not in outcomes, f"run {run}"
        # A cancel that was accepted holds, also where the attempt had ended well before the kill could reach it.
        ended_well = state == "succeeded" or (
            state == "cancelled" and run in cancelled and outcomes[-1:] == ["succeeded"]
        )
        assert outcomes.count("succeeded") == ended_well, f"run {run} {state}: {outcomes}"
        assert state != "succeeded" or outcomes[-1] == "succeeded", f"run {run}: {outcomes}"
        if state == "failed":
            assert count - back == most or outcomes[-1] == "lost", (
                f"run {run} failed after {outcomes} of {most}: {error}"
            )


def slots_are_unique_and_without_gaps(after: Aftermath) -> None:
    ((job, first),) = after.rows("SELECT id, first_seen_at FROM job WHERE name = 'ticking'")
    slots = [at for (at,) in after.rows(f"SELECT at FROM slot WHERE job = {job} ORDER BY at")]
    assert slots
    assert slots == [first + 1_000_000 * n for n in range(1, len(slots) + 1)]
    assert after.rows("SELECT slot FROM run WHERE slot IS NOT NULL GROUP BY job, slot HAVING count(*) > 1") == []
    runs = dict(after.rows(f"SELECT slot, id FROM run WHERE job = {job} AND slot IS NOT NULL"))
    named = dict(after.rows(f"SELECT at, run FROM slot WHERE job = {job} AND disposition = 'started'"))
    assert runs == named


def times_are_in_order(after: Aftermath) -> None:
    assert after.rows("SELECT id FROM run WHERE started_at < created_at OR finished_at < created_at") == []
    assert (
        after.rows(
            "SELECT a.run, a.attempt, a.reserved_at, a.started_at, a.finished_at FROM attempt AS a JOIN run AS r "
            "ON r.id = a.run WHERE a.reserved_at < r.created_at OR a.finished_at < a.reserved_at "
            "OR a.started_at < a.reserved_at OR a.finished_at < a.started_at"
        )
        == []
    )
    assert (
        after.rows(
            "SELECT b.run, b.attempt FROM attempt AS a JOIN attempt AS b ON b.run = a.run AND "
            "b.attempt = a.attempt + 1 WHERE b.reserved_at < a.finished_at"
        )
        == []
    )


def cancelled_runs_stay_cancelled(after: Aftermath) -> None:
    """Cancelled while it waited: never executed again. While it ran: cancelled, or ended before anyone could."""
    starts = {int(run) for run, *_ in after.lines("start")}
    states = {run: (state, attempts) for run, state, attempts in after.rows("SELECT id, state, attempt FROM run")}
    for customer in after.customers:
        for run, said in customer.cancelled.items():
            state, attempts = states[run]
            if said == "cancelled":
                assert state == "cancelled", f"run {run} was cancelled and is {state}"
                assert attempts > 0 or run not in starts, f"run {run} was cancelled before it started, and started"


def _seed() -> int:
    seed = int(os.environ.get("JOBD_CRASH_SEED") or random.SystemRandom().randrange(10**6))
    print(f"JOBD_CRASH_SEED={seed}")
    return seed


@pytest.mark.slow
def test_a_few_kills_break_nothing(make_host: MakeHost) -> None:
    nothing_is_broken(kill_under_load(make_host(SETTINGS), 4, _seed()))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_fifty_kills_break_nothing(make_host: MakeHost) -> None:
    after = kill_under_load(make_host(SETTINGS), 50, _seed())
    nothing_is_broken(after)
    assert sum(len(customer.acked) for customer in after.customers) > 200
