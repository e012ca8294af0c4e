"""Bugs planted in a copy of the package, one at a time: the tests have to notice each (`make planted`).

A bug is a text that is replaced by another. Where the text is not there any more, the list has to be mended.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_SECONDS = 120
_AT_ONCE = 2
_MACHINE = (sys.executable, "-m", "tests.supervisor.test_queue_machine")


@dataclass(frozen=True)
class Bug:
    """What is planted, where, and which tests are to notice; None is the machine of the queue."""

    name: str
    file: str
    text: str
    instead: str
    tests: str | None = None


ENGINE, TICK = "supervisor/engine.py", "supervisor/tick.py"


def sql(module: str) -> str:
    """Where the statements of a module of the store stand."""
    return f"store/statements/{module}.sql"


BUGS = (
    Bug(
        "a report of an attempt that is over still counts",
        sql("runs"),
        "WHERE run.id = :run AND run.attempt = :attempt AND run.state = 'running';",
        "WHERE run.id = :run;",
    ),
    Bug(
        "clients are answered before the commit",
        ENGINE,
        "after = tick(tx, self.rules, batch, moment)",
        "after = tick(tx, self.rules, batch, moment)\n"
        "                for question, said in after.answers:\n"
        "                    _answer(question, said)",
    ),
    Bug(
        "orders go out before the commit",
        ENGINE,
        "after = tick(tx, self.rules, batch, moment)",
        "after = tick(tx, self.rules, batch, moment)\n                self._workers.give(after.orders)",
    ),
    Bug(
        "what came in is forgotten before the commit",
        ENGINE,
        "batch = self.inbox.batch()\n",
        "batch = self.inbox.batch()\n        self.inbox.drop(batch)\n",
    ),
    Bug(
        "an attempt is counted twice",
        sql("reservation"),
        "attempt = attempt + 1, started_at",
        "attempt = attempt + 2, started_at",
    ),
    Bug(
        "an attempt that was given back counts all the same",
        sql("runs"),
        "given_back = given_back + :given_back",
        "given_back = given_back + 0 * :given_back",
    ),
    Bug(
        "edges are not decided with the end of the parent",
        "supervisor/follow.py",
        "    follow_runs(tx, after.final[after.followed :], after)\n",
        "",
    ),
    Bug("what is too late starts", TICK, "    is_in_time = expire(tx, after)\n", "    is_in_time = True\n"),
    Bug(
        "a cancel is forgotten while the attempt ends",
        sql("runs"),
        "SET cancelling = 1, error",
        "SET cancelling = 0, error",
    ),
    Bug(
        "what is delayed starts at once",
        sql("reservation"),
        "AND run_at <= :now ORDER BY run_at LIMIT",
        "ORDER BY run_at LIMIT",
    ),
    Bug(
        "priority counts for nothing",
        sql("reservation"),
        "AND lane = :lane\n  ORDER BY priority DESC, run_at",
        "AND lane = :lane\n  ORDER BY run_at",
    ),
    Bug("limits hold nothing back", "core/allot.py", "return bound if limit is None else", "return bound if True else"),
    Bug(
        "a dead letter stays open while its run is tried again",
        "supervisor/again.py",
        '    dead.settle(tx, run, "retried", intent.actor.user)\n',
        "",
    ),
    Bug("history forgets what is open", "core/retention.py", " or run.is_dead or", " or"),
    Bug(
        "history forgets what is waited for",
        "core/retention.py",
        " or run.is_awaited",
        "",
        "tests/supervisor/test_prune.py",
    ),
    Bug(
        "a trigger counts what comes and not what goes",
        "store/migrations/0007_tallies.sql",
        "  UPDATE tally SET runs = runs - 1 WHERE job = OLD.job AND queue = OLD.queue AND state = OLD.state;\n  INSERT",
        "  INSERT",
    ),
    Bug("a retry moves with the clock that is set", "supervisor/plan.py", "    runs.carry(tx, stepped)\n", ""),
    Bug(
        "an idempotency key holds nothing",
        sql("submits"),
        "WHERE digest = :digest AND (held",
        "WHERE 0 AND :digest AND (held",
    ),
    Bug(
        "a lost attempt is thought to live",
        "supervisor/recover.py",
        "elif pool.is_alive(attempt.worker):",
        "elif pool.is_alive(attempt.worker) or True:",
    ),
    Bug(
        "a transaction does not claim the file as it begins",
        "store/connection.py",
        'raw.execute("BEGIN IMMEDIATE")',
        'raw.execute("BEGIN DEFERRED")',
        "tests/store/test_connection.py",
    ),
    Bug(
        "a commit is not forced to the disk",
        "store/connection.py",
        'self._pragma("synchronous", synchronous.upper())',
        'self._pragma("synchronous", "OFF")',
        "tests/store/test_connection.py",
    ),
    Bug(
        "catch-up knows no window",
        "core/due.py",
        "is_near = now - late[-1] <=",
        "is_near = True or now - late[-1] <=",
        "tests/core/test_due.py",
    ),
    Bug(
        "an order that is asked back is ended though it has begun",
        "work/line.py",
        "            if not unless_begun:\n                self._stop",
        "            if True:\n                self._stop",
        "tests/work/test_pool.py",
    ),
    Bug(
        "a clock that is set uses up the time of what is not due yet",
        sql("runs"),
        "iif(state = 'scheduled', max(:now - run_at, 0), :stepped)",
        ":stepped + 0 * :now",
        "tests/supervisor/test_expire.py",
    ),
    Bug(
        "the repeated hour fires twice",
        "core/dst.py",
        'if self.overlap == "first" and',
        'if self.overlap == "never" and',
        "tests/core/test_dst.py",
    ),
    Bug(
        "a child is opened again without what its other parent came to since",
        sql("edges"),
        "AND run.state IN ('blocked', 'cancelled'))));",
        "AND run.state = 'blocked')));",
        "tests/supervisor/test_workflow.py",
    ),
)


def plant(directory: Path, bug: Bug | None) -> None:
    """A copy of the package and its tests, with one bug or none."""
    for name in ("jobd", "tests"):
        shutil.copytree(ROOT / name, directory / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", directory)
    if bug is None:
        return
    path = directory / "jobd" / bug.file
    text = path.read_text()
    assert bug.text in text, f"{bug.name}: {bug.file} does not say this any more: {bug.text!r}"
    path.write_text(text.replace(bug.text, bug.instead))


def is_noticed(bug: Bug | None) -> bool:
    """Whether the tests fail with this bug in the package."""
    with tempfile.TemporaryDirectory(prefix="jobd-planted-") as directory:
        plant(Path(directory), bug)
        command = _MACHINE
        if bug is not None and bug.tests is not None:
            command = (sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", bug.tests)
        environment = os.environ | {"PYTHONPATH": directory, "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            command, cwd=directory, env=environment, timeout=_SECONDS, check=False, capture_output=True
        )
        return done.returncode != 0


def main() -> int:
    """Plant one after the other; how many were not noticed."""
    if is_noticed(None):
        print("the tests fail without a bug too")
        return 1
    began, missed = time.monotonic(), 0
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for bug, noticed in zip(BUGS, pool.map(is_noticed, BUGS), strict=True):
            print(f"{'noticed' if noticed else 'MISSED '}  {bug.name}", flush=True)
            missed += not noticed
    print(f"{len(BUGS) - missed} of {len(BUGS)} noticed in {time.monotonic() - began:.0f} s")
    return missed


if __name__ == "__main__":
    sys.exit(main())
