"""`check` and `schema`: what jobd thinks of definitions, without a daemon."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from jobd.cli.exits import Exit
from jobd.cli.session import Session, verb
from jobd.cli.terminal import Tone
from jobd.client import Client
from jobd.core.errors import JobdError

if TYPE_CHECKING:
    from jobd.definitions.check import Verdict
    from jobd.definitions.problems import Problem

_PATIENCE_SECONDS = 3.0
_ENOUGH = 3
"""Successful runs from which on a duration is a usual one."""


@verb(example="jobd-ctl check /etc/jobd/jobs.d\njobd-ctl check backup.yaml && cp backup.yaml /etc/jobd/jobs.d/")
@click.argument("paths", metavar="[PATH]...", nargs=-1)
@click.option("--config", metavar="FILE", envvar="JOBD_CONFIG", help="The jobd.yaml that applies [env: JOBD_CONFIG].")
def check(session: Session, paths: tuple[str, ...], config: str | None) -> Exit:
    """Validate files and directories of definitions without a daemon; all problems at once.

    It warns of what looks like a mistake: programs and users that are not there, times that a clock change skips, many
    jobs in one minute, slots closer than a run takes (past runs are asked of the daemon, if it is there).

    Without PATH the directories that jobd.yaml names. Its settings (defaults, queues, policy) hold for PATH too. Exits
    with 6 when there are problems; warnings alone exit with 0.
    """
    missing = [path for path in paths if not os.path.exists(path)]
    if missing:
        raise click.UsageError(f"there is no {missing[0]}")
    verdict = _verdict(paths, config, Usual(session.socket))
    if session.wants_json:
        _emit(session, verdict)
    else:
        _show(session, verdict)
    return Exit.INVALID if verdict.problems else Exit.OK


class Usual:
    """How long the runs of jobs usually take, by the daemon's word where it answers. It is asked once, when needed."""

    def __init__(self, socket: str) -> None:
        self._socket = socket
        self._seconds: dict[str, float] | None = None

    def __call__(self, job: str) -> float | None:
        if self._seconds is None:
            self._seconds = {}
            with suppress(JobdError):  # without a daemon there is one doubt less
                self._ask(self._seconds)
        return self._seconds.get(job)

    def _ask(self, found: dict[str, float]) -> None:
        cursor: str | None = ""
        with Client(self._socket, timeout_seconds=_PATIENCE_SECONDS) as client:
            while cursor is not None:
                page = client.request("GET", "/v1/workload", query={"cursor": cursor or None})
                found |= {one["job"]: one["median_seconds"] for one in page["items"] if one["runs"] >= _ENOUGH}
                cursor = page["next_cursor"]


def _verdict(paths: tuple[str, ...], config: str | None, lasts: Usual) -> Verdict:
    """What is wrong with the settings, and where nothing is, with the definitions under them."""
    from jobd.definitions.catalog import Catalog
    from jobd.definitions.check import Verdict
    from jobd.definitions.check import check as judge
    from jobd.definitions.problems import Malformed
    from jobd.supervisor.clock import host_zone
    from jobd.supervisor.settings import load

    try:
        settings = load(config)
    except Malformed as malformed:
        return Verdict(tuple(malformed.problems), (), Catalog())
    return judge(paths or settings.jobs_dirs, settings.rules, zone=host_zone(), lasts=lasts)


def _emit(session: Session, verdict: Verdict) -> None:
    def shown(found: Problem) -> dict[str, object]:
        return found.place._asdict() | {"path": found.path, "message": found.message}

    session.emit(
        {
            "problems": [shown(problem) for problem in verdict.problems],
            "warnings": [shown(warning) for warning in verdict.warnings],
            "jobs": sorted(verdict.catalog.jobs),
        }
    )


def _show(session: Session, verdict: Verdict) -> None:
    """The findings are the data of this verb: on stdout, in the form that editors jump to."""
    for problem in verdict.problems:
        session.say(str(problem))
    for warning in verdict.warnings:
        session.paint(f"{warning.place}: warning: {warning.path}: {warning.message}", Tone.NOTE)
    counts = (("job", verdict.catalog.jobs), ("problem", verdict.problems), ("warning", verdict.warnings))
    session.remark(", ".join(f"{len(found) or 'no'} {noun}{'s' * (len(found) != 1)}" for noun, found in counts))


@verb(example="jobd-ctl schema > ~/.local/share/jobd.schema.json")
def schema(session: Session) -> Exit:
    """The JSON Schema of definitions, for editors: completion and checks as you type."""
    from jobd.definitions.work import json_schema

    print(json.dumps(json_schema(), indent=None if session.wants_json else 2))
    return Exit.OK
