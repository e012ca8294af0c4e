"""What the pages of docs/ tell an administrator to type to systemd, typed in a booted box with jobd installed."""

from __future__ import annotations

import pytest

from tests.docs.elsewhere import is_for_the_box
from tests.docs.pages import PAGES, commands
from tests.systemd.box import Service

pytestmark = [pytest.mark.systemd, pytest.mark.slow, pytest.mark.timeout(300)]
ROOT_ALREADY = 'sudo() { "$@"; }'


def test_what_pages_say_to_systemd_works(service: Service) -> None:
    service.define("seen", "jobs:\n  nightly-backup: {command: 'true'}\n")
    service.box.do("jobd-ctl", "run", "nightly-backup", "--wait")
    service.box.do("mkdir", "-p", "/var/backups")
    service.box.do("jobd-ctl", "backup", "/var/backups/jobd-before.db")
    asked = [one for page in PAGES for one in commands(page) if is_for_the_box(one)]
    assert asked
    for command in asked:
        done = service.box.ask("bash", "-c", f"{ROOT_ALREADY}; {command.text}", seconds=60)
        assert done.code == 0, f"{command}: {done.out}{done.err}"
