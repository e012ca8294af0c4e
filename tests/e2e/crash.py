"""A load that keeps its own books outside the daemon: what was acknowledged, and what the jobs saw of themselves."""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobd.client import Client
from jobd.core.errors import Conflict, JobdError
from tests.e2e.daemon import Host

DEFINITIONS = """
defaults:
  retry: {{strategy: fixed, base: 200ms, max_attempts: 3}}
  kill_after: 500ms
jobs:
  ok: {{command: [{script}, ok]}}
  fail: {{command: [{script}, fail]}}
  flaky: {{command: [{script}, flaky]}}
  slow: {{command: [{script}, slow], timeout: 300ms, retry: {{strategy: fixed, base: 100ms, max_attempts: 2}}}}
  call: {{python: "crashjobs:work"}}
  apart: {{python: "crashjobs:work", isolate: true, max_running: 2}}
"""
TICKING = """
jobs:
  ticking: {{command: [{script}, ok], schedule: every 1s, overlap: allow, queue: clock}}
"""

# The job writes `start` and `end` lines of its own; a line is one write with O_APPEND. A second attempt looks for the
# process of the first: alive and without an end line, it is an overlap.
SCRIPT = """\
#!/bin/sh
cd {books} || exit 99
read -r stat < /proc/$$/stat
rest=${{stat##*) }}
mode=$1
set -- $rest
ticks=${{20}}
key=$JOBD_RUN_ID.$JOBD_ATTEMPT
before=$JOBD_RUN_ID.$((JOBD_ATTEMPT - 1))
echo "start $JOBD_RUN_ID $JOBD_ATTEMPT $$ $ticks ${{JOBD_SLOT:--}}" >> jobs.log
if [ -e "at/$before" ] && [ ! -e "at/$before.end" ]; then
  read -r pid then < "at/$before"
  if read -r stat 2> /dev/null < "/proc/$pid/stat"; then
    rest=${{stat##*) }}
    set -- $rest
    [ "$1" != Z ] && [ "${{20}}" = "$then" ] && echo "overlap $JOBD_RUN_ID $JOBD_ATTEMPT $pid" >> jobs.log
  fi
fi
echo "$$ $ticks" > "at/$key"
code=0
case $mode in
  fail) code=1 ;;
  flaky) [ "$JOBD_ATTEMPT" -gt 1 ] || code=1 ;;
  slow) trap '' TERM; sleep 30 & wait ;;
  ok) [ $((JOBD_RUN_ID % 5)) -ne 0 ] || sleep 0.3 ;;
esac
echo "out $key"
: > "at/$key.end"
echo "end $JOBD_RUN_ID $JOBD_ATTEMPT $code" >> jobs.log
exit $code
"""

CALLABLE = """\
import os, time
BOOKS = {books!r}

def _line(text):
    log = os.open(BOOKS + "/jobs.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(log, (text + "\\n").encode())
    os.close(log)

def _ticks(pid):
    try:
        stat = open(f"/proc/{{pid}}/stat").read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if stat[0] == "Z" else stat[19]

def work(payload, context):
    key, pid = f"{{context.run_id}}.{{context.attempt}}", os.getpid()
    _line(f"start {{context.run_id}} {{context.attempt}} {{pid}} {{_ticks(pid)}} -")
    before = f"{{BOOKS}}/at/{{context.run_id}}.{{context.attempt - 1}}"
    if os.path.exists(before) and not os.path.exists(before + ".end"):
        other, ticks = open(before).read().split()
        if _ticks(other) == ticks:
            _line(f"overlap {{context.run_id}} {{context.attempt}} {{other}}")
    open(f"{{BOOKS}}/at/{{key}}", "w").write(f"{{pid}} {{_ticks(pid)}}\\n")
    time.sleep(payload["n"] % 4 * 0.02)
    open(f"{{BOOKS}}/at/{{key}}.end", "w").close()
    failing = payload["n"] % 7 == 0 and context.attempt == 1
    _line(f"end {{context.run_id}} {{context.attempt}} {{int(failing)}}")
    if failing:
        raise ValueError("as it should")
    return payload
"""


def prepare(host: Host) -> Path:
    """Lay out the jobs of the load, and the directory of their books."""
    books = host.directory / "books"
    (books / "at").mkdir(parents=True)
    script = host.script("job.sh", SCRIPT.format(books=books))
    host.script("crashjobs.py", CALLABLE.format(books=str(books)))
    host.define("load", DEFINITIONS.format(script=script))
    host.define("clock", TICKING.format(script=script))
    return books


