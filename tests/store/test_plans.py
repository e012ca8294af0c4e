"""How SQLite answers the statements of every tick: along an index, without sorting, whatever the backlog."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import apsw
import pytest

from jobd.store.queries import statements
from tests.store.builders import NOW, SECOND, Store, job, open_at

HOT: dict[str, str | None] = {
    # Statement → the index (or key) it must go along; None where it has only rows it was given.
    "reserve": "run_ready",
    "reserve_lane": "run_ready",
    "waiting_queues": "run_ready",
    "common_lane": "run_ready",
    "best_lanes": "lane_order",
    "best": "run_ready",
    "reserve_these": "INTEGER PRIMARY KEY",
    "note_takes": "INTEGER PRIMARY KEY",
    "taken": "run_takes",
    "terms": "INTEGER PRIMARY KEY",
    "special_lane": "sqlite_autoindex_special_1",
    "bucket": "PRIMARY KEY",
    "note_bucket": None,
    "candidates": "job_circuit",
    "lapsed_jobs": "job_paused",
    "held_job": "INTEGER PRIMARY KEY",
    "circuit_of": "INTEGER PRIMARY KEY",
    "lanes_of_job": "INTEGER PRIMARY KEY",
    "move_lane": "run_active",
    "unfinished_of": "run_active",
    "waiting": "run_ready",
    "running": "run_running",
    "promote": "run_due",
    "coming": "run_due",
    "expire": "run_expiring",
    "give_up": "run_deadline",
    "set_deadline": "INTEGER PRIMARY KEY",
    "expire_slot": "PRIMARY KEY",
    "too_late": "run_expiring",
    "under_way": "INTEGER PRIMARY KEY",
    "end_run": "INTEGER PRIMARY KEY",
    "rerun": "INTEGER PRIMARY KEY",
    "cancel_waiting": "INTEGER PRIMARY KEY",
    "cancel_running": "INTEGER PRIMARY KEY",
    "retry_run": "INTEGER PRIMARY KEY",
    "state_of": "INTEGER PRIMARY KEY",
    "payload": "INTEGER PRIMARY KEY",
    "note_child": "PRIMARY KEY",
    "close_attempt": "PRIMARY KEY",
    "attempts": "PRIMARY KEY",
    "span_of_attempt": "PRIMARY KEY",
    "traced_run": "INTEGER PRIMARY KEY",
    "traced_parents": "edge_of_child",
    "held_key": "PRIMARY KEY",
    "active_runs": "run_active",
    "left_running": "run_running",
    "timing": "INTEGER PRIMARY KEY",
    "move_watermark": "INTEGER PRIMARY KEY",
    "note_last": "INTEGER PRIMARY KEY",
    "oldest_waiting": "run_ready",
    "list_runs": "INTEGER PRIMARY KEY",
    "list_runs_of_job": "run_of_job",
    "run_columns": "INTEGER PRIMARY KEY",
    "spec_id": "sqlite_autoindex_job_spec_1",
    "spec_text": "INTEGER PRIMARY KEY",
    "add_slot": None,
    "standing": "sqlite_autoindex_job_1",
    "active_count": "PRIMARY KEY",
    "next_ended": "INTEGER PRIMARY KEY",
    "newest_in_state": "run_of_job",
    "forget_run": "INTEGER PRIMARY KEY",
    "forget_slots": "PRIMARY KEY",
    "queued_by_owner": "PRIMARY KEY",
    "bury": "INTEGER PRIMARY KEY",
    "settle_dead": "dead_letter_open",
    "choose_dead": "dead_letter_open",
    "list_dead": "dead_letter_open",
    "deaths": "dead_letter_of_run",
    "open_edges": "edge_open",
    "release": "edge_awaited",
    "decide_edge": "PRIMARY KEY",
    "broken_edges": "PRIMARY KEY",
    "reopen_edges": "PRIMARY KEY",
    "pass_blame": "edge_of_child",
    "waive_edges": "edge_of_child",
    "renew_edges": "edge_of_child",
    "parents_of": "edge_of_child",
    "edges_into": "edge_of_child",
    "edges_among": "PRIMARY KEY",
    "relatives": "edge_of_child",
    "block_again": "INTEGER PRIMARY KEY",
    "skip_run": "INTEGER PRIMARY KEY",
    "list_slots_of_job": "PRIMARY KEY",
    "next_slots_of_job": "PRIMARY KEY",
    "running_in_queue": "run_running",
    "active_of_job": "run_active",
    "front_of_lane": "run_ready",
    "durations": "run_of_job",
    "samples": "INTEGER PRIMARY KEY",
    "samples_of_job": "run_of_job",
    "remembered": "sqlite_autoindex_job_1",
}

SCANS_ALLOWED = {
    # A covering partial index that holds unfinished runs only, read whole where all of them are asked for.
    ("running", "SCAN run USING COVERING INDEX run_running"),
    ("running", "SCAN run USING INDEX run_running"),
    ("waiting", "SCAN run USING COVERING INDEX run_ready"),
    ("waiting", "SCAN run USING INDEX run_ready"),
    ("taken", "SCAN run USING INDEX run_takes"),
    ("taken", "SCAN run USING COVERING INDEX run_takes"),
    ("left_running", "SCAN run USING INDEX run_running"),
    # The first steps along an index that has the order asked for, cut off by a LIMIT.
    ("coming", "SCAN run USING COVERING INDEX run_due"),
    ("coming", "SCAN run USING INDEX run_due"),
    ("coming", "SCAN run USING COVERING INDEX run_expiring"),
    ("oldest_waiting", "SCAN run USING COVERING INDEX run_ready"),
}
SORTS_ALLOWED = {
    # Sorts the open dead letters that a filter leaves, when somebody acts on them.
    "choose_dead",
    # Groups the first run of each lane and priority by queue.
    "oldest_waiting",
    # What a person asks about one queue or one job: its runs under way, and those of a job that are not final.
    "running_in_queue",
    "active_of_job",
    # Sorts the unfinished runs of one job, when a slot of it is due.
    "active_runs",
    # Sorts at most as many rows as there are seats (each lane gives at most :most), never the backlog.
    "reserve",
    "best",
    # Sort the few runs that hang together with one, for a person to look at.
    "edges_among",
    "parents_of",
    "edges_into",
}


def plan(connection: apsw.Connection, name: str) -> list[str]:
    sql = statements()[name]
    wanted = set(re.findall(r":(\w+)", sql))
    bindings: Any = dict.fromkeys(wanted, 1) if wanted else (1,) * sql.count("?")
    if "lanes" in wanted:
        bindings["lanes"] = "[[0, 5], [1, 5]]"
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", bindings)]


@pytest.mark.parametrize("name", sorted(HOT))
def test_a_hot_statement_goes_along_its_index(store: Store, name: str) -> None:
    store.submit(count=50)
    store.submit(count=5, run_at=NOW + SECOND)
    store.reserve(3)
    connection = apsw.Connection(store.path)
    steps = plan(connection, name)
    index = HOT[name]
    if index is not None:
        assert any(index in step for step in steps), steps
    # `run` goes by several names in these statements: a scan of it under any of them counts.
    scans = [step for step in steps if re.match(r"SCAN (run|best|next|here)\b", step)]
    assert [step for step in scans if (name, step) not in SCANS_ALLOWED] == [], steps
    if name not in SORTS_ALLOWED:
        assert not any("TEMP B-TREE" in step for step in steps), steps


def test_statistics_that_mislead_the_planner_are_forgotten(store: Store) -> None:
    store.submit(count=5)
    apsw.Connection(store.path).execute("ANALYZE")
    again = open_at(Path(store.path).parent)
    assert again.rows("SELECT name FROM sqlite_schema WHERE name LIKE 'sqlite_stat%'") == []
    assert not any("SCAN run" in step for step in plan(again.writer._connection.raw, "reserve_lane"))
    again.close()


def test_every_statement_is_one_that_sqlite_can_prepare(store: Store) -> None:
    connection = apsw.Connection(store.path)
    for name in statements():
        assert plan(connection, name) is not None, name


def steps_of(store: Store, name: str, bindings: dict[str, object]) -> int:
    """How many instructions of SQLite's virtual machine a statement takes; time says less, on a shared machine."""
    raw = store.writer._connection.raw
    raw.execute("BEGIN IMMEDIATE")
    try:
        with apsw_trace(raw) as counted:
            raw.execute(statements()[name], bindings).fetchall()
    finally:
        raw.execute("ROLLBACK")
    return counted[-1]


