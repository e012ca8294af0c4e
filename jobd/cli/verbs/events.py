"""`events`: what happened lately, and what happens as it happens."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import click

from jobd.cli import completing
from jobd.cli.exits import Exit
from jobd.cli.session import Session, verb
from jobd.cli.terminal import Tone
from jobd.cli.times import clock, instant, lasted

_TONES = {"failed": Tone.BAD, "succeeded": Tone.GOOD, "gap": Tone.NOTE, "degraded": Tone.NOTE}
_ABOUT = frozenset({"id", "kind", "at", "job", "queue", "run", "attempt"})
_SPANS = frozenset({"waited_seconds", "duration", "lag_seconds"})


@verb(
    example="jobd-ctl events -f\n"
    "jobd-ctl events --run 42\n"
    "jobd-ctl --json events -f | jq -r 'select(.state == \"failed\") | .job'"
)
@click.option("-f", "--follow", "follows", is_flag=True, help="Go on with what happens, until interrupted.")
@click.option("--job", metavar="J", help="Only events of this job.", shell_complete=completing.jobs)
@click.option("--run", metavar="R", type=click.IntRange(1), help="Only events of this run.")
@click.option("--queue", metavar="Q", help="Only events of this queue.", shell_complete=completing.queues)
@click.option("--kind", metavar="K[,K]", help="Only these kinds, such as run_finished.")
@click.option("--since", metavar="ID", type=click.IntRange(0), help="Only events behind this one.")
def events(
    session: Session,
    follows: bool,
    job: str | None,
    run: int | None,
    queue: str | None,
    kind: str | None,
    since: int | None,
) -> Exit:
    """What happened lately; with -f what happens from now on. `--json` prints one object a line.

    jobd keeps the last few thousand events in memory. A line `gap` stands for those that are gone.
    """
    for event in session.client.events(since=since, follow=follows, job=job, run=run, queue=queue, kind=kind):
        if session.wants_json:
            print(json.dumps(event), flush=True)
        else:
            session.paint(line(event, session.now), _TONES.get(event.get("state") or event["kind"], Tone.PLAIN))
            session.flush()
    return Exit.OK


def line(event: dict[str, Any], now: datetime) -> str:
    """An event as one line: when, what, about which run or job, and the rest of it as `key=value`."""
    at = event.get("at")
    run, attempt = event.get("run"), event.get("attempt")
    about = f"#{run}" + (f".{attempt}" if attempt else "") if run else ""
    rest = [f"{key}={_shown(key, value)}" for key, value in event.items() if key not in _ABOUT and _says(value)]
    when = clock(instant(at), now) if at else "-"
    words = [event.get("job") or event.get("queue") or "", *rest]
    return " ".join([f"{when:<8}", f"{event['kind']:<16}", f"{about:<9}", *(word for word in words if word)]).rstrip()


def _says(value: Any) -> bool:
    return value is not None and value not in ("", [], False)


def _shown(key: str, value: Any) -> str:
    if key in _SPANS:
        return lasted(value).replace(" ", "")
    return value if isinstance(value, str) and " " not in value else json.dumps(value, ensure_ascii=False)
