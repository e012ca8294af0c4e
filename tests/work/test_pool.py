"""The pool: hand-off, stops, the ends of workers and of the forkserver, and what outlives a supervisor."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobd.core.model import AttemptKey, Finished, ProcessIdentity
from jobd.core.states import Outcome
from jobd.work import identity
from jobd.work.pool import ForkServer
from tests.work.harness import alive_with, attended, command, floor, key, python, shell, token


def test_orders_queued_at_a_worker_are_executed_in_turn(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with floor(tmp_path, max_workers=1) as hall:
            assert hall.pool.room() == 1
            endings = await hall.run(*(shell(n, f"echo {n}") for n in range(1, 6)))
            assert all(ending.outcome is Outcome.SUCCEEDED for ending in endings)
            assert [one.key.run for one in hall.reports] == [1, 2, 3, 4, 5]
            assert [view.state for view in hall.pool.views()] == ["idle"]

    asyncio.run(scenario())


def test_no_more_workers_than_allowed_run_at_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with floor(tmp_path, max_workers=2) as hall:
            orders = [shell(n, "sleep 0.3") for n in (1, 2)]
            hall.pool.hand_out(orders)
            assert hall.pool.room() == 0
            await hall.until(lambda: len(hall.started) == 2)
            busy = hall.pool.views()
            assert {(view.run, view.state) for view in busy} == {(1, "busy"), (2, "busy")}
            assert {hall.pool.worker_of(key(n)).pid for n in (1, 2)} == {view.pid for view in busy}  # type: ignore[union-attr]
            await hall.until(lambda: len(hall.reports) == 2)
            assert hall.pool.room() == 2

    asyncio.run(scenario())


def test_a_stopped_attempt_ends_as_asked(tmp_path: Path, callables: str) -> None:
    outcomes = [Outcome.CANCELLED, Outcome.INTERRUPTED, Outcome.TIMEOUT]
    kinds = ["a command", "a call", "an isolated call"]

    async def scenario() -> None:
        async with floor(tmp_path, python_path=[callables], max_workers=9) as hall:
            cases = [(kind, outcome) for kind in kinds for outcome in outcomes]
            for run, (kind, _) in enumerate(cases):
                nap = python(run, "callables:nap", payload="30", isolate=kind == "an isolated call")
                hall.pool.hand_out([shell(run, "sleep 30") if kind == "a command" else nap])
            await hall.until(lambda: len(hall.started) == len(cases))
            for run, (_, outcome) in enumerate(cases):
                assert hall.pool.stop(key(run), outcome)
            await hall.until(lambda: len(hall.reports) == len(cases))
            for run, (kind, outcome) in enumerate(cases):
                ending = hall.ending(run)
                assert ending and (ending.outcome, ending.spent) == (outcome, outcome is not Outcome.INTERRUPTED), kind

    asyncio.run(scenario())


@pytest.mark.parametrize("warm", [False, True])
def test_orders_behind_a_long_attempt_can_be_taken_back(tmp_path: Path, callables: str, warm: bool) -> None:
    async def scenario() -> None:
        async with floor(tmp_path, python_path=[callables], max_workers=1) as hall:
            await hall.run(shell(9, ":"))
            (seat,) = hall.pool.seats()
            assert [place.number for place in hall.pool.places(3)] == [seat.number] * 2
            long = python(1, "callables:nap", payload="0.6") if warm else shell(1, "sleep 0.6")
            hall.pool.give([(seat.number, long), (seat.number, shell(2, ":")), (seat.number, shell(3, ":"))])
            assert hall.pool.seats() == [] and hall.pool.places(3) == []
            await hall.until(lambda: key(1) in hall.started)
            assert hall.pool.take_back(60) == 2
            assert hall.pool.take_back(0) == 0
            await hall.until(lambda: len(hall.reports) == 3)
            assert {hall.ending(n).outcome for n in (2, 3)} == {Outcome.INTERRUPTED}  # type: ignore[union-attr]
            assert hall.ending(1) is None, "the orders come back before the long attempt ends"
            await hall.until(lambda: hall.ending(1))
            assert hall.ending(1).outcome is Outcome.SUCCEEDED  # type: ignore[union-attr]

    asyncio.run(scenario())


@pytest.mark.parametrize("warm", [False, True])
def test_an_order_that_has_begun_when_it_is_asked_back_goes_on(tmp_path: Path, callables: str, warm: bool) -> None:
    async def scenario() -> None:
        async with floor(tmp_path, python_path=[callables], max_workers=1) as hall:
            await hall.run(shell(9, ":"))
            (seat,) = hall.pool.seats()
            go, begun = tmp_path / "go", tmp_path / "begun"
            first = shell(1, f"while [ ! -e {go} ]; do sleep 0.01; done")
            second = shell(2, f"touch {begun}; sleep 0.3")
            if warm:
                second = python(2, "callables:touch_and_nap", payload=json.dumps(str(begun)))
            hall.pool.give([(seat.number, first), (seat.number, second)])
            await hall.until(lambda: key(1) in hall.started)
            go.touch()
            deadline = time.monotonic() + 10
            while not begun.exists():  # and the pool, whose loop stands still, knows nothing of it
                assert time.monotonic() < deadline
                time.sleep(0.01)  # noqa: ASYNC251 - on purpose
            assert hall.pool.take_back(0) == 0
            await hall.until(lambda: hall.ending(2))
            assert hall.ending(2).outcome is Outcome.SUCCEEDED  # type: ignore[union-attr]

    asyncio.run(scenario())


def test_workers_wanted_come_as_seats(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with floor(tmp_path, max_workers=3) as hall:
            assert hall.pool.seats() == []
            hall.pool.want(2)
            await hall.until(lambda: len(hall.pool.seats()) == 2)
            hall.pool.want(9)
            await hall.until(lambda: len(hall.pool.seats()) == 3)
            numbers = [seat.number for seat in hall.pool.seats()]
            hall.pool.give([(numbers[0], shell(1, ":")), (99, shell(2, ":"))])
            assert [seat.number for seat in hall.pool.seats()] == numbers[1:]
            await hall.until(lambda: len(hall.reports) == 2)
            assert hall.ending(2).spent is False  # type: ignore[union-attr]
            assert hall.pool.busy() == 0

    asyncio.run(scenario())


def test_an_attempt_that_waits_behind_another_is_stopped_without_a_start(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with floor(tmp_path, max_workers=1) as hall:
            hall.pool.hand_out([shell(1, "sleep 0.3"), shell(2, "echo never")])
            await hall.until(lambda: key(1) in hall.started)
            hall.pool.stop(key(2), Outcome.CANCELLED)
            await hall.until(lambda: len(hall.reports) == 2)
            first, second = hall.ending(1), hall.ending(2)
            assert first and first.outcome is Outcome.SUCCEEDED
            assert second and (second.outcome, second.spent, second.started_at) == (Outcome.CANCELLED, False, None)
            assert key(2) not in hall.started

    asyncio.run(scenario())


@pytest.mark.parametrize("warm", [False, True])
def test_a_stop_that_comes_as_its_attempt_ends_never_hits_the_next(tmp_path: Path, callables: str, warm: bool) -> None:
    rounds = 60

    async def scenario() -> None:
        async with floor(tmp_path, python_path=[callables], max_workers=1) as hall:
            for n in range(rounds):
                first, second = key(2 * n + 1), key(2 * n + 2)
                if warm:
                    pair = [python(k.run, "callables:nap", payload="0.002") for k in (first, second)]
                else:
                    pair = [shell(k.run, ":") for k in (first, second)]
                hall.pool.hand_out(pair)
                await hall.until(lambda first=first: first in hall.started or hall.ending(first.run))
                await asyncio.sleep(0.0001 * (n % 30))
                hall.pool.stop(first, Outcome.CANCELLED)
                await hall.until(lambda second=second: hall.ending(second.run))
                late = hall.ending(second.run)
                assert late and late.outcome is Outcome.SUCCEEDED, (n, late)
            outcomes = {hall.ending(2 * n + 1).outcome for n in range(rounds)}  # type: ignore[union-attr]
            assert outcomes <= {Outcome.SUCCEEDED, Outcome.CANCELLED}

    asyncio.run(scenario())


def test_a_killed_workers_attempt_is_lost_only_once_nothing_of_it_lives(tmp_path: Path) -> None:
    mark = str(int(token(), 16))
    lived: list[list[int]] = []

    async def scenario() -> None:
        async with floor(tmp_path, max_workers=1) as hall:
            text = f"setsid sh -c 'trap \"\" TERM; (sleep 61.{mark} &); sleep 60.{mark}; :' & sleep 62.{mark}"
            hall.pool.hand_out([shell(1, text), shell(2, "echo behind")])
            await hall.until(lambda: len(alive_with(mark)) >= 4)
            hall.note_report, note = lambda finished: (lived.append(alive_with(mark)), note(finished)), hall.note_report  # type: ignore[method-assign, assignment, misc]
            hall.pool._on_report = hall.note_report
            worker = hall.pool.worker_of(key(1))
            assert worker is not None
            os.kill(worker.pid, signal.SIGKILL)
            await hall.until(lambda: len(hall.reports) == 2)
            lost, behind = hall.ending(1), hall.ending(2)
            assert lost and (lost.outcome, lost.spent) == (Outcome.LOST, True)
            assert behind and (behind.outcome, behind.spent) == (Outcome.INTERRUPTED, False)
            assert lived == [[], []]
            assert list((tmp_path / "run" / "attempts").iterdir()) == []
            (again,) = await hall.run(shell(3, "true"))
            assert again.outcome is Outcome.SUCCEEDED

    asyncio.run(scenario())


def test_a_child_does_not_hide_the_death_of_its_worker(tmp_path: Path) -> None:
    """A child that held the worker's socket open would keep it alive in the eyes of the pool."""

    async def scenario() -> None:
        async with floor(tmp_path) as hall:
            (ending,) = await hall.run(shell(1, "kill -9 $PPID; sleep 30"))
            assert ending.outcome is Outcome.LOST
            assert ending.error and "signal 9" in ending.error

    asyncio.run(scenario())


