"""Forty things a hostile job may say, by names, arguments, output, errors and notes, and seven surfaces that show it.

Nothing of it moves a terminal, breaks a line or forges a record (RELIABILITY 2.5).
"""

from __future__ import annotations

import json
import re
import tempfile
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from jobd.core.escapes import visible
from tests.e2e.daemon import Host, host
from tests.e2e.test_output import ctl
from tests.hostile import PAYLOADS, raw_in

pytestmark = pytest.mark.slow

SAYS = """
import sys, jobd
def all(payload, context):
    text = bytes.fromhex(payload).decode()
    print(text)
    print(text, file=sys.stderr)
    context.progress(0.5, text)
    raise jobd.Discard(text)
"""
SURFACES = ("status", "list", "show", "logs", "json", "journal", "metrics")
FORGED = ("<0>", "PRIORITY", "MESSAGE", "root@")


@dataclass
class Shown:
    """What each surface shows: one text for all payloads, or one for each."""

    whole: dict[str, str] = field(default_factory=dict)
    each: dict[tuple[str, str], str] = field(default_factory=dict)
    runs: dict[str, int] = field(default_factory=dict)
    """The run that said a payload."""
    submitted: int = 0

    def text(self, surface: str, payload: str) -> str:
        return self.whole[surface] if surface in self.whole else self.each[surface, payload]


def _said(made: Host) -> Shown:
    shown = Shown()
    with made.client() as client:
        for name, payload in PAYLOADS.items():
            shown.runs[name] = int(client.submit("all", payload.encode().hex(), max_attempts=1))
        argued = [
            client.submit_command(["false", payload.replace("\0", "")], max_attempts=1) for payload in PAYLOADS.values()
        ]
    for run in (*shown.runs.values(), *map(int, argued)):
        assert made.ended(run, 60)["state"] == "failed"
    shown.submitted = 2 * len(PAYLOADS)
    return shown


@pytest.fixture(scope="module")
def shown() -> Iterator[Shown]:
    """Everything said, and every surface looked at."""
    with (
        tempfile.TemporaryDirectory(prefix="jobd-", ignore_cleanup_errors=True) as directory,
        host(Path(directory), "workers: {max: 2}\ndrain_timeout: 5s\n") as made,
    ):
        made.script("says.py", SAYS)
        made.define("says", "jobs:\n  all: {python: 'says:all', tags: [hostile]}\n")
        made.define("named", json.dumps({"jobs": {name: {"command": "true"} for name in PAYLOADS.values()}}))
        made.start()
        shown = _said(made)
        shown.whole["status"] = ctl(made, "status", terminal=True).decode()
        shown.whole["list"] = ctl(made, "runs", "-n", "200", terminal=True).decode()
        shown.whole["json"] = ctl(made, "--json", "runs", "-n", "200", terminal=True).decode()
        with urllib.request.urlopen(f"http://{made.status()['metrics_address']}/metrics", timeout=60) as answer:
            shown.whole["metrics"] = answer.read().decode()

        def look(asked: tuple[str, str]) -> str:
            return ctl(made, asked[0], str(shown.runs[asked[1]]), terminal=True).decode()

        pairs = [(surface, name) for surface in ("show", "logs") for name in PAYLOADS]
        with ThreadPoolExecutor(4) as pool:
            shown.each = dict(zip(pairs, pool.map(look, pairs), strict=True))
        shown.whole["journal"] = made.log()
        yield shown


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("payload", PAYLOADS)
def test_what_a_job_says_is_shown_and_does_nothing(shown: Shown, payload: str, surface: str) -> None:
    text = shown.text(surface, payload)
    assert raw_in(text) == set()
    said = PAYLOADS[payload]
    if surface == "json":
        (found,) = (one for one in json.loads(text)["items"] if one["id"] == shown.runs[payload])
        assert found["error"] == said
    elif surface == "journal":
        assert visible(said)[:20] in text
    elif surface in ("show", "logs"):
        assert all(part in text for part in re.findall(r"[ -~]{4,}", said)), "it is shown, made harmless"
    if surface == "show":
        assert not any(line.startswith(FORGED) for line in text.splitlines()), "a second line is set in"


def test_no_record_of_the_log_is_broken_or_forged(shown: Shown) -> None:
    lines = shown.whole["journal"].splitlines()
    assert all(line[:4].isdigit() for line in lines)
    told = [line for line in lines if " of all failed" in line]
    assert len(told) == len(PAYLOADS), "one event, one record"
    assert not any(line.startswith(FORGED) for line in lines)


def test_every_run_has_one_line_in_the_list(shown: Shown) -> None:
    assert len(shown.whole["list"].splitlines()) == shown.submitted + 1


def test_a_name_that_is_none_is_refused_and_becomes_no_label(shown: Shown) -> None:
    labels: list[Any] = [line for line in shown.whole["metrics"].splitlines() if "job_name=" in line]
    assert labels and all('job_name="all"' in line or 'job_name="adhoc"' in line for line in labels)
