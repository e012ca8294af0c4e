"""Kills, restarts and reloads around the very instants of slots: each has one row and one run, and none is lost.

JOBD_STORM_SEED replays a sequence; timing is the machine's.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from threading import Event, Thread

import pytest

from tests.e2e.conftest import MakeHost
from tests.e2e.daemon import Host, until
from tests.e2e.ledger import nothing_fired_twice, rows, slots_of, started_runs

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
SETTINGS = "workers: {max: 4}\nqueues: {default: {max_running: 4}}\ndrain_timeout: 5s\n"
BOOK = 'echo "$JOBD_RUN_ID.$JOBD_ATTEMPT" >> {path}'


def dice() -> random.Random:
    seed = int(os.environ.get("JOBD_STORM_SEED") or random.SystemRandom().randrange(10**6))
    print(f"JOBD_STORM_SEED={seed}")
    return random.Random(seed)


def executed_once(book: Path) -> None:
    lines = book.read_text().split()
    assert len(lines) == len(set(lines))


def is_without_gap(host: Host, job: str) -> None:
    """Every slot of a job that is due each second has started its run."""
    found = slots_of(host, job)
    assert {slot: word for slot, word in found.items() if not word.startswith("started")} == {}
    slots = sorted(found)
    assert [f"{a} {b}" for a, b in pairwise(slots) if b - a != SECOND] == []


def is_idle(host: Host) -> bool:
    return rows(host, "SELECT 1 FROM run WHERE finished_at IS NULL") == []


def at_a_slot(host: Host, job: str, offset: float) -> None:
    """Wait for an instant so many seconds after (or before) a whole second from the job's first slot."""
    phase = min(slots_of(host, job)).timestamp() % 1 + offset
    time.sleep((phase - time.time()) % 1)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_fifty_kills_around_slots_lose_none_and_repeat_none(make_host: MakeHost) -> None:
    die, host = dice(), make_host(SETTINGS)
    book = host.directory / "book"
    shell = BOOK.format(path=book)
    common = "overlap: allow, catch_up: all"
    host.define("fast", f"jobs:\n  fast: {{shell: '{shell}', schedule: every 1s, {common}}}\n")
    cron = f"jobs:\n  cron: {{shell: '{shell}', schedule: '* * * * * *', {common}}}\n"
    if _takes_seconds(host):
        host.define("cron", cron)
    host.start()
    until(lambda: started_runs(host, "fast") >= 1)
    for _ in range(50):
        assert host.process is not None
        if die.random() < 0.35:
            until(host.answers, 20)
        at_a_slot(host, "fast", die.uniform(-0.05, 0.05))
        if die.random() < 0.1:
            host.end()
        else:
            host.kill()
        host.launch()
    until(host.answers, 20)
    for path in host.jobs.iterdir():
        path.unlink()
    with host.client() as client:
        until(lambda: not client.jobs(), 10)
    until(lambda: is_idle(host), 60)
    assert host.end() == 0
    for job in ("fast", "cron")[: 1 + _takes_seconds(host)]:
        is_without_gap(host, job)
        assert len(slots_of(host, job)) > 25
    nothing_fired_twice(host)
    executed_once(book)


def _takes_seconds(host: Host) -> bool:
    """Whether this version reads cron expressions of six fields."""
    from jobd.core.schedule import parse

    try:
        parse("* * * * * *")
    except ValueError:
        return False
    return True


MINUTELY = """
defaults: {{timezone: UTC, overlap: allow}}
jobs:
  skip: {{shell: '{book}', schedule: "* * * * *", catch_up: skip}}
  latest: {{shell: '{book}', schedule: "* * * * *", catch_up: latest}}
  all: {{shell: '{book}', schedule: "* * * * *", catch_up: all}}
"""


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_a_restart_in_the_very_second_of_the_slot_runs_it_once(make_host: MakeHost) -> None:
    die, host = dice(), make_host(SETTINGS)
    clock, book = host.with_own_clock(), host.directory / "book"
    host.define("minutely", MINUTELY.format(book=BOOK.format(path=book)))
    host.start()
    for number in range(16):
        slot = (clock.now() + MINUTE).replace(second=0, microsecond=0)
        if slot - clock.now() < 2 * SECOND:
            slot += MINUTE
        clock.set_to(slot - 0.6 * SECOND)
        until(lambda: host.log().count("The wall clock was set forward") == number + 1)  # noqa: B023
        moment = slot + timedelta(seconds=die.uniform(-0.1, 0.1))
        until(lambda: clock.now() >= moment, 3)  # noqa: B023
        host.end() if die.random() < 0.5 else host.kill()
        if die.random() < 0.3:
            until(lambda: clock.now() > slot + 0.2 * SECOND)  # noqa: B023
        host.start()
        for job in ("skip", "latest", "all"):
            word = until(lambda: slots_of(host, job).get(slot), 10, f"{job} at {slot}")  # noqa: B023
            assert word == "started ", f"{job} at {slot}"
    until(lambda: is_idle(host), 20)
    nothing_fired_twice(host)
    executed_once(book)