def test_the_forkserver_is_replaced_and_its_workers_still_report(tmp_path: Path) -> None:
    mark = str(int(token(), 16))

    async def scenario() -> None:
        async with floor(tmp_path, max_workers=3) as hall:
            hall.pool.hand_out(
                [shell(1, "sleep 0.5; echo done"), shell(2, f"setsid sleep 60.{mark} & sleep 60.{mark}")]
            )
            await hall.until(lambda: len(hall.started) == 2)
            os.kill(hall.forkserver.pid, signal.SIGKILL)
            await hall.until(lambda: any(reason == "forkserver" and detail for reason, detail in hall.degraded))
            await hall.until(lambda: hall.ending(1))
            assert hall.output(1) == b"done\n"
            os.kill(hall.pool.worker_of(key(2)).pid, signal.SIGKILL)  # type: ignore[union-attr]
            await hall.until(lambda: hall.ending(2))
            assert hall.ending(2).outcome is Outcome.LOST  # type: ignore[union-attr]
            assert alive_with(mark) == []
            await hall.until(lambda: ("forkserver", "") in hall.degraded)
            (after,) = await hall.run(shell(3, "true"))
            assert after.outcome is Outcome.SUCCEEDED

    asyncio.run(scenario())


def test_idle_workers_go_home_but_for_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with floor(tmp_path, idle_timeout_seconds=0.2) as hall:
            await hall.run(*(shell(n, "sleep 0.05") for n in range(1, 5)))
            await hall.until(lambda: len(hall.pool.views()) == 1)
            assert hall.pool.room() == 4

    asyncio.run(scenario())


