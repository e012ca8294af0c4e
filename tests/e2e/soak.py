"""Very many runs through the real daemon, each of which writes its name into a book (`make soak`).

The book is held against what was acknowledged and against the store: none lost, none twice, nothing made up.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import apsw

from jobd.client import Client
from tests.e2e.daemon import Host, host, until
from tests.e2e.ledger import rows
from tests.store import invariants

SETTINGS = """
workers: {max: 32}
queues: {narrow: {max_running: 3}}
logging: {level: warning}
drain_timeout: 5s
"""
DEFINITIONS = """
jobs:
  call: {{python: "book:note"}}
  limited: {{python: "book:note", max_running: 4, queue: narrow}}
  command: {{shell: 'echo "$JOBD_RUN_ID.$JOBD_ATTEMPT" >> {book}'}}
"""
CALLABLE = """\
import os
BOOK = {book!r}

def note(payload, context):
    book = os.open(BOOK, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(book, b"%d.%d\\n" % (context.run_id, context.attempt))
    os.close(book)
    return payload
"""
_BATCH = 500
_CUSTOMERS = 4
_BACKLOG = 20_000
"""Runs that wait at most, so that a million of them is a matter of time and not of how much can wait."""


@dataclass
class Soak:
    """A host at work on so many runs: most of them warm Python, one in twenty a command, one in ten under limits."""

    host: Host
    count: int
    acked: list[int] = field(default_factory=list)
    failed: list[BaseException] = field(default_factory=list)

    def begin(self) -> None:
        self.book.touch()
        self.host.script("book.py", CALLABLE.format(book=str(self.book)))
        self.host.define("soak", DEFINITIONS.format(book=self.book))
        self.host.start()

    @property
    def book(self) -> Path:
        return self.host.directory / "book"

    def submit(self) -> list[threading.Thread]:
        """Several customers at once, each with its share of the runs."""
        shares = [range(first, self.count, _CUSTOMERS) for first in range(_CUSTOMERS)]
        threads = [threading.Thread(target=self._order, args=(share,), daemon=True) for share in shares]
        for thread in threads:
            thread.start()
        return threads

    def _order(self, share: range) -> None:
        try:
            with Client(self.host.socket, timeout_seconds=60.0) as client:
                for start in range(0, len(share), _BATCH):
                    until(lambda: self.waiting() < _BACKLOG, 600.0, "room for more")
                    batch = [{"job": _job(n), "payload": n, "priority": n % 3} for n in share[start : start + _BATCH]]
                    self.acked += client.submit_many(batch)
        except BaseException as error:
            self.failed.append(error)
            raise

    def waiting(self) -> int:
        return int(rows(self.host, "SELECT coalesce(sum(runs), 0) FROM tally WHERE state = 'queued'")[0][0])

    def ended(self) -> int:
        return int(rows(self.host, "SELECT coalesce(sum(runs), 0) FROM tally WHERE state = 'succeeded'")[0][0])

    def memory_mib(self) -> float:
        """What the daemon itself holds in memory now."""
        assert self.host.process is not None
        status = Path(f"/proc/{self.host.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def settled(self) -> bool:
        assert not self.failed, self.failed
        return self.ended() >= self.count

    def check(self) -> None:
        """Each run was acknowledged once, executed once and ended once, and the store holds together."""
        written = Counter(self.book.read_text().split())
        assert sorted(self.acked) == list(range(1, self.count + 1)), "acknowledged"
        runs = Counter(name.partition(".")[0] for name in written.elements())
        assert not (twice := [run for run, times in runs.items() if times > 1]), self.told_of(twice)
        # An order that is taken back from a busy worker before it begins gives its number up, and counts for nothing.
        spent = rows(self.host, "SELECT id, attempt, attempt - given_back FROM run")
        assert set(written) ^ {f"{run}.{attempt}" for run, attempt, _ in spent} == set(), "lost, or made up"
        assert [(run, attempt) for run, attempt, counted in spent if counted != 1] == [], "tried again"
        base = apsw.Connection(str(self.host.database), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            assert invariants.broken(base) == {}
            assert invariants.is_whole(base)
        finally:
            base.close()

    def told_of(self, twice: list[str]) -> str:
        """What the store says of the attempts of runs that were executed more than once."""
        sql = """SELECT run, attempt, outcome, error, exit_code, worker_pid, reserved_at, started_at, finished_at
                 FROM attempt WHERE run = ? ORDER BY attempt"""
        lines = [str(attempt) for run in twice[:20] for attempt in rows(self.host, sql, int(run))]
        return "\n".join([f"executed more than once: {len(twice)} runs", *lines])


def _job(n: int) -> str:
    return "command" if n % 20 == 0 else "limited" if n % 10 == 1 else "call"


def progress(soak: Soak) -> Iterator[str]:
    """A line every few seconds until all is done."""
    began, last, before = time.monotonic(), 0, time.monotonic()
    while not soak.settled():
        time.sleep(5.0)
        now, ended = time.monotonic(), soak.ended()
        pace = (ended - last) / (now - before)
        yield f"{ended:>9} runs  {pace:7.0f} runs/s  {soak.memory_mib():6.1f} MiB  {now - began:6.0f} s"
        last, before = ended, now


def main(count: int) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="jobd-", ignore_cleanup_errors=True) as directory,
        host(Path(directory), SETTINGS) as made,
    ):
        soak = Soak(made, count)
        soak.begin()
        threads = soak.submit()
        for line in progress(soak):
            print(line, flush=True)
        for thread in threads:
            thread.join()
        soak.check()
        print(f"{count} runs, each executed exactly once; store of {made.database.stat().st_size / 2**20:.0f} MiB")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
