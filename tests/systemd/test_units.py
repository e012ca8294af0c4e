"""The units as they are shipped: what they restrict, why, and that no job is inside it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.systemd.box import ROOT, Box, Service

UNITS = sorted((ROOT / "systemd").glob("*.s[eo]*"))
FACTS = "grep -E '^(CapBnd|NoNewPrivs|Seccomp):' /proc/self/status; readlink /proc/self/ns/mnt"


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_every_directive_has_its_reason_beside_it(unit: Path) -> None:
    """A comment stands above each directive, or above the few of one kind that it speaks of."""
    alone, above, section = [], False, ""
    for line in unit.read_text().splitlines():
        if line.startswith("["):
            section, above = line, section not in ("[Unit]", "") and above
        if not line or line.startswith("["):
            above = above and line.startswith("[")
        elif line.startswith("#"):
            above = True
        elif "=" in line and not above and not line.startswith(("Description=", "WantedBy=")):
            alone.append(line)
    assert alone == []


@pytest.mark.systemd
@pytest.mark.slow
def test_the_daemon_is_exposed_no_more_than_it_must(box: Box) -> None:
    said = box.ask("systemd-analyze", "security", "--no-pager", "--threshold=40", "jobd.service")
    assert said.code == 0, said.out.splitlines()[-1:]


@pytest.mark.systemd
@pytest.mark.slow
def test_a_job_is_in_no_sandbox_of_the_daemon(service: Service) -> None:
    mounts = "mkdir /root/m && mount -t tmpfs none /root/m && umount /root/m && rmdir /root/m && echo mounts"
    service.define("plain", json.dumps({"jobs": {"plain": {"shell": f"{FACTS}; {mounts}"}}}))
    run = service.run("plain")
    assert service.ends(run)["state"] == "succeeded"
    *seen, last = service.output(run)
    assert last == "mounts"
    other = service.box.do("systemd-run", "--pipe", "--wait", "--quiet", "sh", "-c", FACTS)
    assert seen == other.splitlines()
    own = service.box.sh(f"grep NoNewPrivs: /proc/{service.main_pid}/status")
    assert own.split()[-1] == "1"
