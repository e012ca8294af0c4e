"""What is logged of events: the sentence, how urgent it is, and the fields a journal is searched by."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from jobd.core import events
from jobd.core.lateness import Check
from jobd.core.model import AttemptKey, Ending
from jobd.core.states import Disposition, Outcome, RunState, Trigger
from jobd.observe.sentences import MESSAGE_IDS, Priority, entries

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
KEY = AttemptKey(42, 2)


def test_a_failed_run_is_a_warning_with_every_field() -> None:
    event = events.RunFinished(42, "backup", "email", NOW, RunState.FAILED, Outcome.TIMEOUT, 90.0, 124, "took too long")
    (entry,) = entries(event)
    assert entry.message == "Run 42 of backup failed after 1m 30s (timeout: took too long)"
    assert entry.priority == Priority.WARNING
    assert entry.fields == {
        "JOBD_JOB": "backup",
        "JOBD_RUN_ID": "42",
        "JOBD_QUEUE": "email",
        "JOBD_OUTCOME": "timeout",
        "MESSAGE_ID": MESSAGE_IDS[events.RunFinished],
    }


@pytest.mark.parametrize(
    ("event", "priority", "message"),
    [
        (
            events.RunFinished(1, "a", "q", NOW, RunState.SUCCEEDED, Outcome.SUCCEEDED, 0.25, 0),
            Priority.INFO,
            "Run 1 of a succeeded after 0.25s",
        ),
        (
            events.RunFinished(1, "a", "q", NOW, RunState.CANCELLED, None, 0.0, None),
            Priority.NOTICE,
            "Run 1 of a cancelled",
        ),
        (
            events.RunFinished(1, "a", "q", NOW, RunState.FAILED, Outcome.FAILED, 3.0, 7),
            Priority.WARNING,
            "Run 1 of a failed after 3s (exit code 7)",
        ),
        (
            events.AttemptFinished(KEY, "a", "q", NOW, Ending(Outcome.FAILED, exit_code=75, error="busy"), NOW),
            Priority.NOTICE,
            "Run 42 of a: attempt 2 ended failed (exit code 75, busy); the next one is due at 2026-03-01T12:00:00Z",
        ),
        (
            events.RunFinished(42, "a", "q", NOW, RunState.SUCCEEDED, Outcome.SUCCEEDED, 2.0, 0, "no such word"),
            Priority.INFO,
            "Run 42 of a succeeded after 2s (no such word)",
        ),
        (
            events.SlotDecided("a", NOW, NOW, Disposition.SKIPPED, None, "overlap with run 3"),
            Priority.NOTICE,
            "Slot 2026-03-01T12:00:00Z of a was skipped (overlap with run 3)",
        ),
        (
            events.AttemptRescued(KEY, "a", NOW, "lost"),
            Priority.WARNING,
            "Run 42 of a: attempt 2 outlived the daemon (lost)",
        ),
        (
            events.Degraded("storage_full", NOW, "no space left"),
            Priority.ERROR,
            "Degraded: storage_full: no space left",
        ),
        (events.Degraded("storage_full", NOW), Priority.NOTICE, "No longer degraded: storage_full"),
        (
            events.ScheduleMoved("a", NOW, NOW, datetime(2026, 3, 1, 13, tzinfo=UTC), "tzdata 2026a → 2026b"),
            Priority.WARNING,
            "The next slot of a moved from 2026-03-01T12:00:00Z to 2026-03-01T13:00:00Z (tzdata 2026a → 2026b)",
        ),
        (
            events.JobLate("a", NOW, Check.START, NOW, "run 42 has not started within 10m of being due", 42, "q"),
            Priority.WARNING,
            "Job a is late: run 42 has not started within 10m of being due (late_after)",
        ),
        (
            events.LatenessEnded("a", NOW, Check.START, NOW, "q"),
            Priority.NOTICE,
            "Job a is not late any more (late_after)",
        ),
        (events.ClockStepped(NOW, -7200.0), Priority.WARNING, "The wall clock was set back by 2h"),
    ],
)
def test_every_event_has_its_sentence(event: events.Event, priority: Priority, message: str) -> None:
    (entry,) = entries(event)
    assert (entry.priority, entry.message) == (priority, message)


def test_a_catalog_with_problems_tells_each_of_them() -> None:
    event = events.CatalogChanged(NOW, ("a", "b"), (), ("c",), ("x.yaml:1:2: jobs.d: no", "x.yaml:3:2: jobs.e: no"))
    told = [(entry.priority, entry.message) for entry in entries(event)]
    assert told[0] == (Priority.INFO, "Definitions read: added a, b; removed c")
    assert [priority for priority, _message in told[1:]] == [Priority.WARNING, Priority.WARNING]
    assert "x.yaml:3:2: jobs.e: no" in told[2][1]


def test_what_happens_all_the_time_is_not_logged_by_default() -> None:
    for event in (
        events.RunAccepted(1, "a", "q", Trigger.SUBMIT, NOW, "root"),
        events.AttemptStarted(KEY, "a", "q", NOW, 0.1),
        events.AttemptFinished(KEY, "a", "q", NOW, Ending(Outcome.SUCCEEDED)),
        events.SlotDecided("a", NOW, NOW, Disposition.STARTED, 1),
    ):
        assert list(entries(event, Priority.INFO)) == []
        assert len(list(entries(event, Priority.DEBUG))) == 1
    assert list(entries(events.StoreCommitted(NOW, 0.1, 1), Priority.DEBUG)) == []


def test_a_level_keeps_less_urgent_sentences_back() -> None:
    event = events.RunFinished(1, "a", "q", NOW, RunState.SUCCEEDED, Outcome.SUCCEEDED, 1.0, 0)
    assert list(entries(event, Priority.WARNING)) == []


def test_every_kind_of_event_but_commits_has_a_message_id_of_its_own() -> None:
    kinds = {kind for kind in vars(events).values() if isinstance(kind, type) and kind.__module__ == events.__name__}
    assert set(MESSAGE_IDS) == kinds - {events.StoreCommitted}
    assert len(set(MESSAGE_IDS.values())) == len(MESSAGE_IDS)
    assert all(len(value) == 32 and int(value, 16) for value in MESSAGE_IDS.values())
