"""The wall clock moved under a live daemon: nothing fires twice or is lost, and what is counted in real time goes on.

JOBD_CLOCK_SEED replays a walk of steps; timing is the machine's.
"""

from __future__ import annotations

import os
import random
import re
import signal
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from tests.e2e.conftest import MakeHost
from tests.e2e.daemon import Host, until
from tests.e2e.ledger import first_seen, nothing_fired_twice, rows, slots_of, started_runs
from tests.e2e.walk import DAY, HOUR, MINUTE, SECOND, Model, landing, steps
from tests.e2e.wallclock import WallClock, cpu_seconds

SETTINGS = "workers: {max: 4}\nqueues: {default: {max_running: 4}}\ndrain_timeout: 5s\n"


def metric(host: Host, name: str) -> float:
    with urllib.request.urlopen(f"http://{host.status()['metrics_address']}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
    assert found, name
    return float(found[1])


@pytest.mark.slow
def test_a_job_that_runs_every_second_goes_on_when_the_clock_is_set_back_by_an_hour(make_host: MakeHost) -> None:
    host = make_host(SETTINGS)
    clock = host.with_own_clock()
    host.define("fast", "jobs:\n  fast: {command: [/bin/true], schedule: every 1s}\n")
    host.start()
    until(lambda: started_runs(host, "fast") >= 1)
    clock.step(-HOUR)
    until(lambda: metric(host, "jobd_clock_steps_total") == 1, what="the step is noticed")
    before = started_runs(host, "fast")
    until(lambda: started_runs(host, "fast") >= before + 2, 5)
    nothing_fired_twice(host)
    assert host.log().count("The wall clock was set back by 1h") == 1


WALKERS = """
defaults: {timezone: UTC, overlap: allow}
jobs:
  fast: {shell: "%(book)s", schedule: every 1s}
  pace: {shell: "%(book)s", schedule: every 2s}
  min-skip: {shell: "%(book)s", schedule: "* * * * *", catch_up: skip}
  min-latest: {shell: "%(book)s", schedule: "* * * * *", catch_up: latest}
  min-all: {shell: "%(book)s", schedule: "* * * * *", catch_up: all}
  hourly: {shell: "%(book)s", schedule: "0 * * * *", catch_up: latest}
  daily: {shell: "%(book)s", schedule: "0 12 * * *", catch_up: all}
"""
BOOK = "read up rest < /proc/uptime; echo $JOBD_JOB $JOBD_RUN_ID $JOBD_SLOT $up >> {path}"


def uptime() -> float:
    return float(Path("/proc/uptime").read_text().split()[0])


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_sixty_steps_of_the_clock_repeat_nothing_and_lose_nothing_beyond_policy(make_host: MakeHost) -> None:
    seed = int(os.environ.get("JOBD_CLOCK_SEED") or random.SystemRandom().randrange(10**6))
    print(f"JOBD_CLOCK_SEED={seed}")
    dice, host = random.Random(seed), make_host(SETTINGS)
    clock, book = host.with_own_clock(), host.directory / "book"
    host.define("walkers", WALKERS % {"book": BOOK.format(path=book)})
    host.start()
    until(lambda: started_runs(host, "fast") >= 2)
    began = first_seen(host, "min-skip")
    models = {
        "min-skip": Model(MINUTE, "skip", began),
        "min-latest": Model(MINUTE, "latest", began),
        "min-all": Model(MINUTE, "all", began),
        "hourly": Model(HOUR, "latest", began),
        "daily": Model(DAY, "all", began, phase=12 * HOUR),
    }
    shifts = [(0.0, timedelta(0))]
    for number, wanted in enumerate(steps(dice, began), 1):
        _settle(host, clock, models)
        by = landing(wanted, clock.now())
        print(f"{number}: {clock.now()} {by}")
        shifts.append((uptime(), clock.shift + by))
        assert host.process is not None
        used = cpu_seconds(host.process.pid)
        clock.step(by)
        at = clock.now()
        until(lambda: host.log().count("The wall clock was set") == number, what="the step is noticed")  # noqa: B023
        for model in models.values():
            model.step(at, by)
        boundary = at + MINUTE - (at - datetime(1970, 1, 1, tzinfo=UTC)) % MINUTE
        until(lambda: clock.now() > min(boundary, at + 0.6 * SECOND), what="a moment goes by")  # noqa: B023
        assert cpu_seconds(host.process.pid) - used < 2.0, "of the processor, however far the step was"
    _settle(host, clock, models)
    until(lambda: is_idle(host), 30)
    assert host.end() == 0, host.log()[-3000:]
    for name, model in models.items():
        found = slots_of(host, name)
        started = {slot for slot, word in found.items() if word.startswith("started")}
        assert {str(slot): found.get(slot) for slot in model.must - started} == {}, f"{name} lost"
        assert {str(slot): found[slot] for slot in started - model.must - model.may} == {}, f"{name} beyond policy"
    nothing_fired_twice(host)
    lines = [line.split() for line in book.read_text().splitlines()]
    assert len({run for _, run, _, _ in lines}) == len(lines), "executed once"
    for name, period in (("fast", 1.0), ("pace", 2.0)):
        runs = sorted((int(run), slot, float(up)) for job, run, slot, up in lines if job == name)
        pace_was_kept([(slot, up) for _, slot, up in runs], period, shifts)


def _settle(host: Host, clock: WallClock, models: dict[str, Model]) -> None:
    """Wait until no slot is near, and until the store has each one that the models know of."""
    until(lambda: 0.2 < clock.now().timestamp() % 60 < 59.8)
    for name, model in models.items():
        model.live(clock.now())
        deadline = time.monotonic() + 15
        while missing := model.must - slots_of(host, name).keys():
            assert time.monotonic() < deadline, f"{name} at {clock.now()} lost {sorted(map(str, missing))[-3:]}"
            time.sleep(0.05)


def is_idle(host: Host) -> bool:
    sql = "SELECT 1 FROM run JOIN job ON job.id = run.job WHERE state = 'queued' AND name NOT IN ('fast', 'pace')"
    return rows(host, sql) == []


def pace_was_kept(runs: list[tuple[str, float]], period: float, shifts: list[tuple[float, timedelta]]) -> None:
    """Slots told in the time that nobody sets come one period after the other; `shifts` says when the clock was set.

    The runs come as they were decided: on a busy machine a later one may well start first.
    """
    real: list[float] = []
    for slot, up in runs:
        at = datetime.fromisoformat(slot)
        valid = [shift for n, (_, shift) in enumerate(shifts) if n + 1 == len(shifts) or shifts[n + 1][0] > up - 10]
        candidates = [(at - shift).timestamp() for shift in valid]
        expected = real[-1] + period if real else candidates[0]
        real.append(min(candidates, key=lambda candidate: abs(candidate - expected)))
    assert [gap for a, b in pairwise(real) if abs((gap := b - a) - period) > 0.1] == []
    assert abs(real[-1] - real[0] - (len(real) - 1) * period) < 0.3
    assert len(real) * period > runs[-1][1] - runs[0][1] - 5


def attempts_of(host: Host, run: int) -> list[tuple[str, float]]:
    """Outcome and seconds of each attempt of a run."""
    sql = "SELECT outcome, (finished_at - started_at) / 1e6 FROM attempt WHERE run = ? ORDER BY attempt"
    return [(outcome, seconds) for outcome, seconds in rows(host, sql, run)]


LONG = """
jobs:
  command: {command: [sleep, "60"], timeout: 3s, kill_after: 500ms}
  call: {python: "longjob:wait", timeout: 3s, kill_after: 500ms}
  waits:
    shell: "cat /proc/uptime >> %(book)s; test $JOBD_ATTEMPT = 2"
    retry: {strategy: fixed, base: 4s, jitter: 0, max_attempts: 2}
"""


@pytest.mark.slow
@pytest.mark.parametrize("hours", [1, -1])
def test_a_time_out_of_three_seconds_takes_three_seconds_whatever_the_clock_does(
    make_host: MakeHost, hours: int
) -> None:
    host = make_host(SETTINGS)
    clock = host.with_own_clock()
    host.script("longjob.py", "import time\ndef wait(payload):\n    time.sleep(60)\n")
    book = host.directory / "book"
    host.define("long", LONG % {"book": book})
    host.start()
    with host.client() as client:
        runs = [client.submit(job, max_attempts=1) for job in ("command", "call")]
        retried = client.submit("waits")
    until(lambda: all(host.run(run)["state"] == "running" for run in runs))
    until(lambda: host.run(retried)["state"] == "retrying")
    for step in (hours * HOUR, -2 * hours * HOUR, hours * HOUR):
        clock.step(step)
        until(lambda: host.run(runs[0])["started_at"][:16] in _minutes(clock.now()), what="it began a moment ago")
    for run in runs:
        host.ended(run)
        ((outcome, seconds),) = attempts_of(host, run)
        assert outcome == "timeout"
        assert 2.9 <= seconds <= 4.0
    assert host.ended(retried)["state"] == "succeeded"
    first, second = (float(line.split()[0]) for line in book.read_text().splitlines())
    assert 3.9 <= second - first <= 6
    assert metric(host, "jobd_clock_steps_total") == 3


def _minutes(now: datetime) -> list[str]:
    return [(now - ago).isoformat()[:16] for ago in (timedelta(0), MINUTE)]


@pytest.mark.slow
@pytest.mark.parametrize("hours", [1, -1, 24 * 30])
def test_a_clock_set_while_jobd_is_down_ends_no_job_early_and_every_keeps_its_pace(
    make_host: MakeHost, hours: int
) -> None:
    host = make_host(SETTINGS)
    clock, go = host.with_own_clock(), host.directory / "go"
    waiting = f"while [ ! -e {go} ]; do sleep 0.05; done"
    host.define(
        "two",
        f'jobs:\n  long: {{shell: "{waiting}", timeout: 90s}}\n  fast: {{command: ["true"], schedule: every 1s}}\n',
    )
    host.start()
    with host.client() as client:
        run = client.submit("long", max_attempts=1)
    until(lambda: started_runs(host, "fast") >= 2 and host.run(run)["state"] == "running")
    host.kill()
    clock.step(hours * HOUR)
    before = started_runs(host, "fast")
    host.start()
    until(lambda: started_runs(host, "fast") >= before + 2, 5, "it goes on after the step")
    assert host.log().count("The wall clock was set") == 1
    assert host.run(run)["state"] == "running"
    go.touch()
    assert host.ended(run)["state"] == "succeeded"
    ((_, seconds),) = attempts_of(host, run)
    assert 0 < seconds < 90
    nothing_fired_twice(host)


ASLEEP = """
defaults: {timezone: UTC, overlap: allow}
jobs:
  skip: {command: ["true"], schedule: "* * * * *", catch_up: skip}
  latest: {command: ["true"], schedule: "* * * * *", catch_up: latest}
  all: {command: ["true"], schedule: "* * * * *", catch_up: all}
  fast: {command: ["true"], schedule: every 1s, catch_up: skip}
"""


@pytest.mark.slow
@pytest.mark.parametrize("minutes", [10, 5 * 60])
def test_a_host_that_slept_catches_up_as_if_it_had_been_off(make_host: MakeHost, minutes: int) -> None:
    host = make_host(SETTINGS)
    clock = host.with_own_clock()
    clock.step(MINUTE - timedelta(seconds=clock.now().timestamp() % 60 - 10))  # ten seconds past a minute
    host.define("asleep", ASLEEP)
    host.start()
    until(lambda: started_runs(host, "fast") >= 1)
    clock.sleep(minutes * MINUTE + 55 * SECOND)  # awake five seconds after a minute
    newest = clock.now().replace(second=0, microsecond=0)
    until(lambda: newest in slots_of(host, "all"))
    started = {job: [slot for slot, word in slots_of(host, job).items() if word.startswith("started")] for job in JOBS}
    assert started["skip"] == started["latest"] == [newest], "what is less than a minute late is on time"
    assert len(started["all"]) == min(minutes + 1, 101)
    nothing_fired_twice(host)
    assert "The wall clock was set" not in host.log()


JOBS = ("skip", "latest", "all")


@pytest.mark.slow
def test_a_daemon_that_was_stopped_over_slots_loses_none_that_is_on_time(make_host: MakeHost) -> None:
    host = make_host(SETTINGS)
    host.define("asleep", ASLEEP)
    host.start()
    until(lambda: started_runs(host, "fast") >= 2)
    assert host.process is not None
    for _ in range(3):
        host.process.send_signal(signal.SIGSTOP)
        stopped_at = datetime.now(UTC)
        until(lambda: datetime.now(UTC) > stopped_at + 2.5 * SECOND)  # noqa: B023
        host.process.send_signal(signal.SIGCONT)
        until(lambda: max(slots_of(host, "fast")) > stopped_at + 3 * SECOND)  # noqa: B023
    nothing_fired_twice(host)
    slots = sorted(slots_of(host, "fast"))
    assert {b - a for a, b in pairwise(slots)} == {SECOND}
    assert set(slots_of(host, "fast").values()) == {"started "}
    assert "The wall clock was set" not in host.log()