def test_a_worker_is_replaced_after_so_many_attempts(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with floor(tmp_path, max_workers=1, max_attempts_per_worker=2) as hall:
            pids = []
            for n in range(1, 6):
                await hall.until(hall.pool.room)
                await hall.run(shell(n, "echo $PPID"))
                pids.append(hall.output(n))
            assert pids[0] == pids[1] and pids[2] == pids[3]
            assert len(set(pids)) == 3

    asyncio.run(scenario())


def test_a_kernel_that_refuses_to_fork_costs_no_attempt(tmp_path: Path) -> None:
    """B16; by a kernel that does refuse in test_births."""

    async def scenario() -> None:
        async with floor(tmp_path, max_workers=2) as hall:
            hall.pool._dissolve(0)
            hall.pool.hand_out([shell(1, "true")])
            (member,) = hall.pool._members.values()
            # What the forkserver says when fork fails, in the words it says it.
            hall.pool._recruiter._back_off("hiring", "no worker could be forked: Resource temporarily unavailable")
            hall.pool._dissolve(member.number)
            ending = hall.ending(1)
            assert ending and (ending.outcome, ending.spent) == (Outcome.INTERRUPTED, False)
            assert hall.pool.room() == 0 and hall.degraded[-1][0] == "hiring"
            await hall.until(hall.pool.room)
            (after,) = await hall.run(shell(2, "true"))
            assert after.outcome is Outcome.SUCCEEDED

    asyncio.run(scenario())


def test_a_machine_without_room_for_a_process_costs_no_attempt_and_is_left_alone(tmp_path: Path) -> None:
    """B16: no descriptors are left."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    async def scenario() -> None:
        async with floor(tmp_path, max_workers=1) as hall:
            await hall.run(shell(1, ":"))
            worker = hall.pool.seats()[0].worker.pid
            in_use = len(os.listdir(f"/proc/{worker}/fd"))
            resource.prlimit(worker, resource.RLIMIT_NOFILE, (in_use + 3, hard))
            (ending,) = await hall.run(shell(2, ":"))
            assert (ending.outcome, ending.spent, ending.started_at) == (Outcome.INTERRUPTED, False, None)
            assert hall.pool.room() == 0 and hall.pool.seats() == []
            assert hall.degraded[-1][0] == "spawning"
            resource.prlimit(worker, resource.RLIMIT_NOFILE, (soft, hard))
            await hall.until(hall.pool.room)
            (after,) = await hall.run(shell(3, ":"))
            assert after.outcome is Outcome.SUCCEEDED
            assert hall.degraded[-1] == ("spawning", "")

    asyncio.run(scenario())


# What outlives a supervisor

DRIVER = """
import asyncio, json, os, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from tests.work.harness import floor, shell, python, key
async def main():
    async with floor(Path(sys.argv[2]), python_path=[sys.argv[4]], max_workers=1) as hall:
        hall.acknowledges = False
        orders = [shell(1, sys.argv[3]) if sys.argv[3][:10] != "callables:" else python(1, sys.argv[3], payload="0.8")]
        hall.pool.hand_out([*orders, shell(2, "echo behind")])
        await hall.until(lambda: hall.ending(1) if "--reported" in sys.argv else key(1) in hall.started)
        worker, child = hall.pool.worker_of(key(1)), hall.started.get(key(1))
        whole = [[p.boot_id, p.pid, p.start_ticks] if p else None for p in (worker, child)]
        print(json.dumps(whole), flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""


async def gone(process: ProcessIdentity) -> None:
    pidfd = identity.open_pidfd(process)
    if pidfd is not None:
        await asyncio.to_thread(select.select, [pidfd], [], [], 10)
        os.close(pidfd)


def a_supervisor_dies(
    tmp_path: Path, text: str, callables: str, *flags: str
) -> tuple[ProcessIdentity, ProcessIdentity]:
    """Start a supervisor that runs `text` as run 1, and kill it; who its worker and its child are."""
    root = str(Path(__file__).parent.parent.parent)
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, root, str(tmp_path), text, callables, *flags], stdout=subprocess.PIPE
    )
    assert driver.stdout is not None
    worker, child = json.loads(driver.stdout.readline())
    driver.kill()
    driver.wait()
    driver.stdout.close()
    known = worker or child or ["", 0, 0]
    return ProcessIdentity(*known), ProcessIdentity(*(child or known))


