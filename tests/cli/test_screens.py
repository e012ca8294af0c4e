"""What a person sees on a real terminal of 80 or 200 columns, or of one without colours: all of it, in its place."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jobd.cli.measure import columns_of
from jobd.control import shapes
from jobd.core.states import RunState
from tests.cli.daemon import NOW, Daemon, attempt, job, run, status
from tests.cli.pane import needs_tmux, pane
from tests.cli.test_terminal import HOSTILE, harmful
from tests.cli.test_top import LONG, a_queue, answers

ID = 987_654_321_012
HARM = "".join(HOSTILE)
WIDE = "世界の夜間バックアップ 🚀 " * 8
DEFINITIONS = {
    "a.yaml": f"jobs: {{{LONG}: {{command: [no-such-program], schedule: '30 2 * * *', timezone: Europe/Madrid}}}}\n",
    "b.yaml": f"jobs: {{b: {{comand: [x], description: '{WIDE}'}}}}\n",
}
ONE_AFTER_THE_OTHER = """\
from jobd.cli.ctl import outcome

for line in {lines!r}:
    print("== one more", flush=True)
    outcome(line)
"""
SEEN = (
    "status",
    f"status {LONG}",
    f"why {LONG}",
    f"show {LONG}",
    f"show {ID}",
    "next",
    "runs",
    "top --once",
    "check .",
)

NAMES_THE_RUN = (f"why {LONG}", f"show {ID}", "runs")
IN_ANY_SCRIPT = ("top --once", f"status {LONG}", f"why {LONG}", f"show {LONG}", f"show {ID}", "next", "runs")


@pytest.fixture
def busy(daemon: Daemon) -> Daemon:
    """A daemon with everything that is hard to show."""
    answers(daemon)
    long = job(LONG, last=RunState.FAILED, exit_code=3) | {"description": WIDE, "file": f"/etc/{LONG}.yaml"}
    degraded = (("storage", "the disk is full " * 9),)
    seen = status(
        job("one", last=RunState.SUCCEEDED), long, degraded=degraded, problems=(HARM, f"/etc/{LONG}.yaml:1:1: bad")
    )
    counts = {"total": 2, "failed": 1, "paused": 0, "circuit_open": 0}
    daemon.gets("/v1/status", seen | {"job_counts": counts, "queues": [a_queue("email"), a_queue(LONG)]})
    daemon.gets(f"/v1/jobs/{LONG}", long)
    daemon.gets(f"/v1/runs/{ID}", run(id=ID, job=LONG, error=HARM, payload={"text": WIDE}, key="k" * 150))
    daemon.gets("/v1/runs", {"items": [run(id=ID, job=LONG, error=WIDE), run(error=HARM)], "next_cursor": None})
    daemon.gets(f"/v1/runs/{ID}/attempts", {"items": [attempt(run=ID, error=HARM)]})
    blockers = [{"kind": "run", "id": ID + n, "detail": f"is under way {HARM}"} for n in range(3)]
    detail = f"its queue is full, 3/3: {WIDE}"
    why = {"subject": LONG, "reason": "queue_full", "detail": detail, "blockers": blockers, "until": shapes.time(NOW)}
    daemon.gets(f"/v1/jobs/{LONG}/why", why)
    daemon.gets("/v1/next", {"items": [a_slot(name) for name in (LONG, "short")]})
    return daemon


def a_slot(name: str) -> dict[str, Any]:
    at = NOW + timedelta(hours=3)
    return {"job": name, "at": shapes.time(at), "local": at.isoformat(), "remark": f"DST gap {WIDE}"}


def seen(daemon: Daemon, directory: Path, columns: int, term: str) -> tuple[list[str], str]:
    """What each command line leaves on the terminal, as text, and all of it as it is painted."""
    (directory / "jobd.yaml").write_text("{state_dir: s, runtime_dir: r}\n")
    (directory / "jobs").mkdir()
    for name, text in DEFINITIONS.items():
        (directory / "jobs" / name).write_text(text)
    (directory / "all.py").write_text(ONE_AFTER_THE_OTHER.format(lines=[line.split() for line in SEEN]))
    settings = {"JOBD_SOCKET": daemon.socket, "TERM": term, "JOBD_CONFIG": str(directory / "jobd.yaml")}
    command = f"cd {directory}/jobs; {sys.executable} {directory}/all.py"
    with pane(command, columns, 500, **settings) as screen:
        text, _ = screen.ended()
        return text.split("== one more\n")[1:], screen.text(with_tones=True)


@needs_tmux
@pytest.mark.parametrize(("columns", "term"), [(80, "screen-256color"), (200, "screen-256color"), (80, "dumb")])
def test_nothing_wraps_and_no_id_is_cut(busy: Daemon, tmp_path: Path, columns: int, term: str) -> None:
    parts, painted = seen(busy, tmp_path, columns, term)
    assert len(parts) == len(SEEN)
    assert ("\x1b[" in painted) == (term != "dumb")
    for command, part in zip(SEEN, parts, strict=True):
        lines = part.split("\n")
        assert [line for line in lines if columns_of(line.rstrip()) > columns or harmful(line)] == [], command
        # A name that is longer than a line goes on in the next one, and is all there.
        assert LONG in (part if columns == 200 else "".join(part.split())), command
        assert (str(ID) in part) == (command in NAMES_THE_RUN), command
        assert ("世界" in part) == (command in IN_ANY_SCRIPT), command


@needs_tmux
def test_columns_stay_below_their_headings(busy: Daemon, tmp_path: Path) -> None:
    parts, _ = seen(busy, tmp_path, 80, "screen-256color")
    table = parts[SEEN.index("next")].split("\n")
    (heading,) = [line for line in table if line.startswith("JOB")]
    rows = [line for line in table if "DST gap" in line]
    assert [line[: heading.index("LOCAL")].strip() for line in rows] == ["", "short"]
    assert {line.index("DST gap") for line in rows} == {heading.index("REMARK")}
