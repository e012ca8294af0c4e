"""jobd for one user, under that user's own systemd, beside the one of the host."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.systemd.box import Box, Said, Service

pytestmark = [pytest.mark.systemd, pytest.mark.slow, pytest.mark.timeout(600)]

LONG = """\
jobs:
  long: {shell: 'echo begun; id -un; until test -e ~/go; do sleep 0.05; done; echo over'}
"""


@dataclass(frozen=True)
class User:
    """Somebody with a manager that runs without a login."""

    box: Box

    def ask(self, script: str, seconds: float = 60.0) -> Said:
        there = "export XDG_RUNTIME_DIR=/run/user/$(id -u) JOBD_SOCKET=/run/user/$(id -u)/jobd/jobd.sock; cd"
        return self.box.ask("runuser", "-u", "ann", "--", "sh", "-ec", f"{there}; {script}", seconds=seconds)

    def sh(self, script: str, seconds: float = 60.0) -> str:
        said = self.ask(script, seconds)
        assert said.code == 0, f"{script}: {said.err}{said.out}"
        return said.out.strip()


@pytest.fixture
def ann(service: Service) -> Iterator[User]:
    """A user beside the jobd of the host, which serves as always."""
    box = service.box
    box.sh("useradd --create-home ann; loginctl enable-linger ann")
    box.until("systemctl --quiet is-active user@$(id -u ann).service", seconds=30)
    user = User(box)
    user.sh("systemctl --user daemon-reload")
    yield user
    print(box.ask("journalctl", "--no-pager", "-n", "60", "_SYSTEMD_USER_UNIT=jobd.service").out)
    box.sh("loginctl disable-linger ann; systemctl stop user@$(id -u ann).service; userdel --remove ann")


def test_a_user_has_a_jobd_whose_attempts_survive_its_restart_and_kill(ann: User) -> None:
    ann.sh("mkdir -p .config/jobd/jobs.d; chmod -R go-w .config")
    ann.sh(f"printf %s {shlex.quote(LONG)} >.config/jobd/jobs.d/long.yaml")
    ann.sh("systemctl --user start jobd")
    seen = json.loads(ann.sh("jobd-ctl --json status"))
    assert (seen["containment"], seen["metrics_address"], seen["degraded"]) == ("cgroup", None, [])
    run = int(json.loads(ann.sh("jobd-ctl --json run long"))["id"])
    ann.sh(f"until jobd-ctl logs {run} | grep -q ann; do sleep 0.1; done")
    ann.sh("systemctl --user restart jobd")
    before = ann.sh("systemctl --user show -P MainPID jobd")
    another = f'main=$(systemctl --user show -P MainPID jobd) && test "$main" != {before} && test "$main" != 0'
    ann.sh(f"kill -KILL {before}; until {another} && systemctl --user --quiet is-active jobd; do sleep 0.1; done")
    ann.sh(f"touch go; jobd-ctl wait {run}")
    ended = json.loads(ann.sh(f"jobd-ctl --json show {run}"))
    assert (ended["state"], ended["attempts"]) == ("succeeded", 1)
    assert ann.sh(f"jobd-ctl logs {run}").split() == ["begun", "ann", "over"]


def test_a_broken_file_fails_the_reload_of_a_users_jobd_with_the_place(ann: User) -> None:
    ann.sh("mkdir -p .config/jobd/jobs.d; chmod -R go-w .config; systemctl --user start jobd")
    ann.sh("echo 'jobs: {bad: {comand: x}}' >.config/jobd/jobs.d/bad.yaml")
    assert ann.ask("systemctl --user reload jobd").code != 0
    asked = ann.ask("jobd-ctl reload")
    assert (asked.code, "bad.yaml:1:" in asked.err) == (6, True)
    ann.sh("rm .config/jobd/jobs.d/bad.yaml; systemctl --user reload jobd; systemctl --user stop jobd")
