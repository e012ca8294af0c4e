"""What `--json` prints is as its schema says: every verb, asked of a real jobd."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from jobd.cli.answers import VERBS, of_verb
from jobd.cli.ctl import VERBS as TYPED
from jobd.cli.ctl import outcome
from tests.cli.test_verbs import ROOT, Live, live, wait_until

__all__ = ["live"]
SILENT = {"schema", "completion", "notify"}
"""Print other things, or a run."""
CRONTAB = "30 2 * * * root true\n"
TIMER = "[Timer]\nOnCalendar=*-*-* 02:30:00\n"
SERVICE = "[Service]\nExecStart=/bin/true\n"
Ask = Callable[..., Any]


@pytest.fixture
def ask(live: Live, capfdbinary: pytest.CaptureFixture[bytes]) -> Ask:
    """The answer to one command line, held to the schema of its verb."""

    def one(verb: str, *words: str, code: int = 0) -> Any:
        assert outcome(["--json", "--socket", live.socket, *verb.split(), *words]) in (code, 0)
        said = json.loads(capfdbinary.readouterr().out.splitlines()[0])
        jsonschema.validate(said, of_verb(verb), format_checker=jsonschema.FormatChecker())
        assert verb == "events" or said["schema_version"] == 1
        asked.add(verb)
        return said

    asked.clear()
    return one


asked: set[str] = set()


def test_every_verb_answers_as_its_schema_says(ask: Ask, live: Live, tmp_path: Path) -> None:
    over = ask("run", "hello", "--wait")["id"]
    dead = ask("run", "fails", "--wait", code=7)["id"]
    going = [ask("run", "long")["id"] for _ in range(3)]
    of_runs(ask, over, dead)
    of_jobs(ask)
    acting(ask, going, dead, tmp_path)
    of_the_daemon(ask, live, tmp_path)
    assert asked == set(VERBS)
    assert TYPED.keys() - {name.split()[0] for name in VERBS} <= SILENT


def of_runs(ask: Ask, over: int, dead: int) -> None:
    ask("submit", "--", "true")
    for words in ((), ("--tree",)):
        ask("show", str(over), *words)
    for verb in ("why", "attempts", "logs"):
        ask(verb, str(over))
    ask("runs", "-n", "3")
    ask("wait", str(over), str(over))
    for verb, words in (("show", [str(dead)]), ("list", []), ("stats", []), ("retry", ["--all", "--dry-run"])):
        ask(f"dead {verb}", *words)


def of_jobs(ask: Ask) -> None:
    for verb in ("status", "show", "cat", "next", "why", "skip-next"):
        ask(verb, "nightly", code=1)
    for verb in ("status", "jobs", "next", "slots", "queues", "health", "stats", "top", "events", "audit"):
        ask(verb, code=1)
    ask("audit", "--verify")
    ask("simulate", "--to", "1d")
    ask("export systemd", "nightly")


def acting(ask: Ask, going: list[int], dead: int, directory: Path) -> None:
    (directory / "batch").write_text('{"job": "hello"}\n{"job": "hello"}\n')
    ask("submit", "--batch", str(directory / "batch"))
    ask("wait", str(going[0]), "--timeout", "0s", code=124)
    wait_until(lambda: has_a_process(ask, going[0]), "the run has a process")
    ask("kill", str(going[0]), "--signal", "CONT")
    ask("cancel", str(going[1]))
    ask("cancel", "--job", "long")
    ask("retry", str(dead))
    ask("dead drop", "--all")
    for verb in ("pause", "resume"):
        ask(verb, "hello")
        ask(verb, "--queue", "default")
    ask("queue set", "default", "max_running=50")


def has_a_process(ask: Ask, run: int) -> bool:
    attempts = ask("attempts", str(run))["items"]
    return bool(attempts) and attempts[-1]["pid"] is not None


def of_the_daemon(ask: Ask, live: Live, directory: Path) -> None:
    ask("reload")
    ask("prune")
    ask("version")
    ask("doctor", code=1)
    ask("check", str(live.directory / "jobs.d"))
    ask("backup", str(directory / "backup.db"))
    (directory / "jobd.yaml").write_text("{state_dir: s, runtime_dir: r, jobs_dirs: [j]}\n")
    (directory / "j").mkdir()
    ask("restore", str(directory / "backup.db"), "--config", str(directory / "jobd.yaml"))
    for name, text in (("crontab", CRONTAB), ("one.timer", TIMER), ("one.service", SERVICE)):
        (directory / name).write_text(text)
    ask("import crontab", str(directory / "crontab"), "--system-form", "--config", str(directory / "jobd.yaml"))
    ask("drain", "--queue", "default")
    ask("import timers", str(directory / "one.timer"), "--config", str(directory / "jobd.yaml"))


def test_the_schema_in_docs_is_that_of_the_program() -> None:
    kept = json.loads((ROOT / "docs" / "jobd-ctl.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(kept)
    assert kept["$defs"]["verbs"].keys() == VERBS.keys()