@dataclass
class Acked:
    """What the daemon acknowledged, as one client knows it."""

    key: str
    run: int
    payload: Any


@dataclass
class Customer(threading.Thread):
    """A client that submits with keys until it is answered, and writes each answer down before the next."""

    host: Host
    books: Path
    number: int
    seed: int
    acked: list[Acked] = field(default_factory=list)
    cancelled: dict[int, str] = field(default_factory=dict)
    asked_to_cancel: set[int] = field(default_factory=set)
    doubled: list[tuple[str, int, int]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    unanswered: int = 0

    def __post_init__(self) -> None:
        super().__init__(daemon=True)
        self.leaving = threading.Event()
        self._dice = random.Random(self.seed * 1000 + self.number)

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        log = os.open(self.books / f"acked-{self.number}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        count = 0
        while not self.leaving.is_set():
            count += 1
            self._order(count, log)
            time.sleep(self._dice.uniform(0.0, 0.15))
        os.close(log)

    def _order(self, count: int, log: int) -> None:
        dice = self._dice
        if dice.random() < 0.1:
            self._burst(count)
            return
        job = dice.choice(["ok", "ok", "ok", "call", "call", "apart", "fail", "flaky", "slow"])
        payload = {"n": dice.randrange(10**6), "text": dice.choice(["", "ü☃\U0001f40d", '"\\ \x7f', "x" * 2000])}
        options: dict[str, Any] = {"priority": dice.choice([-10, 0, 10]), "key": f"{self.number}-{count}"}
        if dice.random() < 0.1:
            options["delay"] = "700ms"
        run = self._insist(job, payload, options)
        if run is None:
            return
        os.write(log, f"{options['key']} {run} {json.dumps(payload)}\n".encode())
        os.fsync(log)
        self.acked.append(Acked(options["key"], run, payload))
        if dice.random() < 0.1:
            self._again(job, options)
        if dice.random() < 0.1:
            self._cancel(run)

    def _insist(self, job: str, payload: Any, options: dict[str, Any]) -> int | None:
        ends = time.monotonic() + 60
        while time.monotonic() < ends:
            try:
                with self._client() as client:
                    return int(client.submit(job, payload, **options))
            except (JobdError, OSError) as error:
                self.unanswered += 1
                if type(error).__name__ not in ("Unreachable", "Unavailable"):
                    self.refused.append(f"{type(error).__name__}: {error}")
                    return None
                time.sleep(0.05)
        self.refused.append(f"{options['key']}: no answer in 60 s")
        return None

    def _burst(self, count: int) -> None:
        """Thirty quick runs at once, which wait behind each other at the workers: all are accepted or none."""
        runs: list[dict[str, Any]] = [
            {"job": "call", "payload": {"n": 4 * n + self._dice.randrange(7) * 28}, "key": f"{self.number}-{count}.{n}"}
            for n in range(30)
        ]
        ends = time.monotonic() + 60
        while time.monotonic() < ends:
            try:
                with self._client() as client:
                    ids = client.submit_many(runs)
            except (JobdError, OSError):
                self.unanswered += 1
                time.sleep(0.05)
                continue
            self.acked += [Acked(run["key"], number, run["payload"]) for run, number in zip(runs, ids, strict=True)]
            return
        self.refused.append(f"{self.number}-{count}: no answer in 60 s")

    def _again(self, job: str, options: dict[str, Any]) -> None:
        first = self.acked[-1]
        run = self._insist(job, first.payload, options)
        if run is not None:
            self.doubled.append((first.key, first.run, run))

    def _cancel(self, run: int) -> None:
        self.asked_to_cancel.add(run)
        try:
            with self._client() as client:
                self.cancelled[run] = client.cancel(run)
        except (Conflict, JobdError, OSError):
            return  # it has ended already, or nobody knows: neither is a promise

    def _client(self) -> Client:
        return Client(self.host.socket, timeout_seconds=20.0)


@contextmanager
def customers(host: Host, books: Path, count: int, seed: int) -> Iterator[list[Customer]]:
    """Clients at work for as long as the block lasts, and until the last of them has its answer."""
    made = [Customer(host, books, number, seed) for number in range(count)]
    for one in made:
        one.start()
    try:
        yield made
    finally:
        for one in made:
            one.leaving.set()
    for one in made:
        one.join(90)
        assert not one.is_alive()
