"""What becomes of submissions: one, many, and those that make no sense."""

from __future__ import annotations

import json
import os
import pwd
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jobd.control.ports import Policy
from jobd.core.errors import Unavailable
from jobd.core.intents import Submit
from jobd.core.model import Command, Dependency, Job, RunRequest, Unique
from jobd.core.states import Condition
from jobd.core.trace import Trace
from tests.control.desk import MemoryDesk
from tests.control.talk import Served, served

ME = pwd.getpwuid(os.geteuid()).pw_name


def accepted(desk: MemoryDesk) -> list[RunRequest]:
    return [request for intent in desk.intents if isinstance(intent, Submit) for request in intent.requests]


def test_a_run_takes_from_its_job_what_the_submit_leaves_out(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        answer = await it.ask("POST", "/v1/runs", {"job": "send-mail"})
        assert (answer.status, answer.json) == (201, {"id": 1, "state": "queued"})
        (made,) = accepted(it.desk)
        assert (made.queue, made.priority, made.payload, made.max_attempts) == ("email", 5, {"template": "plain"}, 3)
        assert (made.run_at, made.key, made.timeout_seconds, made.owner, made.adhoc) == (
            None,
            None,
            None,
            "root",
            False,
        )

    served(tmp_path, check)


@pytest.mark.parametrize(("said", "attempts"), [({}, 3), ({"max_attempts": 1}, 1)])
def test_a_command_has_three_attempts_where_its_submit_says_nothing(
    tmp_path: Path, said: dict[str, int], attempts: int
) -> None:
    async def check(it: Served) -> None:
        await it.ask("POST", "/v1/runs", {"command": ["true"]} | said)
        assert accepted(it.desk)[0].max_attempts == attempts

    served(tmp_path, check)


def test_a_submit_overrides_its_job(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        await it.ask(
            "POST",
            "/v1/runs",
            {
                "job": "send-mail",
                "payload": None,
                "queue": "slow",
                "priority": "high",
                "run_at": "2030-01-01T01:00:00+01:00",
                "key": "k",
                "max_attempts": 9,
                "timeout": "5m",
            },
        )
        (made,) = accepted(it.desk)
        assert made.payload is None
        assert (made.queue, made.priority, made.key, made.max_attempts) == ("slow", 10, "k", 9)
        assert made.run_at == datetime(2030, 1, 1, tzinfo=UTC)
        assert made.timeout_seconds == 300

    served(tmp_path, check)


def test_attempts_of_the_job_hold_where_the_submit_names_none(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        await it.ask("POST", "/v1/runs", {"job": "stubborn"})
        assert accepted(it.desk)[0].max_attempts == 7

    served(tmp_path, check)


def test_a_delay_counts_from_now(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        before = datetime.now(UTC)
        await it.ask("POST", "/v1/runs", {"job": "backup", "delay": "1h"})
        run_at = accepted(it.desk)[0].run_at
        assert run_at is not None
        assert before + timedelta(hours=1) <= run_at <= datetime.now(UTC) + timedelta(hours=1)

    served(tmp_path, check)


def test_a_known_key_answers_with_the_run_that_holds_it(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        await it.ask("POST", "/v1/runs", {"job": "backup", "key": "k"})
        answer = await it.ask("POST", "/v1/runs", {"job": "backup", "key": "k"})
        assert (answer.status, answer.json) == (200, {"id": 1, "state": "queued", "duplicate": True})

    served(tmp_path, check)


def test_a_command_becomes_an_adhoc_run_of_its_submitter(tmp_path: Path) -> None:
    template = Job(name="defaults", action=Command(("x",)), timeout_seconds=60.0, env=(("A", "b"),))

    async def check(it: Served) -> None:
        await it.ask("POST", "/v1/runs", {"command": ["echo", "a b", ""]})
        await it.ask("POST", "/v1/runs", {"command": "echo 'a b' $HOME"})
        one, other = accepted(it.desk)
        assert isinstance(one.job.action, Command)
        assert isinstance(other.job.action, Command)
        assert one.job.action.argv == ("echo", "a b", "")
        assert other.job.action.argv == ("echo", "a b", "$HOME")
        assert (one.adhoc, one.job.name, one.job.timeout_seconds, one.job.env) == (True, "adhoc", 60.0, (("A", "b"),))

    served(tmp_path, check, MemoryDesk(policy=Policy(defaults=template)))


def test_a_policy_can_turn_adhoc_commands_off(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        answer = await it.ask("POST", "/v1/runs", {"command": "true"})
        assert answer.status == 403
        assert "control.adhoc: off" in answer.json["detail"]

    served(tmp_path, check, MemoryDesk(policy=Policy(adhoc="off")))


@pytest.mark.parametrize("kind", ["array", "lines"])
def test_a_batch_is_one_intent_and_answers_with_ids_in_order(tmp_path: Path, kind: str) -> None:
    items = [{"job": "backup", "payload": n} for n in range(1000)]

    async def check(it: Served) -> None:
        answer = await post_batch(it, items, kind)
        assert answer.status == 201
        assert answer.json["ids"] == list(range(1, 1001))
        assert len(it.desk.intents) == 1
        assert [request.payload for request in accepted(it.desk)] == list(range(1000))

    served(tmp_path, check)


async def post_batch(it: Served, items: list[Any], kind: str) -> Any:
    if kind == "array":
        return await it.ask("POST", "/v1/runs", items)
    lines = "\n".join(json.dumps(item) for item in items) + "\n\n"
    return await it.ask("POST", "/v1/runs", lines.encode(), Content_Type="application/x-ndjson")


@pytest.mark.parametrize("kind", ["array", "lines"])
def test_one_bad_submission_refuses_the_whole_batch_with_every_error(tmp_path: Path, kind: str) -> None:
    items = [{"job": "backup"}, {"job": "nope", "priority": 101}, {"job": "backup", "queue": "-"}]

    async def check(it: Served) -> None:
        answer = await post_batch(it, items, kind)
        assert answer.status == 422
        assert [error["path"] for error in answer.json["errors"]] == ["/1/priority", "/1/job", "/2/queue"]
        assert it.desk.intents == []

    served(tmp_path, check)


def test_a_broken_line_is_named_and_nothing_is_submitted(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        body = b'{"job": "backup"}\n{"job": \n{"job": "backup"}'
        answer = await it.ask("POST", "/v1/runs", body, Content_Type="application/x-ndjson")
        assert answer.status == 400
        assert "line 2" in answer.json["detail"]
        assert answer.json["errors"][0]["path"] == "/1"
        assert it.desk.intents == []

    served(tmp_path, check)


def test_a_batch_that_is_too_long_is_refused(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        answer = await post_batch(it, [{"job": "backup"}] * 20_001, "lines")
        assert answer.status == 413

    served(tmp_path, check)


REFUSED = [
    (b"", 400, ""),
    (b"not json", 400, ""),
    (b"\xff\xfe", 400, ""),
    (b'{"job": "backup"', 400, ""),
    (b'{"job": "backup", "payload": NaN}', 400, ""),
    (b'{"job": "backup", "payload": -Infinity}', 400, ""),
    (b'{"job": "backup", "job": "backup"}', 400, ""),
    (b'{"job": "backup", "payload": {"a": {"b": 1, "b": 2}}}', 400, ""),
    (b"[" * 100_000, 400, ""),
    (b'{"job": "backup", "payload": ' + b"9" * 5000 + b"}", 400, ""),
    (b"[]", 422, ""),
    (b"3", 422, ""),
    (b"null", 422, ""),
    (b"{}", 422, ""),
    (b'{"job": null}', 422, ""),
    (b'[{"job": "backup", "x": 1}, {}]', 422, "/0/x"),
    (b"[3]", 422, "/0"),
    (b'{"job": "backup", "command": "true"}', 422, ""),
    (b'{"job": "bakcup"}', 422, "/job"),
    (b'{"job": "off"}', 422, "/job"),
    (b'{"job": "a/b"}', 422, "/job"),
    (b'{"job": ["backup"]}', 422, "/job"),
    (b'{"job": "backup", "payload": "a\\u0000b"}', 422, "/payload"),
    (b'{"job": "backup", "payload": {"x/~": ["\\ud800"]}}', 422, "/payload/x~1~0/0"),
    (b'{"job": "backup", "payload": {"\\udc00": 1}}', 422, "/payload/\udc00"),
    (b'{"job": "backup", "payload": 9223372036854775808}', 422, "/payload"),
    (b'{"job": "backup", "payload": 1e999}', 422, "/payload"),
    (b'{"job": "backup", "payload": ' + b"[" * 33 + b"]" * 33 + b"}", 422, "/payload" + "/0" * 32),
    (b'{"job": "backup", "payload": "' + b"x" * 70_000 + b'"}', 422, "/payload"),
    (b'{"job": "backup", "priority": 101}', 422, "/priority"),
    (b'{"job": "backup", "priority": true}', 422, "/priority"),
    (b'{"job": "backup", "priority": 1.0}', 422, "/priority"),
    (b'{"job": "backup", "run_at": "2026-12-24T18:00:00"}', 422, "/run_at"),
    (b'{"job": "backup", "run_at": "1999-12-31T23:59:59Z"}', 422, "/run_at"),
    (b'{"job": "backup", "run_at": "2200-01-01T00:00:00Z"}', 422, "/run_at"),
    (b'{"job": "backup", "run_at": "2026-02-30T00:00:00Z"}', 422, "/run_at"),
    (b'{"job": "backup", "run_at": 1700000000}', 422, "/run_at"),
    (b'{"job": "backup", "run_at": "2027-01-01T00:00:00Z", "delay": 5}', 422, "/delay"),
    (b'{"job": "backup", "delay": -1}', 422, "/delay"),
    (b'{"job": "backup", "delay": "soon"}', 422, "/delay"),
    (b'{"job": "backup", "timeout": true}', 422, "/timeout"),
    (b'{"job": "backup", "max_attempts": 0}', 422, "/max_attempts"),
    (b'{"job": "backup", "key": ""}', 422, "/key"),
    (b'{"job": "backup", "key": "' + b"k" * 256 + b'"}', 422, "/key"),
    (b'{"job": "backup", "depends_on": [{"run": 1, "on": "maybe"}]}', 422, "/depends_on"),
    (b'{"job": "backup", "depends_on": [{"run": 1}, {"run": 1, "on": "always"}]}', 422, "/depends_on"),
    (b'{"job": "backup", "depends_on": {"run": 1}}', 422, "/depends_on"),
    (b'{"job": "backup", "priorty": 3}', 422, "/priorty"),
    (b'{"job": "backup", "traceparent": 5}', 422, "/traceparent"),
    (b'{"job": "backup", "tracestate": ["a"]}', 422, "/tracestate"),
    (b'{"command": []}', 422, "/command"),
    (b'{"command": ["echo", 1]}', 422, "/command"),
    (b'{"command": ["echo", "a\\u0000"]}', 422, "/command/1"),
    (b'{"command": "echo \'"}', 422, "/command"),
    (b'{"command": [""]}', 422, "/command"),
    (b'{"command": ["x", "' + b"y" * 140_000 + b'"]}', 422, "/command"),
]


def test_a_submission_says_what_it_depends_on(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        body = b'{"job": "backup", "depends_on": [{"run": 7}, {"run": 8, "on": "always"}]}'
        assert (await it.ask("POST", "/v1/runs", body)).status == 201
        (request,) = accepted(it.desk)
        assert request.depends_on == (Dependency(7), Dependency(8, Condition.ALWAYS))

    served(tmp_path, check)


def test_what_makes_no_sense_is_refused_with_its_place(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        for body, status, place in REFUSED:
            answer = await it.ask("POST", "/v1/runs", body)
            problem = answer.json
            assert answer.headers["content-type"].startswith("application/problem+json")
            assert (answer.status, problem["status"]) == (status, status), (body[:80], problem)
            assert problem["detail"]
            if place:
                assert problem["errors"][0]["path"] == place, body[:80]
        assert it.desk.intents == []

    served(tmp_path, check)


def test_every_error_of_a_submission_is_told_at_once_with_suggestions(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        body = {"job": "bakup", "priorty": 1, "priority": "urgent", "delay": "soon"}
        problem = (await it.ask("POST", "/v1/runs", body)).json
        messages = {error["path"]: error["message"] for error in problem["errors"]}
        assert messages.keys() == {"/job", "/priorty", "/priority", "/delay"}
        assert 'did you mean "backup"?' in messages["/job"]
        assert 'did you mean "priority"?' in messages["/priorty"]
        assert "30s or 5m" in messages["/delay"]

    served(tmp_path, check)


def test_values_at_the_limits_are_taken_as_they_are(tmp_path: Path) -> None:
    deep: Any = []
    for _ in range(30):
        deep = [deep]
    payload = {"deep": deep, "low": -(2**63), "high": 2**63 - 1, "text": "é\U0001f600\x1b", "small": 5e-324}

    async def check(it: Served) -> None:
        answer = await it.ask(
            "POST", "/v1/runs", {"job": "backup", "payload": payload, "run_at": "2199-12-31T23:59:59Z"}
        )
        assert answer.status == 201
        assert accepted(it.desk)[0].payload == payload

    served(tmp_path, check)


def test_an_undeclared_queue_is_refused_where_queues_are_strict(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        answer = await it.ask("POST", "/v1/runs", {"job": "backup", "queue": "emial"})
        assert answer.status == 422
        assert 'did you mean "email"?' in answer.json["detail"]

    served(tmp_path, check, MemoryDesk(policy=Policy(strict_queues=True)))


def test_a_storage_that_is_full_is_told_as_unavailable(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        answer = await it.ask("POST", "/v1/runs", {"job": "backup"})
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert answer.json["detail"] == "storage_full: no space left"

    served(tmp_path, check, MemoryDesk(refusal=Unavailable("storage_full: no space left")))


def test_a_failure_nobody_foresaw_is_a_problem_without_a_traceback(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def check(it: Served) -> None:
        answer = await it.ask("POST", "/v1/runs", {"job": "backup"})
        assert answer.status == 500
        assert b"secret detail" not in answer.body
        assert b"Traceback" not in answer.body

    served(tmp_path, check, MemoryDesk(refusal=RuntimeError("secret detail")))
    assert "secret detail" in caplog.text


def test_a_submit_says_what_is_unique_and_takes_the_rest_from_its_job(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        wanted = {"key": ["to"], "period": "1h", "states": "all", "on_conflict": "replace"}
        await it.ask("POST", "/v1/runs", {"job": "backup", "unique": wanted})
        await it.ask("POST", "/v1/runs", {"job": "backup", "unique": {"key": "mine"}})
        first, second = accepted(it.desk)
        assert first.unique == Unique(("to",), None, 3600.0, "all", "replace")
        assert second.unique == Unique(None, "mine")

    served(tmp_path, check)


@pytest.mark.parametrize(
    "wrong", [True, {"keys": []}, {"key": 5}, {"key": [1]}, {"period": 0}, {"states": "some"}, {"states": "all"}]
)
def test_what_cannot_be_unique_is_refused_at_its_place(tmp_path: Path, wrong: Any) -> None:
    async def check(it: Served) -> None:
        answer = await it.ask("POST", "/v1/runs", {"job": "backup", "unique": wrong})
        assert answer.status == 422 or answer.status == 400
        assert [one["path"] for one in answer.json["errors"]] == ["/unique"]

    served(tmp_path, check)


def test_a_payload_is_held_against_the_schema_of_its_job(tmp_path: Path) -> None:
    schema = {"type": "object", "required": ["to"], "properties": {"n": {"type": "integer"}}}

    async def check(it: Served) -> None:
        it.desk.defined["mail"] = replace(it.desk.defined["backup"], job=replace(backup, name="mail"))
        answer = await it.ask("POST", "/v1/runs", [{"job": "mail", "payload": {"n": "a"}}, {"job": "mail"}])
        assert [one["path"] for one in answer.json["errors"]] == ["/0/payload", "/0/payload/n", "/1/payload"]
        assert (await it.ask("POST", "/v1/runs", {"job": "mail", "payload": {"to": "x"}})).status == 201

    backup = Job("backup", Command(("true",)), payload_schema=schema)
    served(tmp_path, check)


PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
OTHER = "00-4bf92f3577b34da6a3ce929d0e0e4736-1111111111111111-00"


def test_the_trace_of_the_headers_is_that_of_each_submission_which_names_none(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        items = [{"job": "backup"}, {"job": "backup", "traceparent": OTHER}]
        await it.ask("POST", "/v1/runs", items, traceparent=PARENT, tracestate="a=b")
        assert [one.trace for one in accepted(it.desk)] == [Trace(PARENT, "a=b"), Trace(OTHER)]
        shown = await it.get("/v1/runs/1")
        assert (shown["traceparent"], shown["tracestate"]) == (PARENT, "a=b")

    served(tmp_path, check)


def test_a_header_that_is_no_traceparent_is_passed_over_and_a_field_refused(tmp_path: Path) -> None:
    async def check(it: Served) -> None:
        assert (await it.ask("POST", "/v1/runs", {"job": "backup"}, traceparent="00-nothing")).status == 201
        assert accepted(it.desk)[0].trace is None
        for wrong in ({"traceparent": "00-nothing"}, {"traceparent": PARENT, "tracestate": "a"}, {"tracestate": "a=b"}):
            answer = await it.ask("POST", "/v1/runs", {"job": "backup"} | wrong)
            assert answer.status == 422
            assert answer.json["errors"][0]["path"] == "/" + list(wrong)[-1]
        assert len(accepted(it.desk)) == 1

    served(tmp_path, check)
