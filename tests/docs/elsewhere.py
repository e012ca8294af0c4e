"""Command lines of the pages that the tests beside this file do not run, each with what does, or with the reason.

A command line stands here without its comment; `*` stands for whatever follows. An entry that no page needs any more
fails a test, and so does a command line that neither runs nor stands here.
"""

from __future__ import annotations

import re

from tests.docs.pages import PAGES, Command, commands

_READS_THE_HOST = "reads what cron and systemd of the reader have; tests/cli/test_takeover.py does it with files"
ELSEWHERE = {
    "make run": "tests/test_repository.py starts what it starts",
    "make test": "is what runs these tests",
    "make deb*": "tests/systemd/test_package.py builds the package, installs it with apt, upgrades and purges it",
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


def unused() -> set[str]:
    """Entries that no page needs."""
    return set(ELSEWHERE) - {entry(command) for page in PAGES for command in commands(page)}
