"""`top`: what goes on, live."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from jobd.cli.exits import Exit
from jobd.cli.session import Session, verb

if TYPE_CHECKING:
    from jobd.cli.top.console import Console
    from jobd.cli.top.layout import View
    from jobd.cli.top.look import Watcher

_PATIENCE_SECONDS = 3.0
_PACES = (1.0, 2.0, 5.0, 10.0)


@verb(example="jobd-ctl top\njobd-ctl top -d 5\njobd-ctl top --once | head -20")
@click.option("--once", is_flag=True, help="Print one picture and end; so it is too where no terminal is written to.")
@click.option("-n", "times", metavar="N", type=click.IntRange(1), help="End after so many pictures.")
@click.option(
    "-d", "delay", metavar="SECONDS", type=click.FloatRange(0.2, 3600), default=2.0, help="Look so often (2)."
)
def top(session: Session, once: bool, times: int | None, delay: float) -> Exit:
    """What goes on, live: workers, queues, runs under way, coming slots, last failures.

    Keys: q ends, h tells all of them, T N P L J order the runs, r turns them round, arrows go through them, d changes
    how often it looks. How far a run is: what it says itself, or with ~ what its job usually takes.
    """
    from jobd.cli.top.look import Watcher
    from jobd.client import Client

    with Client(session.socket, timeout_seconds=_PATIENCE_SECONDS) as client:
        watcher = Watcher(client)
        if session.wants_json or once or not session.screen.is_terminal or os.environ.get("TERM", "dumb") == "dumb":
            return _once(session, watcher)
        return _live(session, watcher, delay, times)


def _once(session: Session, watcher: Watcher) -> Exit:
    from jobd.cli.top.layout import snapshot

    look = watcher.look()
    if look.fault is not None:
        raise look.fault
    if session.wants_json:
        running = [going.run | {"left_seconds": going.left_seconds} for going in look.going]
        rest = {"coming": list(look.coming), "failures": list(look.failures)}
        session.emit({"status": look.status, "running": running} | rest)
        return Exit.OK
    for line in snapshot(look, session.screen):
        print(line)
    return Exit.OK


def _live(session: Session, watcher: Watcher, delay: float, times: int | None) -> Exit:
    from jobd.cli.top.console import taken
    from jobd.cli.top.layout import View

    view = View(every_seconds=delay)
    with suppress(KeyboardInterrupt), taken() as console:
        _watch(session, watcher, console, view, times)
    return Exit.OK


def _watch(session: Session, watcher: Watcher, console: Console, view: View, times: int | None) -> None:
    """Look and draw until somebody ends it; keys are answered between looks."""
    from jobd.cli.top.layout import picture

    screen, shown = session.screen, 0
    while times is None or shown < times:
        look, shown, due_at = watcher.look(), shown + 1, time.monotonic() + view.every_seconds
        while True:
            width, height = console.size()
            console.draw(picture(look, view, replace(screen, width=width), height))
            key = console.key(max(0.0, due_at - time.monotonic()))
            if key is None or key in (" ", "\n", "\r"):
                break
            if key in ("q", "Q"):
                return
            if key == "z":
                screen = replace(screen, has_color=not screen.has_color)
            turn(view, key, height)


def turn(view: View, key: str, height: int) -> None:
    """Change the view as a key says; one that means nothing changes nothing."""
    from jobd.cli.top.layout import ORDERS

    steps = {
        "up": -1,
        "down": 1,
        "page up": -(height // 2),
        "page down": height // 2,
        "home": -view.first,
        "end": 10**6,
    }
    if key in ("h", "?"):
        view.shows_help = not view.shows_help
    elif key in ORDERS:
        view.order, view.first = key, 0
    elif key in ("r", "R", "I"):
        view.is_reversed = not view.is_reversed
    elif key in ("d", "s"):
        view.every_seconds = next((pace for pace in _PACES if pace > view.every_seconds), _PACES[0])
    elif key in steps:
        view.first = max(0, view.first + steps[key])