STEADY = """
jobs:
  {name}: {{shell: '{book}', schedule: every 1s, overlap: allow}}
  {name}-seldom: {{command: ["true"], schedule: [every 7m, "13 4 * * *"]}}
"""


def _write_slowly(path: Path, text: str) -> None:
    """As an editor does that writes in place: for a moment there is only half of it."""
    with path.open("w") as file:
        file.write(text[: len(text) // 2])
        file.flush()
        time.sleep(0.005)
        file.write(text[len(text) // 2 :])


def _write_backup_and_new(path: Path, text: str) -> None:
    """As an editor does that keeps a backup: for a moment the file is not there."""
    path.rename(path.with_suffix(".yaml~"))
    time.sleep(0.005)
    path.write_text(text)


@contextmanager
def reload_storm(host: Host, texts: dict[str, str]) -> Iterator[None]:
    """Twenty times a second: rewrite, touch, rename and change files, and SIGHUP, until the block ends."""
    leaving, turns = Event(), iter(range(10**6))
    path = {name: host.jobs / f"{name}.yaml" for name in texts}

    def turn(number: int) -> None:
        host.define("unchanged", texts["unchanged"])
        os.utime(path["touched"])
        _write_slowly(path["inplace"], texts["inplace"])
        _write_backup_and_new(path["backed"], texts["backed"])
        schedule = "every 1s" if number % 2 else '"0 0 1 1 *"'
        host.define("changing", texts["changing"].replace("every 1s", schedule))
        here, there = ("elsewhere", "moving") if number % 2 else ("moving", "elsewhere")
        (host.jobs / f"{here}.yaml").rename(host.jobs / f"{there}.yaml")
        assert host.process is not None
        host.process.send_signal(signal.SIGHUP)

    def blow() -> None:
        while not leaving.wait(0.05):
            turn(next(turns))

    storm = Thread(target=blow)
    storm.start()
    try:
        yield
    finally:
        leaving.set()
        storm.join()


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_a_storm_of_reloads_moves_no_slot_of_a_job_that_did_not_change(make_host: MakeHost) -> None:
    host = make_host(SETTINGS)
    book = host.directory / "book"
    names = ("unchanged", "touched", "inplace", "backed", "changing", "moving")
    texts = {name: STEADY.format(name=name, book=BOOK.format(path=book)) for name in names}
    for name, text in texts.items():
        host.define(name, text)
    host.start()
    steady = [name for name in names if name != "changing"]
    until(lambda: all(started_runs(host, name) >= 1 for name in names))
    with host.client() as client:
        before = {name: client.next(f"{name}-seldom", 3) for name in steady}
    with reload_storm(host, texts):
        ends = time.monotonic() + 20
        while time.monotonic() < ends:
            until(host.answers, 5, "the daemon answers in the storm")
            time.sleep(0.2)
    host.define("changing", texts["changing"])
    with host.client() as client:
        client.reload()
        for name in steady:
            assert client.next(f"{name}-seldom", 3) == before[name], name
    count = started_runs(host, "changing")
    until(lambda: started_runs(host, "changing") > count, 10)
    for path in host.jobs.iterdir():
        path.unlink()
    with host.client() as client:
        until(lambda: not client.jobs(), 10)
    until(lambda: is_idle(host), 30)
    nothing_fired_twice(host)
    executed_once(book)
    for name in steady:
        is_without_gap(host, name)
        assert len(slots_of(host, name)) >= 20


@pytest.mark.slow
def test_a_removal_is_honoured_within_two_seconds_and_the_gap_of_an_editor_is_none(make_host: MakeHost) -> None:
    host = make_host(SETTINGS)
    path = host.define("fast", "jobs:\n  fast: {command: ['true'], schedule: every 1s, overlap: allow}\n")
    host.start()
    until(lambda: started_runs(host, "fast") >= 1)
    hidden = path.with_suffix(".yaml~")
    for _ in range(3):
        path.rename(hidden)
        time.sleep(0.5)
        hidden.rename(path)
        time.sleep(0.5)
        with host.client() as client:
            assert [job["name"] for job in client.jobs()] == ["fast"]
    is_without_gap(host, "fast")
    path.unlink()
    with host.client() as client:
        until(lambda: client.jobs() == [], 2.5, "the job is gone")
    count = len(slots_of(host, "fast"))
    time.sleep(1.5)
    assert len(slots_of(host, "fast")) == count
