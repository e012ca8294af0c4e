"""`export`: a job as the units of systemd, which is the way back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from jobd.cli import completing
from jobd.cli.exits import Exit
from jobd.cli.session import Session, verb
from jobd.cli.terminal import complain
from jobd.client import Unreachable
from jobd.core.errors import Invalid, NotFound, NotPermitted

if TYPE_CHECKING:
    from jobd.core.model import Job


@click.group(name="export", epilog="\b\nExamples:\n  jobd-ctl export systemd nightly-backup")
def export() -> None:
    """Print jobs as what other schedulers read, and name what those cannot say."""


@verb(
    example="jobd-ctl export systemd nightly-backup\njobd-ctl export systemd backup --write /etc/systemd/system",
    name="systemd",
)
@click.argument("job", shell_complete=completing.jobs)
@click.option("--write", "directory", metavar="DIR", help="Write the units there instead of printing them.")
@click.option("--force", is_flag=True, help="Let --write replace files that are there.")
@click.option("--config", metavar="FILE", envvar="JOBD_CONFIG", help="Read the definitions of this jobd.yaml.")
def systemd(session: Session, job: str, directory: str | None, force: bool, config: str | None) -> Exit:
    """A timer and a service of systemd that do what JOB does; what they cannot say is named in them and on stderr.

    The definition is that of the daemon; without one, or with --config, that of the files.
    """
    from jobd.definitions.exporters.systemd import export as units
    from jobd.definitions.importers.write import write

    found, words = _of_files(job, config) if config else _of_daemon(session, job)
    try:
        pair = units(found, words)
    except ValueError as error:
        raise Invalid(str(error)) from None
    if session.wants_json:
        session.emit({"job": job, "files": pair.files, "problems": pair.problems})
    elif directory is None:
        for name, text in pair.files.items():
            session.verbatim(f"# {name}\n{text}")
    for problem in pair.problems:
        complain(f"{job}: {problem}")
    if directory is not None:
        for path in write(pair.files, directory, force=force):
            session.remark(f"wrote {path}")
    return Exit.OK


def _of_daemon(session: Session, name: str) -> tuple[Job, dict[str, Any]]:
    from jobd.definitions.interpret import job_of

    try:
        found = session.get(f"/v1/jobs/{session.path(name)}")
    except Unreachable:
        return _of_files(name, None)
    if "definition" not in found:
        raise NotPermitted(f"the definition of {name} is shown to administrators only (it may hold secrets)")
    words = found["definition"]
    return job_of(words, name), words


def _of_files(name: str, config: str | None) -> tuple[Job, dict[str, Any]]:
    from jobd.definitions.check import check
    from jobd.definitions.problems import Malformed
    from jobd.supervisor.settings import load

    try:
        settings = load(config)
    except Malformed as malformed:
        raise Invalid(str(malformed)) from None
    found = check(settings.jobs_dirs, settings.rules).catalog.jobs.get(name)
    if found is None:
        raise NotFound(f"there is no job {name} in {', '.join(settings.jobs_dirs)}")
    return found.job, dict(found.document)


export.add_command(systemd)
