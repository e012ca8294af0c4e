"""How the live view is laid out: from one look to the lines of a screen. Nothing here asks or writes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jobd.cli.measure import columns_of, cut, flowed
from jobd.cli.render import bar, held
from jobd.cli.session import columns
from jobd.cli.table import Cell, filled, lines
from jobd.cli.terminal import Screen, Tone, safe_line
from jobd.cli.times import instant, lasted, near
from jobd.cli.top.look import Going, Look
from jobd.core.names import counted

_SGR = re.compile(r"\x1b\[[0-9;]*m")
_SIDE_BY_SIDE = 120
_LEAST_ROWS = 3
_BAR = 10

ORDERS: dict[str, tuple[str, Callable[[Going], Any]]] = {
    "T": ("time", lambda going: -going.elapsed_seconds),
    "N": ("run", lambda going: going.run["id"]),
    "P": ("progress", lambda going: -(going.fraction or (0.0, False))[0]),
    "L": ("time left", lambda going: (going.left_seconds is None, going.left_seconds)),
    "J": ("job", lambda going: (going.run["job"], going.run["id"])),
}
HELP = """\
q, Esc, F10   end                        space, Enter   look now
T N P L J     order by time, run, progress, time left, job
r, I          turn the order round       d, s           look every 1, 2, 5 or 10 seconds
arrows, PgUp, PgDn, Home, End            go through the runs
z             with colours or without    h, ?, F1       this help