class apsw_trace:  # noqa: N801 - used like a function
    """Collects SQLITE_STMTSTATUS_VM_STEP of the statements that end inside the block."""

    def __init__(self, raw: apsw.Connection) -> None:
        self._raw, self._steps = raw, list[int]()

    def __enter__(self) -> list[int]:
        self._raw.trace_v2(apsw.SQLITE_TRACE_PROFILE, self._note)
        return self._steps

    def __exit__(self, *_: object) -> None:
        self._raw.trace_v2(0)

    def _note(self, event: dict[str, Any]) -> None:
        self._steps.append(event["stmt_status"]["SQLITE_STMTSTATUS_VM_STEP"])


FLAT: dict[str, dict[str, object]] = {
    "reserve_lane": {"lane": 0, "most": 4, "queue": "default", "now": 1},
    "reserve": {"lanes": json.dumps([[0, 4], [1, 4]]), "most": 4, "queue": "default", "now": 1},
    "waiting_queues": {"after": "", "most": 256},
    "best_lanes": {"queue": "default", "full": "[]", "most": 8},
    "best": {"lanes": json.dumps([[0, 4], [1, 4]]), "most": 4, "queue": "default"},
    "reserve_these": {"runs": json.dumps([3, 4]), "now": 1},
    "taken": {},
    "running": {},
    "promote": {"now": 2**60, "most": 10},
    "coming": {"now": 1},
    "waiting": {"queue": "default", "lane": 0, "most": 64},
    "oldest_waiting": {"most": 256},
    "queue_counts": {},
    "active_counts": {},
    "queued_by_owner": {"owner": "ann"},
}


