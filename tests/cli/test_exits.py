"""The exit codes of jobd-ctl: the whole table of them, and every verb by what the daemon says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jobd.cli.ctl import VERBS
from jobd.cli.exits import Exit
from jobd.control import problems, shapes
from jobd.control.ports import Reloaded
from jobd.core.states import Outcome, RunState
from tests.cli.conftest import Ctl
from tests.cli.daemon import Daemon, ended, job, run, status

TABLE = {
    0: "ok",
    1: "failed",
    2: "usage",
    3: "unreachable",
    4: "not found",
    5: "not permitted",
    6: "invalid",
    10: "kept",
}
ASKING = [
    "status", "status j", "jobs", "show 1", "show j", "cat j", "next", "next j", "why j", "why 1", "audit",
    "audit --verify", "slots", "simulate --to 1h", "run j", "run j --wait", "submit -- true", "runs", "attempts 1",
    "logs 1", "logs j", "wait 1", "cancel 1", "kill 1", "retry 1", "pause j", "resume j", "skip-next j", "dead list",
    "dead show 1", "dead retry 1", "dead drop 1", "dead stats", "events", "queues", "queue set q max_running=1",
    "backup -", "drain", "drain --queue q", "top", "stats", "prune", "reload", "health",
]  # fmt: skip
ALONE = [
    "check",
    "schema",
    "completion bash",
    "restore",
    "import crontab",
    "import timers",
    "export systemd j",
    "doctor",
]
"""Verbs that do something else, or work, where no daemon answers."""


def refusing(daemon: Daemon, code: int, word: str) -> None:
    daemon.answer = lambda _asked: (code, problems.document(code, word, "no"))  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("code", "word", "expected"),
    [
        (404, "not-found", Exit.NOT_FOUND),
        (403, "not-permitted", Exit.NOT_PERMITTED),
        (503, "unavailable", Exit.FAILED),
        (409, "conflict", Exit.FAILED),
        (422, "invalid", Exit.USAGE),
    ],
)
def test_a_refusal_has_its_code_whatever_the_verb(
    daemon: Daemon, ctl: Ctl, code: int, word: str, expected: Exit
) -> None:
    refusing(daemon, code, word)
    said = {line: ctl(*line.split()) for line in ASKING}
    assert {line: (one.code, one.out) for line, one in said.items()} == dict.fromkeys(ASKING, (expected, ""))
    assert [line for line, one in said.items() if not one.err.startswith("jobd-ctl: ")] == []


def test_a_daemon_that_is_not_there_is_3_whatever_the_verb(ctl: Ctl, tmp_path: Path) -> None:
    said = {line: ctl("--socket", str(tmp_path / "none"), *line.split()) for line in ASKING}
    assert {line: (one.code, one.out) for line, one in said.items()} == dict.fromkeys(ASKING, (Exit.UNREACHABLE, ""))


def test_an_option_that_is_none_is_2_whatever_the_verb(ctl: Ctl, daemon: Daemon) -> None:
    lines = [line.partition(" -- ")[0] for line in [*ASKING, *ALONE, "version"]]
    codes = {line: ctl(*line.split(), "--no-such-option").code for line in lines}
    assert codes == dict.fromkeys(lines, Exit.USAGE)
    assert daemon.asked == []


def test_no_verb_is_left_out() -> None:
    tried = {line.split()[0] for line in [*ASKING, *ALONE, "version"]}
    assert VERBS.keys() - tried <= {"notify"}


def test_the_codes_are_those_of_the_table() -> None:
    assert {int(code) for code in Exit} == {*TABLE, 124, 125}


def failed(**changes: Any) -> dict[str, Any]:
    return ended(**({"state": RunState.FAILED, "outcome": Outcome.FAILED} | changes))


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("status", 0),
        ("status bad", 1),
        ("run kept", 10),
        ("wait 1", 0),
        ("wait 2", 3),
        ("wait 3", 124),
        ("wait 4", 137),
        ("wait 5", 125),
        ("wait 6", 126),
        ("wait 7", 127),
        ("wait --timeout 0s 8", 124),
        ("reload", 6),
        ("check broken.yaml", 6),
        ("check sound.yaml", 0),
        ("version", 0),
        ("schema", 0),
        ("completion zsh", 0),
        ("next --expr @hourly", 0),
    ],
)
def test_what_each_code_stands_for(
    daemon: Daemon, ctl: Ctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, code: int
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JOBD_CONFIG", raising=False)
    (tmp_path / "broken.yaml").write_text("jobs: {a: {comand: [x]}}\n")
    (tmp_path / "sound.yaml").write_text("jobs: {a: {command: ['true']}}\n")
    daemon.gets("/v1/status", status())
    daemon.gets("/v1/jobs/bad", job("bad", last=RunState.FAILED))
    daemon.gets("/v1/runs", {"items": [], "next_cursor": None})
    daemon.posts("/v1/runs", {"id": 9, "state": "queued", "duplicate": True})
    daemon.posts("/v1/reload", shapes.reloaded(Reloaded(problems=("a.yaml:1:1: bad",))))
    daemon.gets("/v1/version", {"version": "1"})
    ends = [
        ended(state=RunState.SUCCEEDED, exit_code=0),
        failed(exit_code=3),
        failed(outcome=Outcome.TIMEOUT, exit_code=124),
        failed(outcome=Outcome.KILLED, exit_code=137),
        failed(outcome=Outcome.LOST, exit_code=None),
        failed(exit_code=126),
        failed(exit_code=127),
        run(state=RunState.RUNNING, finished_at=None) | {"final": False},
    ]
    for number, end in enumerate(ends, start=1):
        daemon.gets(f"/v1/runs/{number}/wait", end)
    assert ctl(*line.split()).code == code