PROGRESS is what a run says of itself (PROGRESS= on its NOTIFY_SOCKET); with ~ it is how long its job usually takes,
half of its last runs. LEFT goes by the same. +12s is that much beyond the usual."""


@dataclass
class View:
    """What whoever looks has chosen."""

    order: str = "T"
    is_reversed: bool = False
    first: int = 0
    """The first of the runs that is shown."""
    every_seconds: float = 2.0
    shows_help: bool = False


def snapshot(look: Look, screen: Screen) -> list[str]:
    """Everything in lines, one section after the other."""
    view = View()
    sections = [_head(look, screen), _queues(look, screen), _going(look, view, screen)]
    sections += [_coming(look, screen)[:11], _failures(look, screen)[:11]]
    return [line for at, section in enumerate(filter(None, sections)) for line in ([""] if at else []) + section]


def picture(look: Look, view: View, screen: Screen, height: int) -> list[str]:
    """Exactly `height` lines, none longer than the screen is wide."""
    width = screen.width or 80
    if view.shows_help:
        body = [line for text in HELP.split("\n") for line in flowed(text, width)]
    else:
        body = _body(look, view, screen, height - 1)
    body = [clipped(line, width) for line in body[: height - 1]]
    footer = screen.paint(cut(_keys(view), width), Tone.DIM)
    return [*body, *[""] * (height - 1 - len(body)), footer][:height]


def _body(look: Look, view: View, screen: Screen, height: int) -> list[str]:
    """The sections, each with its share: what is under way gets what the others leave."""
    head = _head(look, screen)
    queues = _queues(look, screen)[: max(_LEAST_ROWS, height // 4)]
    foot = _foot(look, screen, max(_LEAST_ROWS, min(9, height // 3)))
    room = height - len(head) - len(queues) - len(foot) - 3
    going = _going(look, view, screen)
    hidden = len(going) - max(2, room)
    if hidden > 0:
        view.first = min(view.first, hidden)
        shown = going[:1] + going[1 + view.first :]
        going = shown[: max(2, room)]
    return [*head, "", *queues, "", *going, *[""] * max(1, room - len(going) + 1), *foot]


def _head(look: Look, screen: Screen) -> list[str]:
    width = screen.width
    fault = [screen.paint(line, Tone.BAD) for line in flowed(safe_line(str(look.fault)), width)] if look.fault else []
    seen = look.status
    if seen is None:
        return fault
    workers, counts = seen["workers"], seen["job_counts"]
    state = "draining" if seen["draining"] else "well" if seen["healthy"] else "degraded"
    waiting = sum(queue["pending"] for queue in seen["queues"])
    dead = sum(queue["dead_letters"] for queue in seen["queues"])
    first = f"jobd {seen['version']} is {state}, up {lasted(int(seen['uptime_seconds']))}"
    busy = f"workers {load(workers['busy'] / workers['max'])} {workers['busy']}/{workers['max']}, {waiting} waiting"
    jobs = f"{counted(counts['total'], 'job')} ({counts['failed']} failed last, {counts['paused']} paused)"
    told = [screen.paint(line, Tone.TITLE) for line in flowed(f"{first}, {look.now.astimezone():%H:%M:%S}", width)]
    told += flowed(f"{busy}, {counted(dead, 'dead letter')}, {jobs}", width)
    return fault + told + _ailments(seen, screen)


def _ailments(seen: dict[str, Any], screen: Screen) -> list[str]:
    said = [(f"degraded: {one['reason']}: {one['detail']}", Tone.BAD) for one in seen["degraded"]]
    if seen["paused"]:
        said.append((f"everything is {held(seen['paused'])}", Tone.NOTE))
    return [screen.paint(line, tone) for text, tone in said[:3] for line in flowed(safe_line(text), screen.width)]


def _queues(look: Look, screen: Screen) -> list[str]:
    queues = look.status["queues"] if look.status else []
    active = sorted(queues, key=lambda one: (-one["processing"] - one["pending"], one["name"]))
    titles = "QUEUE LOAD RUNNING WAITING OLDEST RATE 24H FAILED"
    right = ("RUNNING", "WAITING", "OLDEST", "24H", "FAILED")
    return lines(*filled(columns(titles, right=right), [_queue(queue) for queue in active]), screen)


def _queue(queue: dict[str, Any]) -> list[Cell | str]:
    limit, running, day = queue["max_running"], queue["processing"], queue["last_24h"]
    use, mark = (
        queue["rate_limit_usage"],
        " (paused)" if queue["paused"] else " (draining)" if queue["draining"] else "",
    )
    return [
        queue["name"] + mark,
        load(running / limit) if limit else "",
        f"{running}/{limit}" if limit else str(running),
        str(queue["pending"]),
        lasted(queue["oldest_waiting_seconds"] and int(queue["oldest_waiting_seconds"])),
        f"{load(use['percentage'] / 100, 5)} {use['current']}/{use['max']}" if use else "",
        str(day["executions"]),
        Cell(str(day["failed"]), Tone.BAD if day["failed"] else Tone.PLAIN),
    ]


def _going(look: Look, view: View, screen: Screen) -> list[str]:
    if not look.going:
        return [screen.paint("nothing runs", Tone.DIM)] if look.status else []
    ordered = sorted(look.going, key=ORDERS[view.order][1], reverse=view.is_reversed)
    titles = columns("RUN JOB TRY FOR PROGRESS LEFT DOING", right=("RUN", "TRY", "FOR", "LEFT"), elastic=("DOING",))
    return lines(*filled(titles, [_run(going) for going in ordered]), screen)


def _run(going: Going) -> list[Cell | str]:
    run, fraction = going.run, going.fraction
    far = "" if fraction is None else f"{load(fraction[0])} {'' if fraction[1] else '~'}{fraction[0]:.0%}"
    return [
        str(run["id"]),
        run["job"],
        f"{run['attempts']}/{run['max_attempts']}",
        lasted(int(going.elapsed_seconds)),
        far,
        _left(going),
        "cancelling" if run["cancelling"] else run.get("status_text") or "",
    ]


def _left(going: Going) -> Cell:
    if going.left_seconds is not None:
        return Cell(lasted(round(going.left_seconds)))
    over = going.elapsed_seconds - going.usual_seconds if going.usual_seconds else 0.0
    return Cell(f"+{lasted(round(over))}", Tone.NOTE) if over >= 1 else Cell("")


def _foot(look: Look, screen: Screen, height: int) -> list[str]:
    """Coming slots and failures: beside each other where there is room."""
    width = screen.width or 80
    if width < _SIDE_BY_SIDE:
        coming = _coming(look, screen)[: (height + 1) // 2]
        return [*coming, *_failures(look, screen)[: height - len(coming)]]
    half = Screen(screen.is_terminal, screen.has_color, width // 2 - 1)
    left, right = _coming(look, half)[:height], _failures(look, half)[:height]
    rows = max(len(left), len(right))
    pairs = zip(left + [""] * (rows - len(left)), right + [""] * (rows - len(right)), strict=True)
    return [one + " " * (width // 2 + 1 - _shown(one)) + other for one, other in pairs]


def _coming(look: Look, screen: Screen) -> list[str]:
    due = [item for item in look.coming if instant(item["at"]) > look.now]
    rows: list[list[Cell | str]] = [[near(instant(item["at"]), look.now), item["job"], item["remark"]] for item in due]
    return (
        lines(*filled(columns("NEXT JOB REMARK", right=("NEXT",), elastic=("REMARK",)), rows), screen) if rows else []
    )


def _failures(look: Look, screen: Screen) -> list[str]:
    rows = [_failure(failure, look) for failure in look.failures]
    titles = columns("FAILED RUN JOB HOW WHY", right=("FAILED", "RUN"), elastic=("WHY",))
    return lines(*filled(titles, rows), screen) if rows else []


def _failure(failure: dict[str, Any], look: Look) -> list[Cell | str]:
    code = f" {failure['exit_code']}" if failure["outcome"] == "failed" and failure["exit_code"] is not None else ""
    return [
        near(instant(failure["at"]), look.now),
        str(failure["run"]),
        failure["job"],
        Cell(f"{failure['outcome'] or 'failed'}{code}", Tone.BAD),
        failure.get("reason") or "",
    ]


def _keys(view: View) -> str:
    turned = ", turned round" if view.is_reversed else ""
    return f"q end  h help  by {ORDERS[view.order][0]}{turned}  every {view.every_seconds:g} s"


def load(fraction: float, width: int = _BAR) -> str:
    return bar(max(0, min(width, round(fraction * width))), width)


def _shown(line: str) -> int:
    return columns_of(_SGR.sub("", line))


def clipped(line: str, width: int) -> str:
    """A line that may have tones in it, in at most so many columns."""
    if _shown(line) <= width:
        return line
    return cut(_SGR.sub("", line), width)