def fill(store: Store, waiting: int, ended: int) -> None:
    """A backlog and a history, written straight into the file."""
    store.submit(job(), 4)
    store.submit(job(), 4, run_at=NOW + 3600 * SECOND)
    store.reserve(2)
    sql = (
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
        "INSERT INTO run (job, spec, lane, queue, priority, state, run_at, created_at, finished_at, max_attempts, "
        "trigger) "
        "SELECT 1, 1, 0, 'default', i % 7, ?, i, i, ?, 1, 'submit' FROM n"
    )
    store.rows(sql, waiting, "queued", None)
    store.rows(sql, waiting, "scheduled", None)
    store.rows(sql, ended, "succeeded", 5)


def test_reserving_costs_the_same_whatever_the_backlog_and_the_history(tmp_path: Path) -> None:
    """Virtual machine steps with a thousand and with a hundred thousand runs; sorting or scanning shows at once."""
    found: list[dict[str, int]] = []
    for waiting, ended in ((1_000, 1_000), (100_000, 50_000)):
        directory = tmp_path / str(waiting)
        directory.mkdir()
        store = open_at(directory, synchronous="normal")
        fill(store, waiting, ended)
        found.append({name: steps_of(store, name, bindings) for name, bindings in FLAT.items()})
        store.close()
    small, large = found
    assert small == large
    # The most is ten runs promoted at once, each counted by the triggers as it moves.
    assert max(small.values()) < 4_000, small