def test_an_attempt_outlives_its_supervisor_and_reports_to_the_next(tmp_path: Path, callables: str) -> None:
    worker, child = a_supervisor_dies(tmp_path, "sleep 1.2; echo survived", callables)

    async def scenario() -> None:
        async with floor(tmp_path) as hall:
            hall.pool.adopt(key(1), worker, child, None)
            await hall.until(lambda: any(view.state == "adopted" for view in hall.pool.views()))
            await hall.until(lambda: hall.ending(1))
            ending = hall.ending(1)
            assert ending and ending.outcome is Outcome.SUCCEEDED
            assert hall.output(1) == b"survived\n"
            await hall.until(lambda: not hall.pool.is_alive(worker) and not hall.pool.views())
            left = [finished.key for finished in hall.pool.left_reports()]
            assert key(1) not in left

    asyncio.run(scenario())


def test_an_adopted_attempt_can_be_stopped(tmp_path: Path, callables: str) -> None:
    worker, child = a_supervisor_dies(tmp_path, "sleep 30", callables)

    async def scenario() -> None:
        async with floor(tmp_path) as hall:
            hall.pool.adopt(key(1), worker, child, None)
            await hall.until(lambda: any(view.state == "adopted" for view in hall.pool.views()))
            assert hall.pool.stop(key(1), Outcome.CANCELLED)
            await hall.until(lambda: hall.ending(1))
            assert hall.ending(1).outcome is Outcome.CANCELLED  # type: ignore[union-attr]

    asyncio.run(scenario())


@pytest.mark.parametrize("text", ["sleep 0.3; exit 4", "callables:nap"])
def test_a_report_nobody_took_is_left_as_a_file(tmp_path: Path, callables: str, text: str) -> None:
    worker, child = a_supervisor_dies(tmp_path, text, callables)

    async def scenario() -> None:
        await gone(worker)
        async with floor(tmp_path) as hall:
            left = {finished.key: finished.ending for finished in hall.pool.left_reports()}
            assert left[key(1)].outcome is (Outcome.FAILED if text.startswith("sleep") else Outcome.SUCCEEDED)
            assert (left[key(2)].outcome, left[key(2)].spent) == (Outcome.INTERRUPTED, False)
            hall.pool.adopt(key(1), worker, child, None)
            await hall.until(lambda: hall.ending(1))
            assert hall.ending(1) == left[key(1)]
            hall.pool.forget_report(key(2))
            assert hall.pool.left_reports() == []

    asyncio.run(scenario())


