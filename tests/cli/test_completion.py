"""Completion in real shells: verbs, and what the daemon knows."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.daemon import Daemon

BASH = """
source <("$CTL" completion bash)
COMP_WORDS=({words}) COMP_CWORD={last} COMP_POINT=0 COMP_LINE='x'
_jobd_ctl_completion jobd-ctl
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
ZSH = """
autoload -Uz compinit; compinit -u -D
compadd() {{ local at=$argv[(i)-a]; print -l ${{(P)argv[at+1]}} }}
_describe() {{ print -l -- ${{(P)argv[-2]}} }}
source <("$CTL" completion zsh)
words=({words}) CURRENT={place}
_jobd_ctl_completion
"""
FISH = """
"$CTL" completion fish | source
complete -C '{line}'
"""


@pytest.fixture
def environment(daemon: Daemon, tmp_path: Path) -> dict[str, str]:
    program = tmp_path / "jobd-ctl"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m jobd.cli.ctl "$@"\n')
    program.chmod(0o755)
    root = str(Path(__file__).parent.parent.parent)
    path = f"{tmp_path}:{os.environ['PATH']}"
    own = {"CTL": str(program), "JOBD_SOCKET": daemon.socket, "PATH": path, "PYTHONPATH": root, "HOME": str(tmp_path)}
    return {**os.environ, **own}


def completed(shell: str, environment: dict[str, str], *words: str) -> set[str]:
    """The first words of what a shell offers for a command line of which the last word is begun."""
    line = " ".join(["jobd-ctl", *words])
    quoted = " ".join(["jobd-ctl", *(word or "''" for word in words)])
    script = {"bash": BASH, "zsh": ZSH, "fish": FISH}[shell]
    text = script.format(words=quoted, last=len(words), place=len(words) + 1, line=line)
    command = [shell, "-f", "-c", text] if shell == "zsh" else [shell, "-c", text]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    first = (line.replace("\t", " ").partition(" ")[0].partition(":")[0] for line in done.stdout.splitlines())
    return {word for word in first if word}


SHELLS = [
    pytest.param(name, marks=pytest.mark.skipif(shutil.which(name) is None, reason=f"{name} is not installed"))
    for name in ("bash", "zsh", "fish")
]


@pytest.mark.parametrize("shell", SHELLS)
def test_verbs_are_completed(shell: str, environment: dict[str, str]) -> None:
    assert {"status", "slots", "show"} <= completed(shell, environment, "s")


@pytest.mark.parametrize("shell", SHELLS)
def test_names_of_jobs_are_those_of_the_running_daemon(shell: str, environment: dict[str, str], daemon: Daemon) -> None:
    daemon.gets("/v1/jobs", {"items": [{"name": name, "description": "d"} for name in ("backup", "report")]})
    assert completed(shell, environment, "run", "ba") == {"backup"}


@pytest.mark.parametrize("shell", SHELLS)
def test_ids_of_runs_are_those_of_the_running_daemon(shell: str, environment: dict[str, str], daemon: Daemon) -> None:
    items = [{"id": number, "job": "backup", "state": "running"} for number in (7, 71, 8)]
    daemon.gets("/v1/runs", {"items": items, "next_cursor": None})
    assert completed(shell, environment, "cancel", "7") == {"7", "71"}


@pytest.mark.parametrize("shell", SHELLS)
def test_without_a_daemon_nothing_is_offered_and_nothing_fails(shell: str, environment: dict[str, str]) -> None:
    assert completed(shell, environment | {"JOBD_SOCKET": "/nowhere"}, "run", "b") == set()
