"""The channels of jobd.yaml at work: the file in which workers find them, and their built-in jobs in the store."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec

from jobd.core import channels
from jobd.core.channels import Channel
from jobd.definitions.catalog import Defined
from jobd.store import holds, jobs, runs
from jobd.store.connection import Transaction
from jobd.supervisor.aftermath import Aftermath
from jobd.supervisor.cancel import cancel_waiting
from jobd.supervisor.catalogs import InForce

FILE = "channels.json"
_FILES = ("url_file", "urls_file", "secret_file")
_MOST_CANCELLED = 1_000_000


@dataclass(frozen=True, slots=True)
class Line:
    """A channel, and the job whose runs carry messages to it."""

    channel: Channel
    job: InForce


def path(runtime_dir: str) -> str:
    """Where workers find what they are to know of channels."""
    return os.path.join(runtime_dir, FILE)


def doubts(known: Iterable[Channel]) -> list[str]:
    """What keeps channels from working as things are now, to be said before somebody should have been told."""
    found = []
    for channel in known:
        for key in _FILES:
            if key in channel.options and not os.access(path := channel.options[key], os.R_OK):
                found.append(f"channels.{channel.name}: {key} {path} cannot be read, and nothing is told through it")
        if channel.kind == "apprise" and find_spec("apprise") is None:
            found.append(f"channels.{channel.name}: the package apprise is not there (pip install 'jobd[apprise]')")
    return found


def publish(known: Iterable[Channel], runtime_dir: str) -> None:
    """Leave the options of channels where workers find them and nobody else; /run is in memory."""
    target = path(runtime_dir)
    draft = f"{target}.new"
    told = {channel.name: {"kind": channel.kind, "options": dict(channel.options)} for channel in known}
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    with os.fdopen(os.open(draft, flags, 0o600), "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o600)
        json.dump(told, file)
    os.replace(draft, target)


def put_in_force(tx: Transaction, known: Iterable[Channel], after: Aftermath) -> dict[str, Line]:
    """Let notifications go through these channels and no others, those that wait since an earlier life included.

    The jobs are in no catalog: for everybody else they are like jobs that are not defined any more.
    """
    lines = {channel.name: _line(tx, channel) for channel in known}
    jobs_now = {line.job.job.name for line in lines.values()}
    for job, name in runs.jobs_named(tx, f"{channels.KIND}.*"):
        if name not in jobs_now:
            reason = f"channel {name.removeprefix(channels.job_name(''))} is not in jobd.yaml any more"
            for run in runs.unfinished_of(tx, job, _MOST_CANCELLED):
                cancel_waiting(tx, run, reason, after)
    return lines


def _line(tx: Transaction, channel: Channel) -> Line:
    job = channels.job_of(channel)
    ref = jobs.adopt(tx, job, "", starts_afresh=False)
    jobs.remove(tx, job.name)
    runs.redefine_waiting(tx, ref)
    holds.stand_aright(tx, ref.job)
    return Line(channel, InForce(Defined(job, "", 1, 1, "{}", ""), ref, None))


def jobs_of(lines: Mapping[str, Line]) -> dict[str, InForce]:
    """The built-in jobs of channels by name."""
    return {line.job.job.name: line.job for line in lines.values()}
