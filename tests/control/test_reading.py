"""What can be read over the API: status, jobs, runs and their lists, queues; and waiting for a run."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from jobd.control.app import routes
from jobd.core.states import RunState
from tests.control.desk import MemoryDesk, job, submitted
from tests.control.talk import Served, served

RUN_FIELDS = frozenset(
    """id job state queue priority payload result error attempts max_attempts trigger slot run_at created_at started_at
    finished_at duration exit_code outcome key parent owner spec_version""".split()  # noqa: SIM905 - as INTERFACES has it
)


def test_the_document_of_the_api_describes_runs_and_attempts_as_they_are(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        run = submitted(it.desk)
        it.desk.start_attempt(run)
        it.desk.end_attempt(run)
        described = (await it.get("/v1/openapi.json"))["components"]["schemas"]
        shown = await it.get(f"/v1/runs/{run}")
        assert shown.keys() - {"schema_version", "depends_on"} == described["Run"]["properties"].keys()
        (attempt,) = (await it.get(f"/v1/runs/{run}/attempts"))["items"]
        assert attempt.keys() == described["Attempt"]["properties"].keys()
        usage = attempt["usage"]
        assert usage is None or usage.keys() == described["Attempt"]["properties"]["usage"]["properties"].keys()

    served(tmp_path, check)


def test_status_shows_the_daemon_its_jobs_and_queues(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        seen = await it.get("/v1/status")
        assert (seen["schema_version"], seen["healthy"], seen["uptime_seconds"]) == (1, True, 90.0)
        assert seen["metrics_address"] == "127.0.0.1:9764"
        assert seen["workers"]["max"] == 4
        assert seen["workers"]["busy"] == 1
        assert [job["name"] for job in seen["jobs"]] == ["backup", "off", "send-mail", "stubborn"]
        assert seen["jobs"][0]["next_at"] == "2026-03-01T13:00:00Z"
        assert [queue["name"] for queue in seen["queues"]] == ["default", "email"]

    served(tmp_path, check)


def test_status_lists_a_hundred_jobs_and_more_only_when_asked(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        it.desk.defined.update((f"many-{n:03}", job(f"many-{n:03}")) for n in range(150))
        every = (await it.get("/v1/jobs"))["items"]
        seen = await it.get("/v1/status")
        assert seen["jobs"] == every[:100]
        assert seen["job_counts"] == {"total": 154, "failed": 1, "paused": 0, "circuit_open": 0, "late": 0}
        assert (await it.get("/v1/status?jobs=all"))["jobs"] == every
        assert (await it.get("/v1/status?jobs=2"))["jobs"] == every[:2]
        assert (await it.get("/v1/status?jobs=0"))["jobs"] == []
        assert (await it.ask("GET", "/v1/status?jobs=some")).status == 422

    served(tmp_path, check)


def test_lists_of_jobs_show_each_change_and_keep_the_rest(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        first = (await it.get("/v1/jobs"))["items"]
        assert first == (await it.get("/v1/status"))["jobs"]
        it.desk.defined["off"] = job("off", description="was switched on")
        it.desk.defined["new"] = job("new")
        del it.desk.defined["stubborn"]
        now = (await it.get("/v1/status"))["jobs"]
        assert [one["name"] for one in now] == ["backup", "new", "off", "send-mail"]
        assert now == (await it.get("/v1/jobs"))["items"]
        assert now[0] == first[0]
        assert (now[2]["enabled"], now[2]["description"]) == (True, "was switched on")

    served(tmp_path, check)


def test_an_empty_list_of_jobs_is_one(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        it.desk.defined.clear()
        assert await it.get("/v1/jobs") == {"items": []}
        assert (await it.get("/v1/status"))["jobs"] == []

    served(tmp_path, check)


def test_a_run_reads_every_field_of_the_contract(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        run = submitted(it.desk, payload={"a": 1}, key="k")
        seen = await it.get(f"/v1/runs/{run}")
        assert seen.keys() >= RUN_FIELDS
        assert (seen["payload"], seen["key"], seen["created_at"]) == ({"a": 1}, "k", "2026-03-01T12:00:00Z")

    served(tmp_path, check)


def test_a_tree_tells_runs_and_what_waits_for_what(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        first, second = submitted(it.desk), submitted(it.desk, "send-mail")
        seen = await it.get(f"/v1/runs/{second}/tree")
        assert (seen["run"], seen["truncated"]) == (second, False)
        assert [(one["id"], one["job"], one["state"]) for one in seen["items"]] == [
            (first, "backup", "queued"),
            (second, "send-mail", "queued"),
        ]
        assert seen["edges"] == [{"parent": first, "child": second, "on": "success", "decision": None}]
        assert (await it.ask("GET", "/v1/runs/99/tree")).status == 404

    served(tmp_path, check)


def test_a_list_of_runs_is_walked_with_its_cursor(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        for _ in range(7):
            submitted(it.desk)
        found: list[int] = []
        target = "/v1/runs?limit=3"
        while True:
            page = await it.get(target)
            found += [run["id"] for run in page["items"]]
            if page["next_cursor"] is None:
                break
            target = f"/v1/runs?limit=3&cursor={page['next_cursor']}"
        assert found == [7, 6, 5, 4, 3, 2, 1]

    served(tmp_path, check)


def test_runs_are_filtered(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        submitted(it.desk)
        submitted(it.desk, "send-mail", queue="email")
        it.desk.move(2, RunState.FAILED)
        for query, ids in [
            ("job=backup", [1]),
            ("queue=email", [2]),
            ("state=failed,queued", [2, 1]),
            ("state=failed", [2]),
            ("state=running", []),
            ("since=2026-03-01T12:00:00Z", [2, 1]),
            ("since=2026-03-01T12:00:01Z", []),
        ]:
            page = await it.get(f"/v1/runs?{query}")
            assert [run["id"] for run in page["items"]] == ids, query

    served(tmp_path, check)


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/v1/runs?limit=0", 422),
        ("/v1/runs?limit=1001", 422),
        ("/v1/runs?limit=%EF%BC%91", 422),
        ("/v1/runs?state=done", 422),
        ("/v1/runs?since=yesterday", 422),
        ("/v1/runs?cursor=x", 422),
        ("/v1/runs?colour=red", 422),
        ("/v1/runs?job=a&job=b", 400),
        ("/v1/runs?job=../x", 422),
        ("/v1/runs/99", 404),
        ("/v1/runs/-1", 404),
        ("/v1/runs/%C2%B2", 404),
        ("/v1/runs/9999999999999999999999", 404),
        ("/v1/runs/99/attempts", 404),
        ("/v1/runs/99/output", 404),
        ("/v1/runs/99/wait", 404),
        ("/v1/jobs/nope", 404),
        ("/v1/jobs/%00", 404),
        ("/v1/jobs/nope/next", 404),
        ("/v1/jobs/backup/next?n=0", 422),
        ("/v1/queues/nope", 404),
        ("/v1/health?queue=nope", 404),
        ("/v1/nothing", 404),
        ("/", 404),
        ("/v1/events?kind=nothing", 422),
        ("/v1/events?since=soon", 422),
        ("/v1/jobs/nope/why", 404),
        ("/v1/jobs/backup/why?when=now", 422),
        (f"/v1/jobs/backup/why?at={'1' * 65}", 422),
        ("/v1/runs/1/why", 404),
        ("/v1/dead-letters?cursor=0", 422),
        ("/v1/dead-letters?job=%00", 422),
    ],
)
def test_a_question_without_an_answer_is_a_problem(tmp_path: Path, target: str, status: int) -> None:
    async def check(it: Served) -> None:
        answer = await it.ask("GET", target)
        assert (answer.status, answer.json["status"]) == (status, status), answer.body
        assert answer.headers["content-type"].startswith("application/problem+json")

    served(tmp_path, check)


def test_a_wrong_method_is_told_the_right_ones(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        answer = await it.ask("DELETE", "/v1/runs")
        assert (answer.status, answer.headers["allow"]) == (405, "GET, POST")

    served(tmp_path, check)


def test_everything_served_is_described(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        described = (await it.get("/v1/openapi.json"))["paths"]
        known = {(route.method, route.path) for route in routes()} - {("GET", "/v1/openapi.json")}
        assert {(method.upper(), path) for path, methods in described.items() for method in methods} == known

    served(tmp_path, check)


def test_coming_slots_are_told_in_utc_and_local_time(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        items = (await it.get("/v1/jobs/backup/next?n=2"))["items"]
        assert items[0] == {
            "job": "backup",
            "at": "2026-03-01T12:00:00Z",
            "local": "2026-03-01T13:00:00+01:00",
            "remark": "",
        }
        assert len(items) == 2

    served(tmp_path, check)


def test_the_coming_slots_of_all_jobs_are_one_answer_that_may_end_at_an_instant(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        items = (await it.get("/v1/next?n=9&from=2026-03-02T00:00:00Z&to=2026-03-03T12:00:00Z"))["items"]
        assert [item["at"] for item in items] == ["2026-03-02T00:00:00Z", "2026-03-03T00:00:00Z"]

    served(tmp_path, check)


def test_a_span_that_ends_before_it_begins_is_refused(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        for path in ("/v1/next", "/v1/jobs/backup/next", "/v1/slots"):
            asked = await it.ask("GET", f"{path}?from=2026-03-02T00:00:00Z&to=2026-03-01T00:00:00Z")
            assert asked.status == 422, path

    served(tmp_path, check)


def test_slots_tell_how_their_runs_stand_and_may_be_of_one_disposition(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        (slot,) = (await it.get("/v1/slots?job=backup&disposition=started"))["items"]
        assert (slot["slot"], slot["run"], slot["state"]) == ("2026-03-01T12:00:00Z", 1, "failed")
        assert (slot["outcome"], slot["exit_code"]) == ("timeout", 124)
        assert (await it.get("/v1/slots?disposition=missed"))["items"] == []
        for query in ("disposition=lost", "cursor=x", "from=yesterday"):
            assert (await it.ask("GET", f"/v1/slots?{query}")).status == 422, query

    served(tmp_path, check)


def test_why_hands_the_instant_over_as_it_was_asked_for(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        seen = await it.get("/v1/jobs/backup/why?at=02:30")
        assert seen.keys() == {"subject", "reason", "detail", "blockers", "until"}
        assert seen["detail"] == "asked at 02:30"
        run = submitted(it.desk)
        assert (await it.get(f"/v1/runs/{run}/why"))["subject"] == f"run {run}"

    served(tmp_path, check)


def test_the_workload_is_told_page_by_page_with_what_is_usual(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        first = await it.get("/v1/workload?limit=1")
        assert (first["workers_max"], first["queues"], first["next_cursor"]) == (
            4,
            {"default": 8, "email": 4},
            "backup",
        )
        (backup,) = first["items"]
        assert (backup["job"], backup["runs"], backup["median_seconds"], backup["p95_seconds"]) == ("backup", 3, 2, 9)
        assert backup["schedule"]["expressions"] == ["30 2 * * *"]
        second = await it.get("/v1/workload?cursor=backup")
        assert [one["job"] for one in second["items"]] == ["off", "send-mail", "stubborn"]
        assert second["items"][0]["median_seconds"] is None and second["next_cursor"] is None

    served(tmp_path, check)


def test_waiting_answers_as_soon_as_the_run_is_final(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        run = submitted(it.desk)
        asked = asyncio.create_task(it.get(f"/v1/runs/{run}/wait?timeout=60"))
        await waiting(it.desk, run)
        it.desk.ended.wake(run)  # a wake-up for nothing is no answer
        await waiting(it.desk, run)
        it.desk.move(run, RunState.SUCCEEDED)
        seen = await asyncio.wait_for(asked, 60)
        assert (seen["state"], seen["final"]) == ("succeeded", True)

    served(tmp_path, check)


async def waiting(desk: MemoryDesk, run: int) -> None:
    async with asyncio.timeout(60):
        while run not in desk.ended.waiting:  # noqa: ASYNC110 - the desk has no event for being asked
            await asyncio.sleep(0.005)


def test_a_run_that_ends_while_it_is_looked_at_wakes_its_waiter(tmp_path: Path) -> None:
    """The future must be had before the state is read: here the run ends right after the first look."""
    desk = MemoryDesk()
    run = submitted(desk)
    look = desk.reads.run

    def look_and_end(wanted: int) -> object:
        found = look(wanted)
        if found is not None and not found.state.is_final:
            desk.move(run, RunState.FAILED)
        return found

    async def check(it: Served) -> None:
        desk.reads.run = look_and_end  # type: ignore[assignment,method-assign]
        seen = await asyncio.wait_for(it.get(f"/v1/runs/{run}/wait?timeout=60"), 40)
        assert seen["final"] is True

    served(tmp_path, check, desk)


def test_waiting_ends_at_the_timeout_with_the_run_as_it_is(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        run = submitted(it.desk)
        for timeout in ("0", "0.05", "50ms"):
            seen = await it.get(f"/v1/runs/{run}/wait?timeout={timeout}")
            assert (seen["state"], seen["final"]) == ("queued", False)

    served(tmp_path, check)


def test_cancel_and_retry_answer_with_the_state_it_has_now(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        run = submitted(it.desk)
        conflict = await it.ask("POST", f"/v1/runs/{run}/retry")
        assert conflict.status == 409
        answer = await it.ask("POST", f"/v1/runs/{run}/cancel")
        assert answer.json == {"id": run, "state": "cancelled"}
        answer = await it.ask("POST", f"/v1/runs/{run}/retry", {"payload": {"n": 2}})
        assert answer.json == {"id": run, "state": "queued"}
        retry = it.desk.intents[-1]
        assert (retry.payload, retry.replaces_payload) == ({"n": 2}, True)  # type: ignore[union-attr]
        for body in (b'{"payload": NaN}', b'{"x": 1}', b"[]", b'{"payload": "\\ud800"}'):
            assert (await it.ask("POST", f"/v1/runs/{run}/retry", body)).status in (400, 422)

    served(tmp_path, check)


def test_reload_says_what_changed(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        answer = await it.ask("POST", "/v1/reload?dry_run=1")
        assert answer.json == {"added": ["new"], "changed": [], "removed": [], "problems": [], "dry_run": True} | {
            "settings": [],
            "restart_needed": [],
        }
        assert (await it.ask("POST", "/v1/reload?dry_run=maybe")).status == 422

    served(tmp_path, check)
