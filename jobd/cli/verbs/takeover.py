"""`import`: crontabs and systemd timers as definitions, beside what they and the old scheduler would fire."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from jobd.cli.exits import Exit
from jobd.cli.session import Seldom, Session, verb
from jobd.cli.times import moment
from jobd.core.errors import NotFound, NotPermitted

if TYPE_CHECKING:
    from jobd.cli.imported import Request
    from jobd.definitions.importers.cronfiles import Source

_FIVE_YEARS = timedelta(days=5 * 366)


@click.group(
    name="import",
    epilog="\b\nExamples:\n  jobd-ctl import crontab --system\n  jobd-ctl import timers logrotate.timer --write",
)
def takeover() -> None:
    """Take over from cron or systemd timers: print definitions, and where their fires differ from the old ones.

    Nothing is written without --write, and nothing of the old scheduler is changed.
    """


def _options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that both importers take."""
    for option in reversed(
        [
            click.option("--from", "start", cls=Seldom, metavar="T", help="Compare from this instant instead of now."),
            click.option("--to", "end", cls=Seldom, metavar="T", help="Compare up to this instant."),
            click.option(
                "-n", "count", cls=Seldom, type=click.IntRange(1, 10_000), help="Compare so many fires of each job."
            ),
            click.option(
                "--tz", cls=Seldom, metavar="ZONE", help="The old host's time zone, if it is not this host's."
            ),
            click.option(
                "--write", "writes", is_flag=False, flag_value="", metavar="[DIR]", help="Write the definitions."
            ),
            click.option("--force", is_flag=True, help="Let --write replace files that are there."),
            click.option(
                "--config", cls=Seldom, metavar="FILE", envvar="JOBD_CONFIG", help="The jobd.yaml [JOBD_CONFIG]."
            ),
        ]
    ):
        function = option(function)
    return function


@verb(
    example="jobd-ctl import crontab\njobd-ctl import crontab --system --from 2027-03-27 --to 2027-03-29\n"
    "jobd-ctl import crontab /etc/cron.d/sysstat --write",
    name="crontab",
    short_help="Crontabs, of a user or of the system.",
)
@click.argument("file", required=False)
@click.option("-u", "--user", metavar="USER", help="The crontab of this user, or whose FILE is.")
@click.option("--system", "is_whole", is_flag=True, help="/etc/crontab and all of /etc/cron.d.")
@click.option("--system-form", cls=Seldom, is_flag=True, help="FILE has user names before the commands.")
@click.option(
    "--split-run-parts", "splits", cls=Seldom, is_flag=True, help="One job for each script of a run-parts directory."
)
@click.option(
    "--dialect", cls=Seldom, type=click.Choice(["debian", "cronie"]), help="Whose rules the old side goes by."
)
@_options
def crontab(
    session: Session,
    file: str | None,
    user: str | None,
    is_whole: bool,
    system_form: bool,
    splits: bool,
    dialect: str | None,
    **options: Any,
) -> Exit:
    """Take over a crontab: FILE (`-` is stdin), that of USER, that of --system, or else your own.

    Prints definitions and, as comments below them, every instant of the next seven days and of the next change of the
    clock at which cron and jobd would not fire the same. What cannot be said exactly is named above each job and on
    stderr.
    """
    from jobd.cli import imported
    from jobd.definitions.importers import cronfiles

    if is_whole and (file or user or system_form):
        raise click.UsageError("--system takes no FILE, -u or --system-form")
    if user and system_form:
        raise click.UsageError("a crontab in system form names its users itself: leave out -u")
    request = _request(session, options)
    sources, problems = cronfiles.of_host() if is_whole else ([_source(file, user, system_form)], [])
    rules = "cronie" if dialect == "cronie" or (dialect is None and os.path.exists("/usr/sbin/crond")) else "debian"
    batches = [
        (source.file, cronfiles.batch(source, request.zone, rules, splits=splits))  # type: ignore[arg-type]
        for source in sources
    ]
    return imported.show(session, request, batches, problems, old="cron")


