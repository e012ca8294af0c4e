"""`queues` and `queue set`: the lanes, how full they are, and limits that are set while jobd runs."""

from __future__ import annotations

from typing import Any

import click

from jobd.cli.exits import Exit
from jobd.cli.session import Session, columns, verb
from jobd.cli.table import Cell
from jobd.cli.times import lasted
from jobd.core.queues import NO_LIMIT

_KEYS = ("max_running", "rate_limit", "burst", "draining")


@verb(example="jobd-ctl queues")
def queues(session: Session) -> Exit:
    """The queues: their limits, what waits and runs in them, and the last 24 hours.

    USED is how much of the burst of the rate limit is used up: at 100% the next run waits for a token.
    """
    found = session.listed("/v1/queues")
    if session.wants_json:
        session.emit(found)
        return Exit.OK
    titles = "QUEUE RUNNING WAITING OLDEST RATE USED 24H FAILED AVERAGE"
    session.table(
        columns(titles, right=("RUNNING", "WAITING", "OLDEST", "24H", "FAILED", "AVERAGE")),
        [_row(queue) for queue in found],
    )
    for queue in found:
        if queue["overrides"]:
            session.say(_override(queue))
    return Exit.OK


@click.group(epilog="\b\nExamples:\n  jobd-ctl queue set email max_running=4 rate_limit=100/min")
def queue() -> None:
    """Change a queue while jobd runs."""


@verb(
    example="jobd-ctl queue set email max_running=4 rate_limit=100/min\n"
    "jobd-ctl queue set email rate_limit=100/min burst=10\n"
    "jobd-ctl queue set email max_running=default rate_limit=none",
    name="set",
)
@click.argument("name", metavar="QUEUE")
@click.argument("settings", metavar="KEY=VALUE...", nargs=-1, required=True)
def set_(session: Session, name: str, settings: tuple[str, ...]) -> Exit:
    """Set max_running or rate_limit (with burst) of a queue in place of what jobd.yaml says.

    It holds at once, and over restarts, until it is set to `default`: then jobd.yaml's word holds again. `none` is no
    limit. A queue with draining=true takes no new runs, and serves those it has.
    """
    path = f"/v1/queues/{session.path(name)}"
    said = session.client.request("PATCH", path, body=_body(settings))
    if session.wants_json:
        session.emit(said)
        return Exit.OK
    session.say(_override(said) if said["overrides"] else f"{said['name']}: {_limits(said)}, as jobd.yaml has it")
    return Exit.OK


def _body(settings: tuple[str, ...]) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for text in settings:
        key, equals, value = text.partition("=")
        if key not in _KEYS or not equals or not value:
            raise click.BadParameter(f'"{text}" is not one of {", ".join(_KEYS)} with a value (try max_running=4)')
        if key == "draining":
            body[key] = True if value == "true" else value
            continue
        body[key] = int(value) if value.isascii() and value.isdigit() and len(value) < 10 else value
    if "burst" in body:
        if "rate_limit" not in body:
            raise click.BadParameter("burst= needs rate_limit= beside it")
        body["rate_limit"] = {"rate": body["rate_limit"], "burst": body.pop("burst")}
    return body


def _row(queue: dict[str, Any]) -> list[Cell | str]:
    day, limit, name = queue["last_24h"], queue["max_running"], queue["name"]
    return [
        Cell(f"{name} (paused)" if queue["paused"] else f"{name} (draining)" if queue["draining"] else name),
        f"{queue['processing']}/{limit}" if limit else str(queue["processing"]),
        str(queue["pending"]),
        lasted(queue["oldest_waiting_seconds"]),
        rate(queue["rate_limit"]),
        used(queue["rate_limit_usage"]),
        str(day["executions"]),
        str(day["failed"]),
        lasted(day["average_seconds"]),
    ]


def rate(limit: str | dict[str, Any] | None) -> str:
    """A rate limit as YAML writes it; `-` for none."""
    if isinstance(limit, dict):
        return f"{limit['rate']}, burst {limit['burst']}"
    return limit or "-"


def used(usage: dict[str, Any] | None) -> str:
    """How far a rate limit is used up: `63/100 63%`."""
    return f"{usage['current']}/{usage['max']} {usage['percentage']:g}%" if usage else "-"


def _limits(queue: dict[str, Any]) -> str:
    return " ".join(f"{key}={_value(queue[key])}" for key in ("max_running", "rate_limit"))


def _value(value: Any) -> str:
    return NO_LIMIT if value is None else rate(value) if isinstance(value, str | dict) else str(value)


def _override(queue: dict[str, Any]) -> str:
    """Who set what of a queue, and in place of what."""
    set_by = queue["overrides"]
    told = ", ".join(
        f"{key}={_value(value)} (in place of {_value(set_by['declared'][key])})"
        if key in set_by["declared"]
        else "takes no new runs"
        for key, value in set_by["set"].items()
    )
    return f"{queue['name']}: {told}, set by {set_by['by']} at {set_by['at']}"


queue.add_command(set_)
