"""Each verb asks the API what it should, shows what it is answered, and exits as promised."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from jobd.core.buckets import Level, Rate, Use
from jobd.core.queues import Limits
from jobd.core.records import QueueFigures
from jobd.core.states import Outcome, RunState
from jobd.observe.figures import Figures, Lane
from jobd.observe.health import report
from tests.cli.conftest import Ctl
from tests.cli.daemon import NOW, Daemon, attempt, ended, job, run, status

PROBLEM = (404, "not-found", "there is no job")


def test_status_of_a_well_daemon_exits_0_and_lists_every_job(daemon: Daemon, ctl: Ctl) -> None:
    daemon.gets(
        "/v1/status", status(job("one", last=RunState.SUCCEEDED), job("two", last=RunState.FAILED, exit_code=3))
    )
    said = ctl("status")
    assert said.code == 0
    rows = {line.split()[0]: line for line in said.out.splitlines() if line.startswith(("one", "two"))}
    assert "succeeded" in rows["one"]
    assert "failed: 3" in rows["two"]
    assert "in 4 min" in rows["one"]


def test_status_shows_the_first_of_thousands_of_jobs_and_how_the_others_stand(daemon: Daemon, ctl: Ctl) -> None:
    seen = status(*(job(f"job-{number:03}") for number in range(200)))
    seen["job_counts"] |= {"total": 10_000, "failed": 3, "paused": 1}
    daemon.gets("/v1/status", seen)
    said = ctl("status")
    last = (
        "and 9,800 more jobs (jobd-ctl status --all); of all: 3 failed last, 1 paused, 0 with an open circuit, 0 late"
    )
    assert (said.code, said.out.splitlines()[-1]) == (0, last)
    assert daemon.asked[-1].path == "/v1/status?jobs=200"
    ctl("status", "--all")
    assert daemon.asked[-1].path == "/v1/status?jobs=all"


def test_status_of_a_degraded_daemon_exits_1_and_says_why(daemon: Daemon, ctl: Ctl) -> None:
    daemon.gets("/v1/status", status(degraded=(("disk_full", "the disk is full"),), problems=("a.yaml:1:1: bad",)))
    said = ctl("status")
    assert said.code == 1
    assert "disk_full: the disk is full" in said.out
    assert "a.yaml:1:1: bad" in said.out


@pytest.mark.parametrize(("last", "code"), [(RunState.SUCCEEDED, 0), (RunState.FAILED, 1), (None, 0)])
def test_status_of_a_job_exits_by_its_last_finished_run(
    daemon: Daemon, ctl: Ctl, last: RunState | None, code: int
) -> None:
    daemon.gets("/v1/jobs/backup", job(last=last))
    daemon.gets("/v1/runs", {"items": [], "next_cursor": None})
    assert ctl("status", "backup").code == code


def test_json_is_one_object_with_a_schema_version(daemon: Daemon, ctl: Ctl) -> None:
    daemon.gets("/v1/status", status(job()))
    daemon.gets("/v1/jobs", {"items": [job()]})
    assert json.loads(ctl("--json", "status").out)["schema_version"] == 1
    listed = json.loads(ctl("jobs", "--json").out)
    assert (listed["schema_version"], listed["items"][0]["name"]) == (1, "backup")


def test_a_hostile_error_text_reaches_no_terminal_and_no_second_line(daemon: Daemon, ctl: Ctl) -> None:
    daemon.gets("/v1/runs", {"items": [run(error="\x1b]0;x\x07\nfake line\u202e")], "next_cursor": None})
    said = ctl("runs")
    assert len(said.out.splitlines()) == 2
    assert not set("\x1b\x07\u202e") & set(said.out)
    assert not set("\x1b\x07\u202e") & set(ctl("--json", "runs").out)


def test_runs_asks_with_every_filter_and_follows_the_cursor(daemon: Daemon, ctl: Ctl) -> None:
    pages: list[Any] = [
        {"items": [run(id=number) for number in range(900, 400, -1)], "next_cursor": "401"},
        {"items": [run(id=number) for number in range(400, 300, -1)], "next_cursor": "301"},
    ]
    daemon.answer = lambda asked: (daemon.asked.append(asked), (200, pages[len(daemon.asked) - 1]))[1]  # type: ignore[method-assign]
    said = ctl("--json", "runs", "--job", "backup", "--state", "failed", "--queue", "q", "--since", "1h", "-n", "600")
    assert len(json.loads(said.out)["items"]) == 600
    first, second = (asked.path for asked in daemon.asked)
    assert all(part in first for part in ("job=backup", "state=failed", "queue=q", "since=20", "limit=500"))
    assert "limit=100" in second and "cursor=401" in second


def test_an_unknown_state_is_a_usage_error_before_anything_is_asked(daemon: Daemon, ctl: Ctl) -> None:
    said = ctl("runs", "--state", "broken")
    assert (said.code, daemon.asked) == (2, [])
    assert "succeeded" in said.err


def test_attempts_show_code_signal_and_use(daemon: Daemon, ctl: Ctl) -> None:
    daemon.gets("/v1/runs/42/attempts", {"items": [attempt()]})
    said = ctl("attempts", "42")
    assert all(part in said.out for part in ("killed", "137 (signal 9)", "0.50s", "3MiB", "1m"))
    assert said.out.splitlines()[0].split()[5:10] == ["CPU", "MEMORY", "READ", "WRITTEN", "SWITCHES"]


USED = {
    "cpu_user_seconds": 0.5,
    "cpu_system_seconds": 0.25,
    "peak_memory_bytes": 3 << 20,
    "stdout_bytes": 5,
    "stderr_bytes": 0,
    "output_cut": True,
    "leftovers": 2,
    "io_read_bytes": 4096,
    "io_written_bytes": 1 << 20,
    "context_switches": 17,
}


def test_what_an_attempt_used_is_shown_with_it_and_with_its_run(daemon: Daemon, ctl: Ctl) -> None:
    daemon.gets("/v1/runs/42", run())
    daemon.gets("/v1/runs/42/attempts", {"items": [attempt() | {"usage": USED}]})
    row = ctl("attempts", "42").out.splitlines()
    assert all(part in row[1] for part in ("0.75s", "3MiB", "4KiB", "1MiB", "17"))
    assert row[2:] == ["attempt 1: killed by SIGKILL", "attempt 1 left 2 processes behind: ended"]
    shown = ctl("show", "42").out
    for line in (
        "0.75s of CPU (0.5s user, 0.25s system)",
        "3MiB of memory at most",
        "4KiB read from disks, 1MiB written",
        "17 context switches",
        "5B of stdout, 0B of stderr, not all of it kept",
        "attempt 1 left 2 processes behind: ended",
    ):
        assert line in shown, line


def test_progress_is_a_bar_wherever_a_running_run_is_shown(daemon: Daemon, ctl: Ctl) -> None:
    working = run(state=RunState.RUNNING, attempts=0) | {"progress": 0.5, "status_text": "half \x1b[2Jway"}
    daemon.gets("/v1/runs/42", working)
    daemon.gets("/v1/runs", {"items": [working, run(id=41)], "next_cursor": None})
    daemon.gets("/v1/jobs/backup", job() | {"running": 1})
    assert "[#####.....]  50% half \\x1b[2Jway" in ctl("runs").out
    for words in (("show", "42"), ("show", "backup"), ("status", "backup")):
        assert "[##########..........]  50% half \\x1b[2Jway" in ctl(*words).out, words


def test_show_tells_a_number_from_a_name(daemon: Daemon, ctl: Ctl) -> None:
    daemon.gets("/v1/runs/42", run())
    daemon.gets("/v1/runs/42/attempts", {"items": [attempt()]})
    daemon.gets("/v1/jobs/backup", job())
    assert '{"table": "shop"}' in ctl("show", "42").out
    assert "a.yaml:2" in ctl("show", "backup").out


def test_show_names_the_jobs_that_come_along(daemon: Daemon, ctl: Ctl) -> None:
    daemon.gets("/v1/jobs/backup", job() | {"workflow": {"needs": ["a", "b"], "finally": ["c"]}})
    lines = [line.split(maxsplit=1) for line in ctl("show", "backup").out.splitlines()]
    assert ["needs", "a, b"] in lines
    assert ["finally", "c"] in lines


def test_a_tree_is_of_a_run(daemon: Daemon, ctl: Ctl) -> None:
    nodes = [
        run() | {"id": 42, "job": "backup"},
        run() | {"id": 43, "job": "verify", "state": "blocked", "duration": None},
    ]
    edges = [{"parent": 42, "child": 43, "on": "success", "decision": None}]
    daemon.gets("/v1/runs/42/tree", {"run": 42, "items": nodes, "edges": edges, "truncated": False})
    assert ctl("show", "42", "--tree").out.splitlines()[1] == "└─ success: #43 verify  blocked"
    assert "flowchart LR" in ctl("show", "42", "--format", "mermaid").out
    assert ctl("show", "backup", "--tree").code == 2


def test_a_dependency_is_sent_with_its_condition(daemon: Daemon, ctl: Ctl) -> None:
    daemon.posts("/v1/runs", {"id": 8, "state": "blocked"}, 201)
    assert ctl("run", "backup", "--depends-on", "41", "--depends-on", "42:always").code == 0
    assert daemon.asked[-1].json["depends_on"] == [{"run": 41, "on": "success"}, {"run": 42, "on": "always"}]
    assert "begin with the id of a run" in ctl("run", "backup", "--depends-on", "backup").err


def test_cat_names_the_place_of_each_value(daemon: Daemon, ctl: Ctl) -> None:
    daemon.gets("/v1/jobs/backup", job())
    lines = [line.strip() for line in ctl("cat", "backup").out.splitlines()]
    assert 'command: ["true"]  # a.yaml:3' in lines
    assert 'base: "10s"      # a.yaml.d/x.yaml:4' in lines


def test_run_sends_what_was_asked_and_prints_the_id(daemon: Daemon, ctl: Ctl) -> None:
    daemon.posts("/v1/runs", {"id": 42, "state": "queued"}, 201)
    said = ctl(
        "run", "backup", "--payload", '{"a": 1}', "-p", "table=shop=x", "-p", "n:=5", "--at", "2026-12-24T18:00:00Z",
        "--priority", "high", "--queue", "q", "--key", "k", "--max-attempts", "4", "--timeout", "5m",
    )  # fmt: skip
    assert (said.code, said.out) == (0, "42\n")
    assert daemon.asked[0].json == {
        "job": "backup",
        "payload": {"a": 1, "table": "shop=x", "n": 5},
        "run_at": "2026-12-24T18:00:00Z",
        "priority": "high",
        "queue": "q",
        "key": "k",
        "max_attempts": 4,
        "timeout": 300.0,
    }


def test_a_run_without_payload_leaves_the_jobs_own_in_force(daemon: Daemon, ctl: Ctl) -> None:
    daemon.posts("/v1/runs", {"id": 1, "state": "queued"}, 201)
    ctl("run", "backup")
    assert daemon.asked[0].json == {"job": "backup"}


def test_a_kept_duplicate_exits_10(daemon: Daemon, ctl: Ctl) -> None:
    daemon.posts("/v1/runs", {"id": 7, "state": "queued", "duplicate": True})
    said = ctl("run", "backup", "--key", "k")
    assert (said.code, said.out) == (10, "7\n")


def test_submit_takes_the_command_as_it_stands(daemon: Daemon, ctl: Ctl) -> None:
    daemon.posts("/v1/runs", {"id": 1, "state": "queued"}, 201)
    assert ctl("submit", "--timeout", "10s", "--", "rsync", "-a", "--json", "x y").code == 0
    assert daemon.asked[0].json == {"command": ["rsync", "-a", "--json", "x y"], "timeout": 10.0}


def test_a_batch_goes_out_as_json_lines_and_prints_every_id(daemon: Daemon, ctl: Ctl, tmp_path: Path) -> None:
    lines = '{"job": "a"}\n{"job": "b"}\n'
    (tmp_path / "batch").write_text(lines)
    daemon.posts("/v1/runs", {"ids": [1, 2]}, 201)
    said = ctl("submit", "--batch", str(tmp_path / "batch"))
    assert (said.code, said.out) == (0, "1\n2\n")
    assert daemon.asked[0].body.decode() == lines


@pytest.mark.parametrize(
    "args",
    [
        ("run", "backup", "--payload", "{"),
        ("run", "backup", "--payload", "[1]", "-p", "a=b"),
        ("run", "backup", "-p", "novalue"),
        ("run", "backup", "--at", "soon"),
        ("run", "backup", "--at", "18:00", "--in", "5m"),
        ("run", "backup", "--priority", "urgent"),
        ("run", "backup", "--timeout", "x"),
        ("submit",),
        ("submit", "--batch", "-", "--", "true"),
        ("--json", "logs", "-f", "42"),
        ("logs", "--since", "2h", "42"),
        ("logs", "-f", "--since", "2h", "backup"),
        ("logs", "--since", "soon", "backup"),
        ("next", "backup", "--expr", "* * * * *"),
        ("next", "--tz", "UTC"),
        ("next", "--expr", "nonsense"),
        ("next", "--expr", "* * * * *", "--tz", "Mars/Base"),
        ("show",),
        ("nosuchverb",),
        ("--nosuchoption", "status"),
        ("attempts", "backup"),
    ],
)
def test_nonsense_is_a_usage_error_and_asks_nothing(daemon: Daemon, ctl: Ctl, args: tuple[str, ...]) -> None:
    said = ctl(*args)
    assert (said.code, said.out, daemon.asked) == (2, "", [])
    assert said.err


def test_a_misspelt_verb_gets_a_hint(ctl: Ctl) -> None:
    assert "did you mean status?" in ctl("staus").err


@pytest.mark.parametrize(
    ("status_", "word", "code"),
    [
        (404, "not-found", 4),
        (403, "not-permitted", 5),
        (409, "conflict", 1),
        (503, "unavailable", 1),
        (422, "invalid", 2),
    ],
)
def test_a_refusal_has_its_own_exit_code_and_its_reason_on_stderr(
    daemon: Daemon, ctl: Ctl, status_: int, word: str, code: int
) -> None:
    daemon.refuses("GET", "/v1/runs/42", status_, word, "this is why")
    said = ctl("show", "42")
    assert (said.code, said.out) == (code, "")
    assert "this is why" in said.err


def test_running_an_unknown_job_exits_4(daemon: Daemon, ctl: Ctl) -> None:
    daemon.refuses("POST", "/v1/runs", 422, "invalid", "no such job", ("/job", 'there is no job "bakcup"'))
    daemon.refuses("GET", "/v1/jobs/bakcup", 404, "not-found", 'there is no job "bakcup" (did you mean "backup"?)')
    said = ctl("run", "bakcup")
    assert said.code == 4
    assert 'did you mean "backup"' in said.err


def test_a_daemon_that_is_not_there_exits_3_and_says_what_to_do(tmp_path: Path, ctl: Ctl) -> None:
    said = ctl("--socket", str(tmp_path / "none.sock"), "status")
    assert (said.code, said.out) == (3, "")
    assert f"{tmp_path}/none.sock: No such file or directory (is it running?)" in said.err
    assert "systemctl status jobd" in said.err


def test_a_second_question_on_a_connection_is_not_slower(daemon: Daemon, ctl: Ctl) -> None:
    daemon.gets("/v1/runs/1/wait", ended(id=1))
    daemon.gets("/v1/runs/2/wait", ended(id=2))
    start = time.monotonic()
    assert ctl("wait", "1", "2").code == 0
    assert time.monotonic() - start < 30


ENDS = [
    ({"state": RunState.SUCCEEDED, "outcome": Outcome.SUCCEEDED, "exit_code": 0}, 0),
    ({"state": RunState.FAILED, "outcome": Outcome.FAILED, "exit_code": 3}, 3),
    ({"state": RunState.FAILED, "outcome": Outcome.TIMEOUT, "exit_code": 124}, 124),
    ({"state": RunState.FAILED, "outcome": Outcome.KILLED, "exit_code": 137}, 137),
    ({"state": RunState.FAILED, "outcome": Outcome.FAILED, "exit_code": 127}, 127),
    ({"state": RunState.FAILED, "outcome": Outcome.LOST, "exit_code": None}, 125),
    ({"state": RunState.CANCELLED, "outcome": None, "exit_code": None}, 125),
    ({"state": RunState.CANCELLED, "outcome": Outcome.CANCELLED, "exit_code": 143}, 143),
    ({"state": RunState.EXPIRED, "outcome": None, "exit_code": None}, 125),
]


@pytest.mark.parametrize(("changes", "code"), ENDS)
def test_wait_exits_as_the_job_did(daemon: Daemon, ctl: Ctl, changes: dict[str, Any], code: int) -> None:
    daemon.gets("/v1/runs/42/wait", ended(**changes))
    assert ctl("wait", "42").code == code


def test_wait_for_several_exits_with_the_first_code_that_is_not_0(daemon: Daemon, ctl: Ctl) -> None:
    for number, code in ((1, 0), (2, 9), (3, 4)):
        state = RunState.FAILED if code else RunState.SUCCEEDED
        daemon.gets(f"/v1/runs/{number}/wait", ended(id=number, state=state, outcome=Outcome.FAILED, exit_code=code))
    assert ctl("wait", "1", "2", "3").code == 9


def test_wait_gives_up_at_its_timeout_with_124(daemon: Daemon, ctl: Ctl) -> None:
    daemon.gets("/v1/runs/42/wait", ended(state=RunState.RUNNING, outcome=None, exit_code=None, finished_at=None))
    said = ctl("wait", "--timeout", "0.2s", "42")
    assert said.code == 124
    assert "running" in said.out


def test_run_and_wait_keeps_stdout_for_the_jobs_output(daemon: Daemon, ctl: Ctl) -> None:
    daemon.posts("/v1/runs", {"id": 42, "state": "queued"}, 201)
    daemon.gets("/v1/runs/42/wait", ended(state=RunState.FAILED, outcome=Outcome.FAILED, exit_code=5, error="exit 5"))
    daemon.gets("/v1/runs/42/output?stream=stdout&attempt=1&follow=1", b"to stdout\n")
    daemon.gets("/v1/runs/42/output?stream=stderr&attempt=1&follow=1", b"to stderr\n")
    said = ctl("run", "backup", "--follow")
    assert (said.code, said.out) == (5, "to stdout\n")
    assert "to stderr" in said.err


def test_logs_pass_bytes_into_a_pipe_as_they_are(daemon: Daemon, ctl: Ctl) -> None:
    daemon.gets("/v1/runs/42/output?stream=stdout&follow=0", b"one\n\x1b[31mtwo\n")
    daemon.gets("/v1/runs/42/output?stream=stderr&follow=0", b"three\n")
    assert ctl("logs", "42").out == "one\n\x1b[31mtwo\nthree\n"
    assert ctl("logs", "--stderr", "42").out == "three\n"
    daemon.gets("/v1/runs/42/output?stream=stdout&follow=0&lines=1", b"\x1b[31mtwo\n")
    assert ctl("logs", "-n", "1", "--stdout", "42").out == "\x1b[31mtwo\n"
    assert json.loads(ctl("--json", "logs", "-n", "1", "--stdout", "42").out)["stdout"] == "\x1b[31mtwo\n"


def test_logs_of_a_job_are_those_of_its_latest_run_that_started(daemon: Daemon, ctl: Ctl) -> None:
    daemon.gets("/v1/jobs/backup", job())
    daemon.gets("/v1/runs", {"items": [run(id=9, attempts=0), run(id=8)], "next_cursor": None})
    daemon.gets("/v1/runs/8/output", b"eight\n")
    assert ctl("logs", "--stdout", "backup").out == "eight\n"


def test_logs_since_show_every_run_of_the_job_that_started_the_oldest_first(daemon: Daemon, ctl: Ctl) -> None:
    daemon.gets("/v1/jobs/backup", job())
    daemon.gets("/v1/runs", {"items": [run(id=9), run(id=8, attempts=0), run(id=7)], "next_cursor": None})
    daemon.gets("/v1/runs/7/output", b"seven\n")
    daemon.gets("/v1/runs/9/output", b"nine\n")
    first, seven, second, nine = ctl("logs", "--stdout", "--since", "2h", "backup").out.splitlines()
    assert (seven, nine) == ("seven", "nine")
    assert first.startswith("==> run 7, succeeded, ") and second.startswith("==> run 9, succeeded, ")
    assert "since=" in next(asked.path for asked in daemon.asked if asked.path.startswith("/v1/runs?"))
    shown = json.loads(ctl("--json", "logs", "--stdout", "--since", "2h", "backup").out)["items"]
    assert [(one["run"], one["stdout"]) for one in shown] == [(7, "seven\n"), (9, "nine\n")]


def test_cancel_goes_on_after_a_refusal_and_reports_it(daemon: Daemon, ctl: Ctl) -> None:
    daemon.refuses("POST", "/v1/runs/1/cancel", 409, "conflict", "it is over")
    daemon.posts("/v1/runs/2/cancel", {"id": 2, "state": "cancelled"})
    said = ctl("cancel", "1", "2")
    assert said.code == 1
    assert "run 1: it is over" in said.err
    assert "run 2 is cancelled" in said.out


def test_reload_with_problems_exits_6_and_prints_them_on_stderr(daemon: Daemon, ctl: Ctl) -> None:
    change = {"added": ["new"], "changed": [], "removed": [], "problems": ["a.yaml:1:2: jobs.x: bad"], "dry_run": False}
    daemon.posts("/v1/reload", change | {"settings": [], "restart_needed": []})
    said = ctl("reload")
    assert (said.code, said.out) == (6, "added new\n")
    assert "a.yaml:1:2: jobs.x: bad" in said.err


def test_next_of_an_expression_needs_no_daemon_and_tells_of_dst(ctl: Ctl, daemon: Daemon) -> None:
    said = ctl(
        "next",
        "--expr",
        "30 2 * * *",
        "--tz",
        "America/New_York",
        "--from",
        "2026-03-07T12:00:00Z",
        "-n",
        "2",
        "--json",
    )
    items = json.loads(said.out)["items"]
    assert [item["at"] for item in items] == ["2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"]
    assert items[0]["remark"]
    assert daemon.asked == []


def test_next_up_to_a_time_that_has_passed_is_refused(ctl: Ctl, daemon: Daemon) -> None:
    for span in (["--to", "2020-01-01T00:00:00Z"], ["--from", "2030-01-02", "--to", "2030-01-01"]):
        said = ctl("next", "--expr", "@daily", *span)
        assert said.code == 2
        assert "--to" in said.err


def test_next_of_an_expression_with_a_hash_goes_by_a_name(daemon: Daemon, ctl: Ctl) -> None:
    def minute(*words: str) -> str:
        said = ctl("--json", "next", "--expr", "H 2 * * *", "--tz", "UTC", "-n", "1", *words)
        return str(json.loads(said.out)["items"][0]["at"])[14:16]

    assert len({minute("--name", name) for name in ("a", "b", "c", "d", "e")}) > 1
    assert ctl("next", "--expr", "@boot").code == ctl("next", "a", "--name", "b").code == 2
    assert daemon.asked == []


def coming(name: str, at: str, remark: str = "") -> dict[str, str]:
    return {"job": name, "at": f"{at}Z", "local": f"{at}+00:00", "remark": remark}


def test_next_of_all_jobs_is_one_question_and_one_row_in_time(daemon: Daemon, ctl: Ctl) -> None:
    daemon.gets("/v1/next", {"items": [coming("b", "2030-01-01T00:10:00"), coming("a", "2030-01-01T00:30:00")]})
    assert [line.split()[0] for line in ctl("next", "-n", "2").out.splitlines()] == ["JOB", "b", "a"]
    assert [asked.path for asked in daemon.asked] == ["/v1/next?n=2"]


def test_next_asks_for_a_range_and_tells_what_is_to_be_known_of_a_slot(daemon: Daemon, ctl: Ctl) -> None:
    daemon.gets("/v1/jobs/a/next", {"items": [coming("a", "2030-01-01T00:30:00", "hostile \x1b[2J")]})
    said = ctl("next", "a", "--from", "2030-01-01T00:00:00Z", "--to", "2030-01-02T00:00:00Z")
    assert "Tue 2030-01-01 00:30:00 +0000  00:30:00Z" in said.out
    assert "REMARK" in said.out and "\x1b" not in said.out
    assert "from=2030-01-01T00:00:00Z" in daemon.asked[0].path and "to=2030-01-02T00:00:00Z" in daemon.asked[0].path


def test_why_says_the_reason_as_a_word_and_a_sentence(daemon: Daemon, ctl: Ctl) -> None:
    blockers = [{"kind": "run", "id": run, "detail": "is running\x1b[2J\n"} for run in range(100, 130)]
    found = {"subject": "run 42", "reason": "queue_full", "detail": "full, 30/30", "blockers": blockers, "until": None}
    daemon.gets("/v1/runs/42/why", found)
    lines = ctl("why", "42").out.splitlines()
    assert lines[:3] == ["run 42: queue_full", "  full, 30/30", "  run 100: is running\\x1b[2J\\n"]
    assert lines[-1] == "  and 10 more (--json has them all)"
    assert json.loads(ctl("--json", "why", "42").out)["blockers"] == blockers
    assert ctl("why", "42", "--at", "02:30").code == 2


def slot(disposition: str, **more: Any) -> dict[str, Any]:
    shape = {"job": "backup", "slot": "2030-01-01T00:30:00Z", "disposition": disposition, "run": None, "reason": ""}
    return shape | {"state": None, "outcome": None, "exit_code": None} | more


def test_slots_tell_what_became_of_each_in_words(daemon: Daemon, ctl: Ctl) -> None:
    rows = [
        slot("started", run=123456789, state="failed", outcome="timeout", exit_code=124),
        slot("skipped", reason="overlap: run 7 is not over"),
        slot("coalesced", reason="newer_slot: that of 2030-01-01T00:31:00Z runs instead\x1b[2J"),
    ]
    daemon.gets("/v1/slots", {"items": rows, "next_cursor": None})
    said = ctl("slots", "backup", "--from", "1d", "--disposition", "started")
    assert said.code == 0
    lines = [" ".join(line.split()) for line in said.out.splitlines()]
    assert lines[0] == "SLOT BECAME RUN ENDED REASON"
    assert "started 123456789 failed: timeout" in lines[1]
    assert lines[2].endswith("skipped - - the last run was not over: run 7 is not over")
    assert "a newer slot stands for it" in lines[3] and "\x1b" not in said.out
    assert "disposition=started" in daemon.asked[0].path and "job=backup" in daemon.asked[0].path


def test_slots_of_a_job_that_never_was_are_not_found(daemon: Daemon, ctl: Ctl) -> None:
    daemon.gets("/v1/slots", {"items": [], "next_cursor": None})
    assert ctl("slots", "nope").code == 4


def test_version_does_without_a_daemon(tmp_path: Path, ctl: Ctl) -> None:
    said = ctl("--socket", str(tmp_path / "none.sock"), "version")
    assert said.code == 0
    assert "not reachable" in said.out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_shell_code(ctl: Ctl, shell: str) -> None:
    assert "_JOBD_CTL_COMPLETE" in ctl("completion", shell).out


def test_help_of_every_verb_fits_a_screen_and_has_an_example(ctl: Ctl) -> None:
    from jobd.cli.ctl import VERBS

    for verb in VERBS:
        said = ctl(verb, "--help")
        assert said.code == 0
        assert len(said.out.splitlines()) <= 40, verb
        assert f"jobd-ctl {verb}" in said.out.partition("Examples:")[2] or verb in ("completion", "submit"), verb


def test_a_reader_that_goes_away_ends_it_quietly(daemon: Daemon) -> None:
    daemon.gets("/v1/runs", {"items": [run(id=number) for number in range(400)], "next_cursor": None})
    line = f"{sys.executable} -m jobd.cli.ctl --socket {daemon.socket} runs -n 400 | head -n 1"
    done = subprocess.run(line, check=False, shell=True, capture_output=True, text=True, timeout=30)
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize(("degraded", "code"), [((), 0), ((("disk_full", "the disk is full"),), 1)])
def test_health_shows_each_queue_and_exits_by_the_daemons_own_state(
    daemon: Daemon, ctl: Ctl, degraded: tuple[tuple[str, str], ...], code: int
) -> None:
    counts = {RunState.QUEUED: 3, RunState.RUNNING: 1, RunState.SUCCEEDED: 20, RunState.FAILED: 2}
    use = Use(Rate(100, 60, 100), Level(37.0, NOW))
    lane = Lane(Limits(4), use, QueueFigures("email", counts, None, 22, 20, 2, 1.5))
    daemon.gets("/v1/health", report(Figures(NOW, queues={"email": lane}, degraded=degraded), {"workers": 4}))
    said = ctl("health", "--queue", "email")
    assert said.code == code
    row = next(line.split() for line in said.out.splitlines() if line.startswith("email"))
    assert row == ["email", "3", "1", "20", "2", "63/100", "63%", "22", "90.9%", "9.1%", "1.5s"]
    assert all(sentence in said.out for _, sentence in degraded)
    assert daemon.asked[0].path == "/v1/health?queue=email"
