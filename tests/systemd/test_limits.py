"""Limits where the kernel has every controller: in a box with a kernel of its own.

That takes minutes and boots on few hosts, so it is asked for: JOBD_BOX_KERNEL=uml names the kind of box.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.systemd.box import ROOT, Box, Service, tool
from tests.systemd.conftest import missing

pytestmark = [pytest.mark.systemd, pytest.mark.slow, pytest.mark.timeout(900)]

MIB = 1024 * 1024
OWN = "/sys/fs/cgroup$(sed -n s/^0:://p /proc/self/cgroup)"
JOBS: dict[str, dict[str, Any]] = {
    "memory": {"shell": "head -c 200M /dev/zero | tail -c 150M | wc -c", "limits": {"memory": "48MiB"}},
    "tasks": {"shell": "for i in $(seq 20); do sleep 3 & done; wait; echo never", "limits": {"tasks": 8}},
    "cpu": {
        "shell": f"i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; grep nr_throttled {OWN}/cpu.stat",
        "limits": {"cpu": "20%"},
    },
    "io": {"shell": f"cat {OWN}/io.weight", "limits": {"io": 50}},
    "kept": {"shell": f"cat {OWN}/pids.max {OWN}/memory.max"},
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """jobd in a box whose kernel hands down cpu, io, memory and pids."""
    kind, program = os.environ.get("JOBD_BOX_KERNEL"), tool()
    if kind is None:
        pytest.skip("a kernel of its own takes minutes: ask for it with JOBD_BOX_KERNEL=uml")
    if why := missing():
        pytest.skip(why)
    assert program is not None
    made = Box(program, f"jobd-limits-{os.getpid()}")
    try:
        made.up(kind, boot_seconds=500)
        yield _installed(made, tmp_path_factory.mktemp("installed"))
    finally:
        made.down()


def _installed(box: Box, tree: Path) -> Service:
    subprocess.run([ROOT / "packaging" / "install-system", "--root", tree], check=True, capture_output=True)
    for part in ("usr", "etc"):
        box.copy(tree / part, "/")
    box.sh("systemd-sysusers jobd.conf; systemd-tmpfiles --create jobd.conf; systemctl daemon-reload", seconds=120)
    jobs = {name: {"timeout": "5m", "retry": {"max_attempts": 1}, **words} for name, words in JOBS.items()}
    box.write("/etc/jobd/jobs.d/limits.yaml", json.dumps({"jobs": jobs}))
    box.sh("systemctl start jobd", seconds=180)
    return Service(box)


def _ended(service: Service, job: str) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """A run that is over, its attempt, and what it printed."""
    run = int(service.ctl("run", job, seconds=120)["id"])
    ended = service.ends(run, seconds=300)
    (attempt,) = service.ctl("attempts", str(run), seconds=120)["items"]
    return ended, attempt, service.box.do("jobd-ctl", "logs", str(run), seconds=120).splitlines()


def test_beyond_its_memory_an_attempt_ends_as_a_whole_as_out_of_memory(service: Service) -> None:
    ended, attempt, printed = _ended(service, "memory")
    assert (ended["state"], ended["outcome"], printed) == ("failed", "oom", [])
    assert "limits.memory" in ended["error"]
    assert 40 * MIB < attempt["usage"]["peak_memory_bytes"] <= 48 * MIB


def test_beyond_its_tasks_nothing_can_be_forked(service: Service) -> None:
    ended, _, printed = _ended(service, "tasks")
    assert (ended["state"], printed) == ("failed", [])


def test_cpu_is_held_back_and_io_weighed(service: Service) -> None:
    ended, attempt, printed = _ended(service, "cpu")
    assert ended["state"] == "succeeded"
    word, count = printed[-1].split()
    assert word == "nr_throttled" and int(count) > 0
    used = attempt["usage"]["cpu_user_seconds"] + attempt["usage"]["cpu_system_seconds"]
    assert 0 < used < ended["duration"] / 2
    assert _ended(service, "io")[2] == ["default 50"]


def test_what_asks_for_nothing_has_room_for_512_tasks_and_all_memory(service: Service) -> None:
    assert _ended(service, "kept")[2] == ["512", "max"]