def test_a_report_that_was_not_acknowledged_is_left_as_a_file_too(tmp_path: Path, callables: str) -> None:
    a_supervisor_dies(tmp_path, "exit 5", callables, "--reported")

    async def scenario() -> None:
        async with floor(tmp_path) as hall:
            await hall.until(lambda: key(1) in {finished.key for finished in hall.pool.left_reports()})
            (mine,) = [finished for finished in hall.pool.left_reports() if finished.key == key(1)]
            assert mine.ending.exit_code == 5

    asyncio.run(scenario())


def test_an_attempt_whose_worker_went_with_the_supervisor_is_lost_and_swept(tmp_path: Path, callables: str) -> None:
    mark = str(int(token(), 16))
    worker, child = a_supervisor_dies(tmp_path, f"setsid sleep 60.{mark} & sleep 61.{mark}", callables)

    async def scenario() -> None:
        async with floor(tmp_path) as hall:
            os.kill(worker.pid, signal.SIGKILL)
            hall.pool.adopt(key(1), worker, child, None)
            await hall.until(lambda: hall.ending(1))
            assert hall.ending(1).outcome is Outcome.LOST  # type: ignore[union-attr]
            assert alive_with(mark) == []

    asyncio.run(scenario())


def test_an_adopted_attempt_keeps_its_deadline(tmp_path: Path, callables: str) -> None:
    mark = str(int(token(), 16))
    worker, child = a_supervisor_dies(tmp_path, f"sleep 0.2; kill -STOP $PPID; sleep 60.{mark}", callables)

    async def scenario() -> None:
        async with floor(tmp_path) as hall:
            hall.pool.adopt(key(1), worker, child, datetime.now(UTC) + timedelta(seconds=0.2))
            await hall.until(lambda: hall.ending(1))
            ending = hall.ending(1)
            assert ending and (ending.outcome, ending.exit_code) == (Outcome.TIMEOUT, 124)
            assert alive_with(mark) == []

    asyncio.run(scenario())


def test_a_lost_attempt_of_which_only_the_environment_tells_is_swept(tmp_path: Path) -> None:
    """Neither another attempt of the same run is touched, nor the same attempt of another jobd on this host."""
    mine = {"JOBD_RUN_ID": "9", "JOBD_ATTEMPT": "2", "JOBD_RUNTIME_DIR": str(tmp_path / "run")}
    orphan = subprocess.Popen(["/bin/sh", "-c", "setsid sleep 60 & wait"], env=mine | {"PATH": os.environ["PATH"]})
    others = [
        subprocess.Popen(["/bin/sleep", "60"], env=mine | {"JOBD_ATTEMPT": "3"}),
        subprocess.Popen(["/bin/sleep", "60"], env=mine | {"JOBD_RUNTIME_DIR": "/run/jobd-of-somebody-else"}),
    ]

    async def scenario() -> None:
        async with floor(tmp_path) as hall:
            assert hall.pool.sweep(AttemptKey(9, 2), None) == []
            assert orphan.wait(5) == -signal.SIGKILL
            assert [other.poll() for other in others] == [None, None]

    asyncio.run(scenario())
    for other in others:
        other.kill()
        other.wait()


def test_what_still_runs_at_the_end_is_left_alone(tmp_path: Path) -> None:
    """Detached: the worker stays with its attempt, and the forkserver with the worker."""
    forkserver = ForkServer.start(str(tmp_path / "run"), str(tmp_path / "out"))

    async def scenario() -> None:
        async with attended(tmp_path, forkserver) as hall:
            hall.pool.hand_out([command(1, "sleep", "0.6")])
            await hall.until(lambda: key(1) in hall.started)
            await hall.pool.close(0)

    asyncio.run(scenario())
    assert not (tmp_path / "run" / "outcomes" / "1.1.json").exists()
    assert forkserver.wait(5)
    assert (tmp_path / "run" / "outcomes" / "1.1.json").exists()


def test_a_report_is_handed_over_exactly_once(tmp_path: Path) -> None:
    async def scenario() -> list[Finished]:
        async with floor(tmp_path) as hall:
            await hall.run(*(shell(n, ":") for n in range(1, 21)))
            return hall.reports

    reports = asyncio.run(scenario())
    assert sorted(one.key.run for one in reports) == list(range(1, 21))
