"""The stream of events: from now, from before, what was missed, and for whose eyes."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, get_args

from jobd.control import happened
from jobd.control.ports import Policy
from jobd.core.events import AttemptFinished, CatalogChanged, Event, RunAccepted, RunFinished, StoreCommitted
from jobd.core.model import AttemptKey, Ending
from jobd.core.roles import Role
from jobd.core.states import Outcome, RunState, Trigger
from jobd.observe.recent import Recent
from tests.control.desk import NOW, MemoryDesk, submitted
from tests.control.talk import Served, Talk, served


def accepted(run: int, job: str = "backup", queue: str = "default") -> Event:
    return RunAccepted(run, job, queue, Trigger.SUBMIT, NOW, "root")


def failed(run: int) -> Event:
    return RunFinished(run, "backup", "default", NOW, RunState.FAILED, Outcome.FAILED, 1.5, 3, "no such table: shop")


def events_of(body: bytes) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in body.decode().splitlines() if line.startswith("data: ")]


async def follow(it: Served, query: str = "", **headers: str) -> Talk:
    """A reader whose stream has begun."""
    talk = await it.open()
    talk.ask("GET", f"/v1/events{query}", None, **headers)
    assert (await talk.head()).headers["content-type"].startswith("text/event-stream")
    assert (await talk.chunk()).startswith(b"id: ")
    return talk


def test_a_follower_sees_what_happens_from_now_on(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        it.desk.recent.take(accepted(1))
        talk = await follow(it)
        it.desk.recent.take(accepted(2))
        chunk = await talk.chunk()
        assert chunk.startswith(b"id: %d\nevent: run_accepted\ndata: {" % it.desk.recent.last)
        (told,) = events_of(chunk)
        assert (told["run"], told["job"], told["trigger"], told["at"]) == (
            2,
            "backup",
            "submit",
            "2026-03-01T12:00:00Z",
        )

    served(tmp_path, check)


def test_a_reader_that_was_cut_off_resumes_behind_the_last_event_it_saw(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        for run in (1, 2, 3):
            it.desk.recent.take(accepted(run))
        talk = await follow(it, Last_Event_ID=str(it.desk.recent.last - 2))
        assert [one["run"] for one in events_of(await talk.chunk())] == [2, 3]
        resumed = await it.ask("GET", f"/v1/events?follow=0&since={it.desk.recent.last - 1}")
        assert [one["run"] for one in events_of(resumed.body)] == [3]

    served(tmp_path, check)


def test_a_reader_is_told_of_events_that_are_no_longer_kept(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        it.desk.recent = Recent(NOW, kept=3)
        before = it.desk.recent.last
        for run in range(1, 6):
            it.desk.recent.take(accepted(run))
        for since in (before, it.desk.recent.last + 1000):
            told = events_of((await it.ask("GET", f"/v1/events?follow=0&since={since}")).body)
            assert (told[0]["kind"], told[0]["since"], told[0]["next"]) == ("gap", since, before + 3)
            assert [one["run"] for one in told[1:]] == [3, 4, 5]

    served(tmp_path, check)


def test_only_the_events_that_were_asked_for_come(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        ending = Ending(Outcome.FAILED, error="boom", result={"large": 1})
        attempt = AttemptFinished(AttemptKey(2, 1), "send-mail", "email", NOW, ending)
        for one in (accepted(1), accepted(2, "send-mail", "email"), attempt, StoreCommitted(NOW, 0.1, 1), failed(1)):
            it.desk.recent.take(one)
        it.desk.recent.take(CatalogChanged(NOW, ("a",), (), (), ()))
        for query, kinds in [
            ("", "run_accepted run_accepted attempt_finished run_finished catalog_changed"),
            ("&job=backup", "run_accepted run_finished"),
            ("&queue=email", "run_accepted attempt_finished"),
            ("&run=2&kind=attempt_finished,run_finished", "attempt_finished"),
        ]:
            found = events_of((await it.ask("GET", f"/v1/events?follow=0{query}")).body)
            assert [one["kind"] for one in found] == kinds.split(), query
        assert b"large" not in (await it.ask("GET", "/v1/events?follow=0")).body

    served(tmp_path, check)


def test_a_viewer_sees_that_a_run_failed_and_not_why(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        run = submitted(it.desk, owner="somebody")
        it.desk.recent.take(failed(run))
        (seen,) = events_of((await it.ask("GET", "/v1/events?follow=0")).body)
        assert (seen["state"], seen["exit_code"], seen["reason"]) == ("failed", 3, "no such table: shop")
        for connection in await _as_viewer(it):
            (hidden,) = events_of(connection)
            assert (hidden["state"], hidden["exit_code"], hidden["reason"]) == ("failed", 3, None)

    async def _as_viewer(it: Served) -> list[bytes]:
        """What an open connection says once its peer is no more than a viewer."""
        talk = await it.open()
        talk.ask("GET", "/v1/version")
        await talk.answer()
        (connection,) = [one for one in it.reception._open if one.transport is not None][-1:]
        connection.actor = _viewer(connection.actor)
        talk.ask("GET", "/v1/events?follow=0")
        return [(await talk.answer()).body]

    served(tmp_path, check, MemoryDesk(policy=Policy()))


def _viewer(actor: Any) -> Any:
    from dataclasses import replace

    return replace(actor, uid=12345, user="viewer", role=Role.VIEWER)


def test_every_event_but_commits_has_a_shape() -> None:
    assert set(get_args(Event)) - {StoreCommitted} == set(happened.KINDS)


def test_a_reader_that_takes_nothing_is_dropped(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        await follow(it)
        deadline = asyncio.get_running_loop().time() + 20
        while it.reception.connections and asyncio.get_running_loop().time() < deadline:
            for _ in range(500):
                it.desk.recent.take(accepted(1, queue="q" * 100))
            await asyncio.sleep(0.01)
        assert it.reception.connections == 0

    served(tmp_path, check, stalled_seconds=0.2)
