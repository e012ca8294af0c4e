"""Command lines of the pages that the tests beside this file do not run, each with what does, or with the reason.

A command line stands here without its comment; `*` stands for whatever follows. An entry that no page needs any more
fails a test, and so does a command line that neither runs nor stands here. What asks systemd, or for root, is run by
tests/systemd/test_documents.py where a real systemd can be booted.
"""

from __future__ import annotations

import re
from pathlib import Path

from tests.docs.pages import PAGES, Command, commands

_READS_THE_HOST = "reads what cron and systemd of the reader have; tests/cli/test_takeover.py does it with files"
ELSEWHERE = {
    "make run": "tests/test_repository.py starts what it starts",
    "make test": "is what runs these tests",
    "make deb*": "tests/systemd/test_package.py builds the package, installs it with apt, upgrades and purges it",
    "make wheel && pipx install*": "tests/packages/test_wheel.py builds both and installs the wheel as pipx does",
    "jobd-ctl notify test ops": "takes a mail server; tests/e2e/test_notifications.py has one",
    "jobd-ctl doctor": "ends by what it finds of this host; tests/supervisor/test_doctor.py",
    "sudo apt install ./jobd_1.0.0_amd64.deb": "tests/systemd/test_package.py upgrades under a running job",
    "jobd-ctl import crontab": _READS_THE_HOST,
    "jobd-ctl import crontab -u ann": _READS_THE_HOST,
    "jobd-ctl import crontab --system": _READS_THE_HOST,
    "jobd-ctl import crontab --system --*": _READS_THE_HOST,
    "jobd-ctl import crontab /etc/cron.d/sysstat": _READS_THE_HOST,
    "jobd-ctl import timers": _READS_THE_HOST,
    "jobd-ctl import timers logrotate": _READS_THE_HOST,
}


def entry(command: Command) -> str | None:
    """The entry that a command line falls under."""
    text = " ".join(re.sub(r"\s#.*", "", command.text).split())
    return next((one for one in ELSEWHERE if text == one or (one[-1] == "*" and text.startswith(one[:-1]))), None)


def is_for_the_box(command: Command) -> bool:
    """Whether a command line takes a systemd or root."""
    return entry(command) is None and re.match(r"(sudo|systemctl|journalctl) ", command.text) is not None


def runnable(page: Path) -> list[Command]:
    """The command lines of a page that any machine can run."""
    return [one for one in commands(page) if entry(one) is None and not is_for_the_box(one)]


def unused() -> set[str]:
    """Entries that no page needs."""
    return set(ELSEWHERE) - {entry(command) for page in PAGES for command in commands(page)}
