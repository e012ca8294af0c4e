"""Where notifications go: channels as jobd.yaml names them, and the built-in jobs whose runs carry them there.

The definition of such a job names its channel and nothing of it: what a channel may hold that is secret (a URL, a
token) is in no row of the store. Workers read it where it is kept while jobd runs.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jobd.core.buckets import Rate
from jobd.core.escapes import visible
from jobd.core.model import Call, Command, Job, Json, RetryPolicy
from jobd.core.names import NOTIFY, counted
from jobd.core.notices import summary

KIND = "jobd.notify"
"""The executor of all channels but commands; no definition can name it."""
_PLACE = re.compile(r"\$\{([A-Za-z_]*)\}", re.ASCII)
_WORDS = (
    *("occasion", "headline", "job", "description", "host", "at", "queue", "run", "attempt", "outcome", "exit_code"),
    *("reason", "count", "since", "duration", "tail", "summary"),
)
DEFAULT_TITLE = "${job} on ${host} ${headline}"
DEFAULT_TEXT = "${summary}"
_LONGEST_TITLE = 200
_LONGEST_TEXT = 16 * 1024
MOST_ITEMS = 100
"""Notices of a digest that are listed; the others are counted."""
_NAMESPACE = uuid.UUID("6d2e4b0c-6d0f-4c5a-9a54-5b1c39f0a7d1")


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel of jobd.yaml."""

    name: str
    kind: str
    """email, webhook, command, healthcheck or apprise."""
    options: Mapping[str, Json] = field(default_factory=dict)
    """What its executor is told; of a command `argv` and `user`."""
    title: str = DEFAULT_TITLE
    text: str = DEFAULT_TEXT
    rate: Rate = field(default_factory=lambda: Rate(60, 60, 10))
    digest_after: int = 5
    """So many messages in a span of `digest_seconds` go each by itself; further ones go together. 0 is all of them."""
    digest_seconds: float = 60.0
    timeout_seconds: float = 60.0

    @property
    def pings(self) -> bool:
        """It is told of every run of a job, so that what watches it knows when there was none."""
        return self.kind == "healthcheck"


def job_of(channel: Channel) -> Job:
    """The built-in job that carries messages to a channel: one at a time, so that none overtakes another."""
    if channel.kind == "command":
        action: Command | Call = Command(tuple(channel.options["argv"]))
    else:
        action = Call(KIND, {"channel": channel.name})
    return Job(
        name=job_name(channel.name),
        action=action,
        description=f"notifications to channel {channel.name}",
        queue=NOTIFY,
        max_running=1,
        rate_limit=channel.rate,
        user=channel.options.get("user") if channel.kind == "command" else None,
        retry=RetryPolicy(max_attempts=8, base_seconds=10.0, multiplier=3.0, max_delay_seconds=3600.0),
        on_lost="retry",
        # A ping tells of an instant: one that never arrived is nothing to send again days later.
        dead_letter=not channel.pings,
        timeout_seconds=channel.timeout_seconds,
        kill_after_seconds=5.0,
        output_max_bytes=64 * 1024,
    )


def job_name(channel: str) -> str:
    return f"{NOTIFY}.{channel}"


def template_fault(template: str) -> str | None:
    """Why a text cannot be a template; None if it can. Templates have names of facts, and nothing that is executed."""
    unknown = [name for name in _PLACE.findall(template) if name not in _WORDS]
    if unknown:
        return f"${{{unknown[0]}}} is nothing that messages know ({', '.join(_WORDS)})"
    return None


def message(channel: Channel, told: Mapping[str, Json]) -> dict[str, Json]:
    """What a run of the channel's job carries: the facts, and a title and a text made of them."""
    values = {**told, "summary": summary(dict(told))}
    title = _filled(channel.title, values)
    return {
        **told,
        "title": _shortened(visible(" ".join(title.split("\n"))), _LONGEST_TITLE),
        "text": _shortened(_filled(channel.text, values), _LONGEST_TEXT),
    }


def _filled(template: str, values: Mapping[str, Json]) -> str:
    def value(place: re.Match[str]) -> str:
        found = values.get(place[1])
        return "" if found is None else str(found)

    return _PLACE.sub(value, template)


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def digest(before: Mapping[str, Any] | None, messages: list[dict[str, Json]], host: str) -> dict[str, Json]:
    """Several messages as one, added to those that are waiting in another."""
    items = [*(before["items"] if before else ()), *map(_item, messages)]
    count = (before["count"] if before else 0) + len(messages)
    shown = items[:MOST_ITEMS]
    title = f"{counted(count, 'notification')} of jobd on {host}"
    lines = [f"{one['at']}  {one['title']}" for one in shown]
    if count > len(shown):
        lines.append(f"and {count - len(shown)} more (jobd-ctl runs, jobd-ctl events)")
    return {
        "occasion": "digest",
        "host": host,
        "at": messages[-1]["at"] if messages else (before or {}).get("at"),
        "count": count,
        "items": shown,
        "title": title,
        "text": "\n".join([f"{title}:", "", *lines]),
    }


def _item(one: dict[str, Json]) -> dict[str, Json]:
    keys = ("occasion", "job", "run", "at", "count", "title")
    return {key: one.get(key) for key in keys}


def trial(host: str, at: str, by: str) -> dict[str, Json]:
    """What `notify test` sends."""
    text = f"This is a test of a notification channel of jobd on {host}, asked for by {visible(by)}."
    return {"occasion": "test", "host": host, "at": at, "title": f"jobd on {host}: test", "text": text, "signal": "log"}


def run_uuid(host: str, job: str, run: int) -> str:
    """What ties the pings of one run together, in the form that healthcheck services want (`rid`)."""
    return str(uuid.uuid5(_NAMESPACE, f"{host}/{job}/{run}"))


def ping(told: Mapping[str, Json], signal: str, rid: str | None, text: str) -> dict[str, Json]:
    """What a healthcheck is told of a run: `start`, `success`, `fail`, an exit code, or `log`."""
    return {**told, "signal": signal, "rid": rid, "text": _shortened(text, _LONGEST_TEXT)}


def signal_of(state: str, exit_code: int | None) -> str:
    """How a run ended, in the words of a healthcheck."""
    if state == "succeeded":
        return "success"
    if state != "failed":
        return "log"
    return str(exit_code) if exit_code is not None and 1 <= exit_code <= 255 else "fail"
