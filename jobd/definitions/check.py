"""Validation without a daemon: everything that is wrong with some files, and what looks like a mistake."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from jobd.core.model import Command, Job
from jobd.definitions import folder, relations
from jobd.definitions.catalog import Catalog, Contribution, assemble
from jobd.definitions.defined import Defined
from jobd.definitions.interpret import Rules, interpret
from jobd.definitions.library import NO_PATIENCE, Library
from jobd.definitions.lint import Lasts, lint, nobody_knows
from jobd.definitions.ownership import user_of
from jobd.definitions.parse import Node, parse
from jobd.definitions.problems import Malformed, Place, Problem

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found: problems keep jobs out of force, warnings do not."""

    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    catalog: Catalog


def check(
    paths: Sequence[str],
    rules: Rules | None = None,
    *,
    zone: str = "UTC",
    lasts: Lasts = nobody_knows,
    uid: int = 0,
) -> Verdict:
    """Judge files and directories as a daemon would that reads them in this order, the lowest first.

    `uid` is the user of that daemon.
    `zone` is the host's; `lasts` is asked how long runs of a job usually take where that could be a doubt.
    """
    directories = [path for path in paths if os.path.isdir(path)]
    library = Library(directories, rules or Rules(), patience=NO_PATIENCE)
    found = library.rescan()
    files = [_alone(path, rules or Rules()) for path in paths if path not in directories]
    whole = Contribution(tuple(found.jobs.values()), found.problems)
    catalog = assemble([whole, *files], {}, are_all=bool(directories))
    elsewhere = [] if directories else relations.missing(catalog.jobs)
    doubts = [*_doubts(catalog.jobs.values(), uid), *lint(catalog.jobs.values(), zone, datetime.now(UTC), lasts)]
    warnings = [*_left_out(library), *elsewhere, *doubts]
    return Verdict(tuple(sorted(catalog.problems)), tuple(sorted(warnings)), catalog)


def _alone(path: str, rules: Rules) -> Contribution:
    """A file named on its own: read wherever it is and whoever owns it, since nothing is run."""
    try:
        with open(path, "rb") as file:
            node = parse(file.read(), path)
        drop_ins = [inner for name in _drop_ins(path) if (inner := _node(name)) is not None]
        return Contribution(interpret(node, drop_ins, rules) if node is not None else (), ())
    except Malformed as malformed:
        return Contribution((), malformed.problems)
    except OSError as error:
        return Contribution((), (Problem(Place(path), "", f"cannot be read: {error.strerror}"),))


def _drop_ins(path: str) -> list[str]:
    try:
        names = os.listdir(f"{path}.d")
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [os.path.join(f"{path}.d", name) for name in sorted(names) if folder.is_read(name)]


def _node(path: str) -> Node | None:
    with open(path, "rb") as file:
        return parse(file.read(), path)


def _left_out(library: Library) -> Iterable[Problem]:
    for path in library.ignored():
        yield Problem(
            Place(path), "", "is not read because of its name (letters, digits, '.', '_', '-', '+', '@', then .yaml)"
        )
    for path in library.orphans():
        yield Problem(Place(path), "", f"is not read because there is no {os.path.basename(path).removesuffix('.d')}")


def _doubts(definitions: Iterable[Defined], uid: int) -> Iterable[Problem]:
    """What this host does not have, what its daemon may not, or what a job can hardly mean."""
    for one in definitions:
        for key, doubt in (*_doubts_of(one.job), *_beyond(one.job, uid)):
            yield Problem(one.place(key), f"jobs.{one.job.name}.{key}", doubt)


def _doubts_of(job: Job) -> Iterable[tuple[str, str]]:
    if isinstance(job.action, Command) and not _is_found(job.action.argv[0], job):
        yield "command", f'there is no program "{job.action.argv[0]}" on this host'
    if job.user is not None and not _user_exists(job.user):
        yield "user", f'there is no user "{job.user}" on this host'
    if job.group is not None and not _group_exists(job.group):
        yield "group", f'there is no group "{job.group}" on this host'
    if job.cwd is not None and not os.path.isdir(job.cwd):
        yield "cwd", f"there is no directory {job.cwd} on this host"
    if 0 not in job.success_exit_status:
        yield "success_exit_status", "does not list 0, so that exit status 0 counts as a failure"


def _beyond(job: Job, uid: int) -> Iterable[tuple[str, str]]:
    """What takes root, where the daemon is somebody else."""
    if uid == 0:
        return
    own = user_of(uid)
    if job.user not in (None, own, str(uid)):
        yield "user", f"its runs will be refused: jobd is {own} and not root, and runs everything as itself"


def _is_found(program: str, job: Job) -> bool:
    path = dict(job.env).get("PATH", _PATH)
    return "${" in program or shutil.which(program, path=path) is not None


def _user_exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _group_exists(name: str) -> bool:
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True