def _source(file: str | None, user: str | None, system_form: bool) -> Source:
    """The one crontab that is asked for. Raises NotFound or NotPermitted where it cannot be read."""
    from jobd.definitions.importers import crontab
    from jobd.definitions.importers.cronfiles import Source, is_system_file, owner_by_place, read

    if file is None:
        return _of_user(user)
    if file == "-":
        content = sys.stdin.buffer.read(crontab.MAX_BYTES + 1)
        return Source("-", content, system_form, user)
    try:
        content = read(file)
    except FileNotFoundError:
        raise NotFound(f"there is no {file}") from None
    except OSError as error:
        raise NotPermitted(f"{file} cannot be read: {error.strerror}") from None
    is_system = system_form or (is_system_file(file) and not user)
    owner = user or (owner_by_place(file) if os.geteuid() == 0 else None)
    return Source(file, content, is_system, None if is_system else owner)


def _of_user(user: str | None) -> Source:
    from jobd.definitions.importers.cronfiles import SPOOLS, Source, read
    from jobd.work import ask

    if user is not None and (not user or "/" in user or user.startswith((".", "-"))):
        raise click.UsageError(f"{user!r} is no name of a user")
    for spool in SPOOLS if user else ():
        try:
            return Source(path := os.path.join(spool, user or ""), read(path), False, user)
        except OSError:
            continue  # another spool, or only the crontab program may look
    content = ask.told(["crontab", "-l", *(["-u", user] if user else [])])
    return Source(f"crontab -l -u {user}" if user else "crontab -l", content, False, user)


def _request(session: Session, options: dict[str, Any]) -> Request:
    from jobd.cli.imported import Request
    from jobd.core import zones
    from jobd.supervisor.clock import host_zone

    try:
        zone = zones.zone(options["tz"]).name if options["tz"] else host_zone()
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--tz") from None
    start = _moment("--from", options["start"], session.now) or session.now
    end = _moment("--to", options["end"], session.now)
    if end is not None and end <= start:
        raise click.BadParameter("is not after --from", param_hint="--to")
    if end is None and options["count"] is not None:
        end = start + _FIVE_YEARS
    if end is None and options["start"] is not None:
        end = start + timedelta(days=7)
    return Request(
        zone, host_zone(), start, end, options["count"], options["writes"], options["force"], options["config"]
    )


def _moment(option: str, text: str | None, now: datetime) -> datetime | None:
    try:
        return moment(text, now) if text else None
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from None


@verb(
    example="jobd-ctl import timers\njobd-ctl import timers logrotate.timer --write\njobd-ctl import timers ./units",
    name="timers",
    short_help="Timers of systemd with their services.",
)
@click.argument("units", metavar="[UNIT|FILE|DIR]...", nargs=-1)
@click.option("--all", "takes_all", is_flag=True, help="Also the timers that nothing has enabled.")
@_options
def timers(session: Session, units: tuple[str, ...], takes_all: bool, **options: Any) -> Exit:
    """Take over systemd timers with their services: UNIT by name, a FILE, all in a DIR, or else all that are enabled.

    Drop-ins count. Prints definitions and, as comments below them, every instant of the next seven days and of the
    next change of the clock at which systemd and jobd would not fire the same. What cannot be said exactly is named
    above each job and on stderr.
    """
    from jobd.cli import imported
    from jobd.definitions.importers import timers as importer
    from jobd.definitions.importers import unitfiles

    request = _request(session, options)
    asked = [_timers(unit) for unit in units] or [(unitfiles.timers(enabled=not takes_all), unitfiles.SEARCH)]
    batches = []
    for names, search in asked:
        for name in names:
            file = f"{name.removesuffix('.timer').replace('@', '-')}.yaml"
            batches.append((file, importer.batch([name], request.zone, search)))
    return imported.show(session, request, batches, [], old="systemd")


def _timers(unit: str) -> tuple[list[str], tuple[str, ...]]:
    """The names of the timers that an argument stands for, and where to look for units."""
    from jobd.definitions.importers import timers as importer
    from jobd.definitions.importers import unitfiles

    if "/" in unit or os.path.exists(unit):
        if not os.path.exists(unit):
            raise NotFound(f"there is no {unit}")
        return importer.at_path(unit)
    name = unit if unit.endswith(".timer") else f"{unit.removesuffix('.service')}.timer"
    return [name], unitfiles.SEARCH


takeover.add_command(crontab)
takeover.add_command(timers)
