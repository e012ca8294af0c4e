"""Looks a host over for jobd: what is degraded, and how to mend it. It changes nothing, and needs no daemon."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from jobd.definitions.check import check
from jobd.observe.destinations import JOURNAL_SOCKET
from jobd.supervisor.clock import host_zone
from jobd.supervisor.doctor import daemon, files, host, jobs, store
from jobd.supervisor.doctor.finding import Finding
from jobd.supervisor.settings import Settings


def of_host() -> Iterator[Finding]:
    """What needs neither settings nor a daemon."""
    yield host.sqlite()
    yield host.clock()


def of_settings(settings: Settings, status: Mapping[str, Any] | None) -> Iterator[Finding]:
    """What settings, definitions and files say; `status` is the daemon's, None where it does not answer."""
    uid = _uid(status)
    yield from files.directories(settings, uid)
    verdict = check([path for path in settings.jobs_dirs if os.path.lexists(path)], settings.rules, zone=host_zone())
    yield from jobs.definitions(verdict)
    defined = [one.job for one in verdict.catalog.jobs.values()]
    yield from jobs.accounts(settings, defined, uid)
    yield from jobs.limits(defined, status["containment"] if status else None)
    yield from files.secrets(settings, defined)
    yield from files.env_files(defined)
    yield from jobs.channels(settings, uid)
    yield host.journal(JOURNAL_SOCKET, [job.name for job in defined if job.output_journal])
    yield from files.state(settings, uid)
    if os.path.isdir(settings.state_dir):
        yield from host.disk("disk", settings.state_dir)
    yield from store.size(settings)
    if status is None:
        yield from store.contents(settings)


def of_daemon(status: Mapping[str, Any], settings: Settings) -> Iterator[Finding]:
    """What the daemon itself says."""
    yield from daemon.of_status(status, settings)
    yield from daemon.scope(status["pid"])


def _uid(status: Mapping[str, Any] | None) -> int:
    """The user that jobd runs as: that of its process, else whoever asks."""
    if status is not None:
        try:
            return os.stat(f"/proc/{status['pid']}").st_uid
        except OSError:
            pass  # of another pid namespace
    return os.geteuid()
