"""A host on which the command lines of a page can be typed in: a real daemon with the page's own jobs in force.

What a page's jobs start and this machine does not have (databases, other users) is stood in for by small programs;
paths of a system installation are those of the test's directory.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.docs.pages import Block, Command, blocks, modules, settings
from tests.e2e.daemon import Host

_TIME = r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?|\b\d\d:\d\d(:\d\d)?\b"
_SPAN = r"\b\d+(\.\d+)?\s?(ms|s|m|h|d|min)\b( \d+(s|m|h)\b)*"

OF_THE_READER = ("python_path", "roles", "sinks")
"""Settings that name directories, groups and packages of the reader's host."""

_PATIENCE_SECONDS = 200
"""Longer than any command takes on the busiest machine: what hangs is to fail, nothing else."""


def nothing(_: Host) -> None:
    """Most pages bring what they need."""


@dataclass(frozen=True)
class Stage:
    """What a page takes for granted of the reader's host."""

    jobs: str = ""
    """Definitions beyond those that the page shows."""
    programs: Mapping[str, str] = field(default_factory=dict)
    """Shell scripts on the path of the jobs and of the reader."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Beside the reader, in the directory where the commands are typed."""
    python: Mapping[str, str] = field(default_factory=dict)
    """Modules in python_path."""
    before: Callable[[Host], None] = nothing
    """What has happened by the time the reader types."""


def settle(host: Host, stage: Stage, page: Path) -> None:
    """Start the daemon of a page, with its jobs in force."""
    programs = host.directory / "bin"
    for directory in (programs, host.directory / "here"):
        directory.mkdir()
    for program, script in stage.programs.items():
        (programs / program).write_text(f"#!/bin/sh\n{script}\n")
        (programs / program).chmod(0o755)
    for file, text in stage.files.items():
        path = host.directory / "here" / file
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    for module, text in {**stage.python, **modules(page)}.items():
        path = host.scripts / module
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    (host.directory / ".curlrc").write_text("silent\nshow-error\nfail-with-body\n")
    search = f"{programs}:{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    own = {key: value for key, value in settings(page).items() if key not in OF_THE_READER}
    own |= {"defaults": {"env": {"PATH": search, "JOBD_SOCKET": host.socket}}}
    host.configure("\n".join(json.dumps({key: value})[1:-1] for key, value in own.items()))
    shown = [block for block in blocks(page) if block.language == "yaml" and re.search("^jobs:", block.text, re.M)]
    for number, block in enumerate(shown):
        host.define(file_of(block, number), here(host, as_whoever_tests(block.text)))
    host.define("taken-for-granted", stage.jobs or "jobs: {}\n")
    host.start(60.0)
    assert (found := host.status()["problems"]) == [], found
    stage.before(host)


def file_of(block: Block, number: int) -> str:
    """The name that a block gives its file in its first line, else one of its own."""
    named = re.match(r"# (?:\S*/)?jobs\.d/(\S+)\.yaml", block.text)
    return named[1] if named else f"shown-{number}"


def as_whoever_tests(text: str) -> str:
    """The jobs run as the user of the tests, since those that pages name are not on every machine."""
    return re.sub(r"^ *user: .*\n", "", text, flags=re.MULTILINE)


def here(host: Host, text: str) -> str:
    """The paths of a system installation as paths of this host."""
    directory = str(host.directory)
    for usual, own in (("/etc/jobd", ""), ("/run/jobd", "/run"), ("/var/lib/jobd", "/state"), ("/var/backups", "")):
        text = re.sub(rf"(?<![\w./-]){usual}\b", lambda _, own=own: directory + own, text)  # type: ignore[misc]
    return text


def typed(host: Host, command: Command, setup: str = "") -> subprocess.CompletedProcess[str]:
    """What a reader sees who types this in a shell of this host, or runs this program."""
    path = f"{host.directory}/bin:{Path(sys.executable).parent}:{os.environ['PATH']}"
    environ = os.environ | {"PATH": path, "JOBD_SOCKET": host.socket, "JOBD_CONFIG": str(host.config)}
    environ["CURL_HOME"] = str(host.directory)
    python, shell = [sys.executable, "-c"], ["bash", "-euo", "pipefail", "-c"]
    program = [*python, command.text] if command.block.language == "python" else [*shell, f"{setup}\n{command.text}"]
    return subprocess.run(
        [here(host, word) for word in program],
        cwd=host.directory / "here", env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=_PATIENCE_SECONDS, check=False,
    )  # fmt: skip


def departures(said: str, answer: tuple[str, ...]) -> list[str]:
    """Lines of an answer as shown that are not in the true one, in their order; times and spans may differ."""
    left, astray = [plain(line) for line in said.splitlines()], []
    for line in answer:
        pattern = re.escape(plain(line)).replace("…", ".*")
        at = next((number for number, one in enumerate(left) if re.fullmatch(pattern, one)), None)
        astray += [line] if at is None else []
        left = left[at + 1 :] if at is not None else left
    return astray


def plain(line: str) -> str:
    return " ".join(re.sub(_SPAN, "SPAN", re.sub(_TIME, "TIME", line)).split())


def next_run_is(host: Host, number: int) -> None:
    """Use up the ids of runs before this one, with runs that never start."""
    with host.client() as client:
        client.submit_many([{"command": ["true"], "run_at": "2099-01-01T00:00:00Z"}] * (number - 1))
        for run in client.runs(limit=number):
            client.cancel(run["id"])


def ran(host: Host, job: str, **options: object) -> int:
    """A run of a job that has ended."""
    with host.client() as client:
        return int(client.wait(int(client.submit(job, **options)), 60.0)["id"])  # type: ignore[arg-type]
