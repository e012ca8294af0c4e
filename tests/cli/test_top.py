"""The live view: it fits every terminal, tells what goes on, and gives the terminal back on every way out."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jobd.cli.measure import columns_of
from jobd.cli.terminal import Screen
from jobd.cli.top.layout import View, picture, snapshot
from jobd.cli.top.look import Look, Watcher
from jobd.cli.verbs.top import turn
from jobd.client import Client
from jobd.control import shapes
from jobd.core.states import RunState
from tests.cli.conftest import Ctl
from tests.cli.daemon import NOW, Daemon, run, status
from tests.cli.pane import CTL, Pane, needs_tmux, pane
from tests.cli.test_terminal import HOSTILE, harmful

LONG = "a-job-with-a-name-that-is-longer-than-most-terminals-are-wide-because-somebody-put-a-whole-sentence-into-it"


def answers(daemon: Daemon) -> None:
    """A busy daemon: one run that says how far it is, one whose job has a past, slots to come and failures."""
    workers = [{"number": n, "pid": n, "state": "busy", "run": n, "attempt": 1, "since": None} for n in (41, 42, 43)]
    seen = status() | {
        "workers": {"max": 4, "busy": 3, "items": workers},
        "queues": [a_queue("email"), a_queue("q", None)],
    }
    daemon.gets("/v1/status", seen | {"job_counts": {"total": 7, "failed": 1, "paused": 0, "circuit_open": 0}})
    began = {
        "state": RunState.RUNNING,
        "finished_at": None,
        "started_at": NOW - timedelta(seconds=60),
        "exit_code": None,
    }
    daemon.gets("/v1/runs/41", run(id=41, job=LONG, **began) | {"progress": 0.5, "status_text": "".join(HOSTILE)})
    daemon.gets("/v1/runs/42", run(id=42, job="has-a-past", **began))
    daemon.gets("/v1/runs/43", run(id=43, job="finished-meanwhile"))
    daemon.gets("/v1/workload?job=has-a-past", {"items": [{"median_seconds": 240.0}]})
    soon = [
        {"job": f"job-{n}", "at": shapes.time(NOW + timedelta(hours=n)), "local": "", "remark": "世界"} for n in (1, 2)
    ]
    daemon.gets("/v1/next", {"items": soon})
    daemon.gets("/v1/dead-letters", {"items": [a_letter(7, "old")], "next_cursor": None})
    failed = {"id": 5, "kind": "run_finished", "at": shapes.time(NOW), "job": "new", "queue": "q", "run": 40}
    told = failed | {
        "state": "failed",
        "outcome": "failed",
        "exit_code": 3,
        "reason": "\x1b[2Jgone 🚀",
        "duration": 1.0,
    }
    daemon.gets("/v1/events", f"id: 5\nevent: run_finished\ndata: {json.dumps(told)}\n\n".encode())


def a_queue(name: str, limit: int | None = 2) -> dict[str, Any]:
    use = {"current": 40, "max": 100, "percentage": 40, "tokens": 60.0, "next_at": None} if limit else None
    return shapes.queue(name, None, None, None, NOW) | {"max_running": limit, "processing": 1, "rate_limit_usage": use}


def a_letter(number: int, job: str) -> dict[str, Any]:
    when = shapes.time(NOW - timedelta(hours=1))
    return {"run": number, "job": job, "dlq_reason": "why", "dlq_timestamp": when, "outcome": "lost", "exit_code": None}


@pytest.fixture
def look(daemon: Daemon) -> Look:
    answers(daemon)
    with Client(daemon.socket) as client:
        return Watcher(client).look(NOW)


def test_what_goes_on_is_told_with_how_far_it_is_and_for_how_long_still(look: Look) -> None:
    said = snapshot(look, Screen())
    rows = {line.split()[0]: line for line in said if line.strip()}
    assert "[#####.....] 50%" in rows["41"] and "1m" in rows["41"].split()
    assert "[##........] ~25%" in rows["42"] and "3m" in rows["42"].split()
    assert "43" not in rows
    assert "workers [########..] 3/4" in "\n".join(said)
    assert "[#####.....]" in rows["email"] and "[##...] 40/100" in rows["email"]
    failures = [line.split() for line in said if "new" in line or "old" in line]
    assert [("40" in words, "7" in words) for words in failures] == [(True, False), (False, True)]


@pytest.mark.parametrize("width", [20, 40, 80, 119, 120, 200])
@pytest.mark.parametrize("height", [1, 5, 12, 24, 60])
@pytest.mark.parametrize("has_color", [False, True])
def test_a_picture_fits_its_terminal_whatever_is_on_it(look: Look, width: int, height: int, has_color: bool) -> None:
    for view in (View(), View(first=99), View(shows_help=True)):
        shown = picture(look, view, Screen(is_terminal=True, has_color=has_color, width=width), height)
        assert len(shown) == height
        plain = [line.replace("\x1b[0m", "") for line in shown]
        for code in ("1", "2", "31", "33"):
            plain = [line.replace(f"\x1b[{code}m", "") for line in plain]
        assert [line for line in plain if columns_of(line) > width or harmful(line)] == []


def test_a_daemon_that_goes_away_leaves_the_last_look_and_says_so(daemon: Daemon) -> None:
    answers(daemon)
    with Client(daemon.socket) as client:
        watcher = Watcher(client)
        watcher.look(NOW)
        daemon.answers.clear()
        again = watcher.look(NOW)
    assert again.fault
    assert len(again.going) == 2
    assert picture(again, View(), Screen(is_terminal=True, width=80), 24)[0].startswith("there is nothing")


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("P", View(order="P")),
        ("r", View(is_reversed=True)),
        ("h", View(shows_help=True)),
        ("d", View(every_seconds=5.0)),
        ("down", View(first=1)),
        ("page down", View(first=12)),
        ("up", View()),
        ("x", View()),
        ("", View()),
    ],
)
def test_keys_change_the_view(key: str, expected: View) -> None:
    view = View()
    turn(view, key, 24)
    assert view == expected


def test_a_pipe_gets_one_plain_picture(daemon: Daemon, ctl: Ctl) -> None:
    answers(daemon)
    said = ctl("top")
    assert (said.code, harmful(said.out.replace("\n", ""))) == (0, [])
    assert LONG in said.out and "gone 🚀" in said.out
    seen = json.loads(ctl("top", "--json").out)
    assert [one["id"] for one in seen["running"]] == [41, 42]


def test_without_a_daemon_it_exits_3(ctl: Ctl, tmp_path: Path) -> None:
    assert ctl("--socket", str(tmp_path / "none"), "top").code == 3


def quits(screen: Pane) -> None:
    screen.type("q")


def is_interrupted(screen: Pane) -> None:
    screen.type("C-c")


def is_terminated(screen: Pane) -> None:
    os.kill(screen.pid("top"), signal.SIGTERM)


@needs_tmux
@pytest.mark.parametrize(("leaves", "code"), [(quits, 0), (is_interrupted, 0), (is_terminated, 143)])
def test_the_terminal_is_given_back_on_every_way_out(daemon: Daemon, leaves: Callable[[Pane], None], code: int) -> None:
    answers(daemon)
    command = (
        f"echo before; stty -a | grep -c -w icanon; {CTL} top; set -- $?; stty -a | grep -c -w -- -icanon; (exit $1)"
    )
    with pane(command, 80, 24, JOBD_SOCKET=daemon.socket, TERM="screen-256color") as screen:
        taken = screen.until(lambda text: "q end" in text and "has-a-past" in text, "picture")
        assert "before" not in taken
        leaves(screen)
        text, exit_code = screen.ended()
        assert (text.split(), exit_code) == (["before", "1", "0"], code)
        assert screen.tmux("display-message", "-p", "#{cursor_flag} #{alternate_on}").split() == ["1", "0"]


@needs_tmux
def test_the_picture_follows_the_size_of_the_terminal(daemon: Daemon) -> None:
    answers(daemon)
    with pane(f"{CTL} top -d 600", 80, 24, JOBD_SOCKET=daemon.socket, TERM="screen-256color") as screen:
        screen.until(lambda text: "q end" in text, "picture")
        screen.resize(150, 40)
        screen.until(lambda text: any("job-1" in line and "new" in line for line in text.split("\n")), "wider one")
        screen.type("h")
        screen.until(lambda text: "order by time, run" in text, "help")
        screen.type("h", "z", "q")
        assert screen.ended()[1] == 0
