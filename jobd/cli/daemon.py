"""`jobd`: starts the daemon in the foreground, or checks what it would start with."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from jobd import __version__
from jobd.core.names import counted

if TYPE_CHECKING:
    from jobd.supervisor.settings import Settings

# sysexits(3): what systemd and scripts tell apart. Only the last is no use to try again without an edit.
_UNUSABLE_STATE, _SYSTEM_ERROR, _CANNOT_CREATE, _TRY_LATER, _BAD_CONFIG = 65, 71, 73, 75, 78


def main() -> NoReturn:
    """Run `jobd` and end with its exit code."""
    # What is imported stays: to look through it for garbage while it comes in is a tenth of the time of starting.
    gc.disable()
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """What `jobd ARGUMENTS` does; its exit code."""
    words = parser().parse_args(arguments)
    from jobd.core.errors import JobdError
    from jobd.definitions.problems import Malformed
    from jobd.supervisor.settings import load

    try:
        settings = load(words.config, user=words.user)
        if words.check:
            return _check(settings)
        return _serve(settings, lambda: load(words.config, user=words.user, admits_plugins=False))
    except Malformed as malformed:
        for problem in malformed.problems:
            print(problem, file=sys.stderr)
        return 6 if words.check else _BAD_CONFIG
    except (JobdError, OSError) as error:
        print(f"jobd: {error}", file=sys.stderr)
        return _code(error)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="jobd",
        description="The job scheduler and durable queue of this host. Stays in the foreground.",
        epilog="See also: jobd-ctl, which talks to a running jobd.",
    )
    made.add_argument("--config", metavar="FILE", help="the settings [env: JOBD_CONFIG; /etc/jobd/jobd.yaml]")
    made.add_argument("--user", action="store_true", help="run for this user alone, with its XDG directories")
    made.add_argument("--check", action="store_true", help="say what is wrong with settings and definitions, and end")
    made.add_argument("--version", action="version", version=f"jobd {__version__}")
    return made


def _check(settings: Settings) -> int:
    from jobd.definitions.check import check

    # A directory that is not there holds no jobs, as for the daemon: hardly a host has all of the usual ones.
    verdict = check([path for path in settings.jobs_dirs if os.path.lexists(path)], settings.rules, uid=os.geteuid())
    for warning in verdict.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    for problem in verdict.problems:
        print(problem, file=sys.stderr)
    if not verdict.problems:
        print(f"{counted(len(verdict.catalog.jobs), 'job')}, no problems")
    if os.geteuid() != 0:
        print("not root: every job would run as the user who runs this", file=sys.stderr)
    return 6 if verdict.problems else 0


def _serve(settings: Settings, reread: Callable[[], Settings]) -> int:
    """Boot in the order that makes it safe.

    The locks come first, closed on exec, so that a worker that outlives jobd does not hold them; the forkserver comes
    before any thread, loop or database handle exists, so that no worker inherits one.
    """
    from jobd.supervisor import lock
    from jobd.supervisor.directories import prepare
    from jobd.work import manager
    from jobd.work.hiring import ForkServer

    prepare(settings)
    held = lock.hold(settings.state_dir), lock.hold(settings.runtime_dir)
    sockets = _handed_over()
    prefix = manager.apart_prefix()
    forkserver = ForkServer.start(
        settings.runtime_dir,
        os.path.join(settings.state_dir, "output"),
        settings.python_path,
        prefix,
        apart=bool(prefix),
        delegated=bool(prefix),
        settings=settings.for_executors,
    )
    import asyncio
    import logging

    from jobd.observe.journal import Records, open_journal
    from jobd.observe.sentences import LEVELS

    with _no_certificates():
        from jobd.supervisor.boot import serve
    gc.enable()

    journal = open_journal(LEVELS[settings.log_level], settings.log_format)
    logging.getLogger().addHandler(Records(journal))
    try:
        asyncio.run(serve(settings, reread, forkserver, journal, sockets))
    finally:
        forkserver.close()
        for descriptor in held:
            os.close(descriptor)
    return 0


@contextmanager
def _no_certificates() -> Iterator[None]:
    """Import aiohttp without the host's certificates: it reads them all for a client of its own, which jobd never is.

    That is megabytes, and a third of the time of starting.
    """
    names = ("SSL_CERT_FILE", "SSL_CERT_DIR")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, os.devnull))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _handed_over() -> dict[str, int]:
    """The sockets of socket activation by name (sd_listen_fds(3))."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return {}
    count = int(os.environ.get("LISTEN_FDS", "0"))
    names = os.environ.get("LISTEN_FDNAMES", "").split(":")
    for number in range(3, 3 + count):
        os.set_inheritable(number, False)
    return {name or "control": 3 + place for place, name in enumerate(names[:count])}


def _code(error: Exception) -> int:
    from jobd.control.listen import SocketRefused
    from jobd.core.errors import Unavailable
    from jobd.store.connection import StoreError
    from jobd.supervisor.lock import Locked

    match error:
        case Locked():
            return _TRY_LATER
        case SocketRefused():
            return _CANNOT_CREATE
        case StoreError():
            return _UNUSABLE_STATE
        case Unavailable() | OSError():
            return _SYSTEM_ERROR
    return _BAD_CONFIG


if __name__ == "__main__":
    main()
