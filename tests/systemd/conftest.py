"""One box for the whole session, with jobd installed as an administrator would; a fresh state for each test."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.systemd.box import DEBIAN_PYTHON, ROOT, Box, Failed, Service, tool


def missing() -> str | None:
    """Why no box can be had here."""
    if tool() is None:
        return "no program that boots boxes: name it in JOBD_SYSTEMD_BOX"
    if os.geteuid() != 0:
        return "booting a box needs root"
    if not Path("/etc/debian_version").exists():
        return "boxes are made from Debian's packages, on Debian"
    if not (ROOT / ".venv" / "bin" / "python").exists():
        return "jobd is installed from .venv, which is not there (make setup)"
    if sys.version_info[:2] != DEBIAN_PYTHON:
        return f"the box has Python {DEBIAN_PYTHON[0]}.{DEBIAN_PYTHON[1]}, and compiled parts are for one version"
    return None


@contextmanager
def booted(name: str) -> Iterator[Box]:
    """A booted box without jobd, until the block ends; whoever asks is skipped where none can be had."""
    if why := missing():
        pytest.skip(why)
    program = tool()
    assert program is not None
    made = Box(program, name)
    try:
        made.up()
        yield made
    except Failed as failed:
        if "does not boot" not in str(failed) or os.environ.get("JOBD_SYSTEMD_BOX"):
            raise
        pytest.skip(str(failed))
    finally:
        made.down()


@pytest.fixture(scope="session")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A booted box with jobd installed and not started."""
    with booted(f"jobd-{os.getpid()}") as made:
        tree = tmp_path_factory.mktemp("installed")
        subprocess.run([ROOT / "packaging" / "install-system", "--root", tree], check=True)
        for part in ("usr", "etc"):
            made.copy(tree / part, "/")
        made.sh("systemd-sysusers jobd.conf; systemd-tmpfiles --create jobd.conf; systemctl daemon-reload")
        yield made


@pytest.fixture
def service(box: Box) -> Iterator[Service]:
    """jobd started, with an empty store and no definitions; what it says is shown when the test fails."""
    box.sh("systemctl reset-failed jobd 2>/dev/null || true; systemctl start jobd")
    yield Service(box)
    print(box.ask("journalctl", "--no-pager", "--unit=jobd", "--lines=60", "--output=short-precise").out)
    box.sh(
        "rm -rf /etc/jobd/jobs.d/* /root/*.pid /root/*.go /etc/systemd/system/jobd.service.d; systemctl daemon-reload;"
        "systemctl kill --kill-whom=main --signal=KILL jobd 2>/dev/null || true; systemctl stop jobd.socket jobd;"
        "systemctl stop 'run-r*.service' 2>/dev/null || true; rm -rf /var/lib/jobd /run/jobd"
    )
