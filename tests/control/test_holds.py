"""Keeping jobs and queues back over HTTP: what is asked of the engine, and who may."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jobd.control.authorise import Deed, permits
from jobd.core.holds import Pause as Held
from jobd.core.intents import Actor, CancelJob, Pause, Resume, SkipNext
from jobd.core.roles import Role
from tests.control.desk import NOW
from tests.control.talk import Served, served


def test_a_job_is_paused_until_an_instant_or_for_a_while_with_a_note(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        body = {"until": "2199-01-01T00:00:00Z", "note": "disk swap"}
        said = await it.ask("POST", "/v1/jobs/backup/pause", body)
        assert said.json == {"job": "backup", "paused": True, "until": "2199-01-01T00:00:00Z", "by": "root"}
        await it.ask("POST", "/v1/queues/email/pause", {"until": "2h"})
        await it.ask("POST", "/v1/pause")
        job, queue, everything = (intent for intent in it.desk.intents if isinstance(intent, Pause))
        assert (job.kind, job.name, job.note) == ("job", "backup", "disk swap")
        assert queue.until is not None
        assert abs(queue.until - datetime.now(UTC) - timedelta(hours=2)) < timedelta(minutes=1)
        assert (everything.kind, everything.name, everything.until) == ("queue", "*", None)

    served(tmp_path, check)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/jobs/nope/pause", None, 404),
        ("/v1/queues/nope/pause", None, 404),
        ("/v1/queues/*/pause", None, 404),
        ("/v1/jobs/backup/pause", {"until": "soon"}, 422),
        ("/v1/jobs/backup/pause", {"until": "2020-01-01T00:00:00Z"}, 422),
        ("/v1/jobs/backup/pause", {"until": []}, 422),
        ("/v1/jobs/backup/pause", {"note": 3}, 422),
        ("/v1/jobs/backup/pause", {"note": "x" * 501}, 422),
        ("/v1/jobs/backup/pause", {"note": "a\0b"}, 422),
        ("/v1/jobs/backup/pause", {"untill": "2h"}, 422),
        ("/v1/jobs/backup/skip-next", {"undo": 1}, 422),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, path: str, body: Any, status: int) -> None:
    async def check(it: Served) -> None:
        assert (await it.ask("POST", path, body)).status == status
        assert it.desk.intents == []

    served(tmp_path, check)


def test_resuming_says_whether_anything_was_paused(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        it.desk.reads.pauses["email"] = Held(NOW, None, "ann", "why not")
        (email,) = (one for one in (await it.get("/v1/queues"))["items"] if one["name"] == "email")
        assert email["paused"] == {"at": "2026-03-01T12:00:00Z", "until": None, "by": "ann", "note": "why not"}
        assert (await it.ask("POST", "/v1/queues/email/resume")).json["was_paused"] is True
        assert (await it.ask("POST", "/v1/resume")).json["was_paused"] is False
        assert [type(intent) for intent in it.desk.intents] == [Resume, Resume]

    served(tmp_path, check)


def test_slots_are_skipped_and_every_run_of_a_job_ended(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        said = (await it.ask("POST", "/v1/jobs/backup/skip-next")).json
        assert said == {"job": "backup", "slots": ["2026-03-01T12:00:00Z"]}
        assert (await it.ask("POST", "/v1/jobs/gone/cancel")).json["runs"] == [1, 2]
        skip, cancel = it.desk.intents
        assert isinstance(skip, SkipNext)
        assert isinstance(cancel, CancelJob)
        assert (skip.job, skip.undo, cancel.job) == ("backup", False, "gone")

    served(tmp_path, check)


def test_operators_keep_jobs_back_and_owners_their_own() -> None:
    ann = Actor(1000, 1000, 1, "ann", role=Role.SUBMITTER)
    admin = Actor(0, 0, 1, "root", role=Role.ADMIN)
    assert permits(admin, Deed.HOLD_JOB)
    assert permits(ann, Deed.HOLD_JOB, job_owner="ann")
    assert not permits(ann, Deed.HOLD_JOB, job_owner="bob")
    assert not permits(ann, Deed.HOLD_JOB)
    assert not permits(ann, Deed.HOLD_QUEUE, "ann")
