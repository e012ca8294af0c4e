"""What a strict attempt asks of systemd, and how its words on the end are read, whatever version it is."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import pytest

from jobd.core.model import AttemptKey, Ending, Limits, Sandbox
from jobd.core.states import Outcome
from jobd.work import cgroup
from jobd.work.accounts import own_account
from jobd.work.launch import Launch
from jobd.work.sandbox import Enclosure
from jobd.work.standing import Stand
from jobd.work.strict import Unit, _properties, _status
from jobd.work.watch import Ended
from tests.work.harness import shell


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("Main processes terminated with: code=exited/status=3", 3 << 8),
        ("Main processes terminated with: code=exited, status=3/NOTIMPLEMENTED", 3 << 8),
        ("Main processes terminated with: code=exited, status=0/SUCCESS", 0),
        ("Main processes terminated with: code=killed/status=KILL", 9),
        ("Main processes terminated with: code=killed, status=15/TERM", 15),
        ("Main processes terminated with: code=dumped, status=6/ABRT", 6),
        ("Finished with result: success", 77),
    ],
)
def test_the_end_of_the_service_is_read_as_a_wait_status(said: str, status: int) -> None:
    assert _status(f"Running as unit: x.service\n{said}\nService runtime: 1s\n", 77) == status


def test_a_unit_is_known_by_its_attempt_and_its_jobd() -> None:
    names = {cgroup.unit_name(place, AttemptKey(run, 1)) for place in ("/run/a", "/run/b") for run in (1, 11)}
    assert len(names) == 4 and all(name.startswith("jobd-run-1") for name in names)


def test_no_payload_and_no_variable_stands_in_the_unit() -> None:
    order = shell(1, "true", sandbox=Sandbox(strict=True, read_write_paths=("/srv/a b",)), payload='"hidden"')
    stand = Stand(
        own_account(), "/", 0o022, enclosure=Enclosure(order.sandbox, ("/run/jobd",), "/run/jobd/attempts/1.1")
    )
    lines = list(_properties(order, Launch(("sh",), {"KEY": "hidden"}, stand, stdin="hidden")))
    assert "hidden" not in "".join(lines)
    assert 'ReadWritePaths="/srv/a b" "/run/jobd/attempts/1.1"' in lines


@pytest.mark.parametrize(
    ("result", "outcome", "judged"),
    [
        ("oom-kill", Outcome.KILLED, Outcome.OOM),
        ("oom-kill", Outcome.FAILED, Outcome.OOM),
        ("oom-kill", Outcome.CANCELLED, Outcome.CANCELLED),
        ("signal", Outcome.KILLED, Outcome.KILLED),
    ],
)
def test_memory_that_ran_out_is_what_systemd_says_it_is(result: str, outcome: Outcome, judged: Outcome) -> None:
    unit = Unit("x.service", "/nowhere", os.memfd_create("unit"))
    try:
        os.write(unit.log, f"Running as unit: x.service\nFinished with result: {result}\n".encode())
        ending = unit.judged(Ending(outcome, finished_at=datetime.now(UTC)), Limits(memory=1 << 20))
        assert ending.outcome is judged
        assert (ending.error == "out of memory: it needed more than 1MiB (limits.memory)") == (judged is Outcome.OOM)
    finally:
        unit.close()


def test_the_cpu_time_of_the_service_is_the_attempts_and_not_that_of_what_waits_for_it() -> None:
    unit = Unit("x.service", "/nowhere", os.memfd_create("unit"))
    try:
        os.write(unit.log, b"Main processes terminated with: code=exited/status=1\nCPU time consumed: 1min 1.500s\n")
        seen = unit.seen(Ended(status=0, user_seconds=0.25, peak_memory_bytes=1 << 20))
        assert (seen.status, seen.user_seconds, seen.peak_memory_bytes) == (1 << 8, 61.5, 0)
    finally:
        unit.close()
