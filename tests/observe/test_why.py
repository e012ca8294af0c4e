"""`why` names the reason that holds, with everything else that stands in the way beside it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jobd.core.buckets import Level, Rate, Use
from jobd.core.model import Command, Job, Schedule
from jobd.core.records import RunRecord, SlotRecord
from jobd.core.states import Disposition, Outcome, RunState, Trigger
from jobd.core.wall import Meant
from jobd.core.zones import zone
from jobd.observe.why import jobs, runs, slots
from jobd.observe.why.findings import Finding, Hold, Host, shape
from jobd.observe.why.limits import Dry, Short
from jobd.observe.why.recorded import SlotFacts

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
HOST = Host(NOW, zone("UTC"), workers_max=4)
JOB = Job("backup", Command(("true",)), schedule=Schedule(("0 * * * *",), "UTC"))
UP = Use(Rate(100, 60, 10), Level(0.0, NOW))
RUN = RunRecord(
    id=42, job="backup", state=RunState.QUEUED, queue="default", priority=0, payload=None, result=None, error=None,
    attempts=0, max_attempts=1, trigger=Trigger.SCHEDULE, slot=None, run_at=NOW, created_at=NOW, started_at=None,
    finished_at=None, exit_code=None, outcome=None, key=None, parent=None, owner=None, spec_version="0", adhoc=False,
    cancelling=False,
)  # fmt: skip


def run_finding(host: Host = HOST, run: dict[str, Any] | None = None, **facts: Any) -> Finding:
    return runs.why(runs.RunFacts(host, replace(RUN, **(run or {})), **facts))


def ended(state: RunState, **more: Any) -> dict[str, Any]:
    return {"state": state, "attempts": 1, "started_at": NOW - MINUTE, "finished_at": NOW, **more}


@pytest.mark.parametrize(
    ("facts", "reason", "words"),
    [
        ({}, "starting", "nothing keeps it"),
        (
            {"queue_limit": 3, "queue_running": (12, 13, 14)},
            "queue_full",
            "queue default is full, 3/3: #12 #13 #14",
        ),
        ({"queue_limit": 3, "queue_running": (12, 13)}, "starting", ""),
        (
            {"holds": (Hold("queue", "email", by="ann"),)},
            "paused",
            "queue email is paused by ann until somebody resumes",
        ),
        (
            {"run": {"expires_at": NOW + HOUR}},
            "starting",
            "it expires at 2026-03-01 13:00:00 +0000 if it has not started",
        ),
        (
            {"dry": (Dry("queue", "email", UP),)},
            "rate_limit",
            "queue email may start 100/min, burst 10: the next token is there at 2026-03-01 12:00:00 +0000, in 0.6s",
        ),
        (
            {"short": (Short("pg", 2, 4, ((12, 3),)), Short("gpu", 1, 1, ((13, 1),)))},
            "resource",
            "resource pg is taken, 3/4, 2 wanted: #12 and resource gpu is taken, 1/1: #13",
        ),
        ({"job_limit": 1, "job_running": (7,)}, "job_full", "job backup is at its limit, 1/1: #7"),
        ({"host": replace(HOST, workers_busy=4)}, "no_idle_worker", "4 of 4"),
        ({"host": replace(HOST, draining=True)}, "draining", "shutting down"),
        ({"host": replace(HOST, storage_problem="disk full")}, "storage", "disk full"),
        ({"ahead": 1}, "behind", "1 run is ahead"),
        ({"ahead": None}, "behind", "more runs"),
        ({"run": {"state": RunState.SCHEDULED, "run_at": NOW + HOUR}}, "scheduled", "2026-03-01 13:00:00 +0000"),
        (
            {"run": {"state": RunState.RETRYING, "run_at": NOW + HOUR, "outcome": Outcome.FAILED, "exit_code": 3}},
            "retrying",
            "exit status 3; the next one",
        ),
        ({"run": {"state": RunState.BLOCKED}}, "blocked", "other runs"),
        (
            {"run": {"state": RunState.RUNNING, "attempts": 1, "started_at": NOW - MINUTE}, "worker": 3},
            "running",
            "attempt 1 of 1 has been running for 1m at worker 3",
        ),
        ({"run": ended(RunState.SUCCEEDED)}, "succeeded", "succeeded after 1m at"),
        ({"run": ended(RunState.FAILED, outcome=Outcome.TIMEOUT)}, "failed", "failed after 1m: timeout"),
        ({"run": ended(RunState.CANCELLED, error="cancelled by ann")}, "cancelled", "cancelled by ann"),
    ],
)
def test_a_run_tells_why_it_waits_or_how_it_ended(facts: dict[str, Any], reason: str, words: str) -> None:
    found = run_finding(**facts)
    assert found.reason == reason
    assert words in found.detail


def test_everything_that_keeps_a_run_is_told_not_the_first_alone() -> None:
    found = run_finding(queue_limit=1, queue_running=(7,), job_limit=1, job_running=(7,), ahead=2)
    assert [(one.kind, one.id) for one in found.blockers] == [("run", 7), ("job_full", None), ("behind", None)]


def test_a_wait_for_tokens_and_resources_names_them_and_who_has_them() -> None:
    rates = (Dry("queue", "email", UP), Dry("job", "backup", Use(Rate(1, 60, 1), Level(0.5, NOW))))
    found = run_finding(dry=rates)
    assert [(one.kind, one.id) for one in found.blockers] == [
        ("rate_limit", "queue:email"),
        ("rate_limit", "job:backup"),
    ]
    assert found.until == NOW + MINUTE / 2, "both must have one: the later decides"
    beside = run_finding(short=(Short("gpu", 1, 1, ((13, 1),)),), dry=rates[:1])
    assert [(one.kind, one.id) for one in beside.blockers] == [
        ("resource", "gpu"),
        ("run", 13),
        ("rate_limit", "queue:email"),
    ]


def test_the_answer_has_the_shape_of_the_interface() -> None:
    found = shape("run 42", run_finding(run={"state": RunState.SCHEDULED, "run_at": NOW + HOUR}))
    assert found.keys() == {"subject", "reason", "detail", "blockers", "until"}
    assert (found["subject"], found["until"]) == ("run 42", "2026-03-01T13:00:00Z")


def job_finding(job: Job = JOB, **facts: Any) -> Finding:
    return jobs.why(jobs.JobFacts(**{"host": HOST, "job": job, "place": "a.yaml:3", "next_at": NOW + HOUR} | facts))


def slot(disposition: Disposition = Disposition.STARTED, at: datetime = NOW - HOUR, **more: Any) -> SlotRecord:
    return SlotRecord("backup", at, disposition, **{"run": None, "reason": ""} | more)


BY_ANN = 'paused by ann at 2026-03-01 11:00:00 +0000 until 2026-03-01 14:00:00 +0000 ("migration")'
PAUSE = Hold("job", "backup", by="ann", note="migration", since=NOW - HOUR, until=NOW + 2 * HOUR)


@pytest.mark.parametrize(
    ("facts", "reason", "words"),
    [
        ({}, "not_due", "its next slot is 2026-03-01 13:00:00 +0000, in 1h; it had none before"),
        ({"newest": slot(run=7, run_state=RunState.FAILED)}, "not_due", "started run 7, which has failed"),
        ({"running": (7,), "running_since": NOW - MINUTE}, "running", "running for 1m: #7"),
        ({"waiting": (8,), "waits": Finding("queue_full", "full")}, "waiting", "run 8 of it is there and waits (queue"),
        ({"job": replace(JOB, enabled=False)}, "disabled", "enabled: false in a.yaml:3"),
        ({"holds": (PAUSE,)}, "paused", BY_ANN),
        ({"holds": (replace(PAUSE, until=None),)}, "paused", "until somebody resumes it"),
        ({"holds": (replace(PAUSE, kind="queue", name="email"),)}, "paused", "queue email is paused"),
        ({"holds": (replace(PAUSE, reason="circuit"),)}, "circuit", "circuit of job backup is open"),
        ({"job": replace(JOB, schedule=Schedule())}, "no_schedule", "jobd-ctl run backup"),
        ({"next_at": None}, "never_due", "nothing of its schedule is ahead: 0 * * * *"),
        ({"next_at": None, "on_boot": True}, "on_boot", "once at each start of the host; it had none before"),
        ({"problems": ("a.yaml:3:1: bad",)}, "definition_broken", "what was in force before stays: a.yaml:3:1: bad"),
        (
            {"newest": slot(Disposition.SKIPPED, reason="overlap: run 7 is not over")},
            "overlap",
            "its last slot, 2026-03-01 11:00:00 +0000, was skipped: the last run was not over: run 7 is not over",
        ),
        ({"newest": slot(Disposition.MISSED, reason="catch_up_skip: late")}, "missed", "catch_up is skip"),
        ({"host": replace(HOST, draining=True)}, "draining", "shutting down"),
        ({"host": replace(HOST, storage_problem="disk full")}, "storage", "disk full"),
    ],
)  # fmt: skip
def test_a_job_tells_why_it_is_not_running(facts: dict[str, Any], reason: str, words: str) -> None:
    found = job_finding(**facts)
    assert found.reason == reason
    assert words in found.detail


def test_all_that_keeps_a_job_is_told_and_when_the_first_of_it_ends() -> None:
    found = job_finding(job=replace(JOB, enabled=False), holds=(PAUSE,), problems=("a.yaml:3:1: bad",))
    assert [one.kind for one in found.blockers] == ["file", "paused", "definition_broken"]
    assert job_finding(holds=(PAUSE,)).until == NOW + 2 * HOUR


def test_a_pause_is_told_also_while_a_run_is_running_or_waits_for_something_else() -> None:
    runs: list[dict[str, Any]] = [{"running": (7,)}, {"waiting": (8,), "waits": Finding("blocked", "waits for run 7")}]
    for facts in runs:
        found = job_finding(holds=(PAUSE,), **facts)
        assert [one.kind for one in found.blockers] == ["run", "paused"]
    held = job_finding(holds=(PAUSE,))
    assert job_finding(holds=(PAUSE,), waiting=(8,), waits=held).blockers[1:] == held.blockers


def slot_finding(at: datetime = NOW - HOUR, job: Job = JOB, **facts: Any) -> Finding:
    known = {"host": HOST, "job": job, "place": "a.yaml:3", "asked": Meant(at), "first_seen_at": NOW - 9 * HOUR}
    known |= {"watermark": NOW, "previous_due": at - HOUR, "next_due": at + HOUR}
    return slots.why(SlotFacts(**known | facts))


OFF = replace(JOB, enabled=False)
SHARED = "catch_up_skip: about 90 slots since then share this row"
DONE = replace(RUN, **ended(RunState.SUCCEEDED, started_at=NOW - HOUR, finished_at=NOW - HOUR + MINUTE))
LATE = replace(RUN, id=7, **ended(RunState.FAILED, started_at=NOW - HOUR + MINUTE, error="broken"))


@pytest.mark.parametrize(
    ("facts", "reason", "words"),
    [
        ({"row": slot(run=42), "run": DONE}, "started", "due at 2026-03-01 11:00:00 +0000 and started run 42, which"),
        ({"row": slot(run=7), "run": LATE}, "started", "which began 1m after it and failed after 59m: broken"),
        ({"row": slot(run=42), "run": RUN, "run_waits": Finding("behind", "2 ahead")}, "started", "is queued: 2 ahead"),
        ({"row": slot(run=42)}, "started", "does not hold any more"),
        (
            {"row": slot(Disposition.SKIPPED, reason="overlap: run 7 is not over"), "run": LATE},
            "overlap",
            "would have fired at 2026-03-01 11:00:00 +0000, but was skipped: the last run was not over: run 7",
        ),
        ({"row": slot(Disposition.SKIPPED, reason="excluded: holidays")}, "excluded", "but was skipped"),
        (
            {"row": slot(Disposition.SKIPPED, NOW + HOUR, reason="skip_next: by ann")},
            "skip_next",
            "it is due at 2026-03-01 13:00:00 +0000, but is going to be skipped",
        ),
        ({"row": slot(Disposition.MISSED, reason="catch_up_window: late")}, "missed", "longer than catch_up_window"),
        (
            {"row": slot(Disposition.COALESCED, reason="newer_slot: late"), "later": slot(at=NOW, run=9)},
            "coalesced",
            "the slot of 2026-03-01 12:00:00 +0000 stands for it, with run 9",
        ),
        ({"row": slot(Disposition.EXPIRED, reason="start_deadline: late")}, "expired", "was expired"),
        ({}, "not_due", "not due at 2026-03-01 11:00:00 +0000; the slot before is 2026-03-01 10:00:00"),
        ({"at": NOW - 10 * HOUR, "due": NOW - 10 * HOUR}, "before_first_seen", "first seen"),
        ({"at": NOW - 10 * HOUR, "earlier": slot(at=NOW - 11 * HOUR)}, "schedule_changed", "was another"),
        ({"due": NOW - HOUR}, "unrecorded", "the history holds none"),
        ({"due": NOW - HOUR, "watermark": NOW - 2 * HOUR}, "undecided", "being decided now"),
        (
            {"due": NOW - HOUR, "watermark": NOW - 2 * HOUR, "host": replace(HOST, storage_problem="disk full")},
            "storage",
            "disk full",
        ),
        ({"due": NOW - HOUR, "watermark": NOW - 2 * HOUR, "job": OFF}, "disabled", "enabled: false"),
        (
            {"due": NOW - HOUR, "later": slot(Disposition.MISSED, NOW, reason=SHARED)},
            "missed",
            "was missed with others",
        ),
        ({"at": NOW + HOUR, "due": NOW + HOUR}, "due", "it will fire at 2026-03-01 13:00:00 +0000, in 1h"),
        ({"at": NOW + HOUR, "due": NOW + HOUR, "remark": "jitter +5s"}, "due", "(jitter +5s)"),
        ({"at": NOW + HOUR, "due": NOW + HOUR, "bar": "excluded: holidays"}, "excluded", "will not start"),
        ({"at": NOW + HOUR, "due": NOW + HOUR, "bar": "paused: by ann"}, "paused", "it will not start: paused: by ann"),
        ({"at": NOW + HOUR, "due": NOW + HOUR, "job": replace(JOB, enabled=False)}, "disabled", "enabled: false"),
        ({"job": replace(JOB, schedule=Schedule())}, "no_schedule", "jobd-ctl run backup"),
        ({"asked": Meant(NOW - HOUR, "gap", "2026-03-01 10:30")}, "dst_gap", "2026-03-01 10:30 never was"),
        (
            {"asked": Meant(NOW - HOUR, "gap", "2026-03-01 10:30"), "row": slot(run=42), "run": DONE},
            "started",
            "2026-03-01 10:30 never was, and it was due",
        ),
        ({"asked": Meant(NOW - HOUR, "repeated", "2026-03-01 11:00")}, "not_due", "came twice"),
    ],
)  # fmt: skip
def test_a_slot_tells_what_became_of_it(facts: dict[str, Any], reason: str, words: str) -> None:
    found = slot_finding(**facts)
    assert found.reason == reason
    assert words in found.detail


def test_a_skipped_slot_names_the_run_in_its_way() -> None:
    found = slot_finding(row=slot(Disposition.SKIPPED, reason="overlap: run 7 is not over"), run=LATE)
    assert [(one.kind, one.id) for one in found.blockers] == [("run", 7)]
    assert found.detail.endswith("run 7 failed after 59m: broken")


def test_an_instant_without_a_slot_names_those_around_it() -> None:
    found = slot_finding()
    assert [one.id for one in found.blockers] == ["2026-03-01T10:00:00Z", "2026-03-01T12:00:00Z"]


def test_every_reason_is_written_down() -> None:
    root = Path(__file__).parents[2]
    sources = "".join(path.read_text() for path in (root / "jobd" / "observe" / "why").glob("*.py"))
    told = set(re.findall(r'(?:Finding|_full)\(\s*"([a-z_]+)"', sources))
    written = set(re.findall(r"`([a-z_]+)`", (root / "docs" / "why.md").read_text()))
    assert len(told) > 20
    assert told - written == set()
