"""What a newcomer relies on: the two commands, the examples, one version."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import jobd

ROOT = Path(__file__).parent.parent


def test_the_readme_names_the_two_commands() -> None:
    text = (ROOT / "README.md").read_text()
    assert re.search(r"^\s*(\$ )?make run\b", text, re.MULTILINE)
    assert re.search(r"^\s*(\$ )?make test\b", text, re.MULTILINE)


def test_every_example_is_valid_and_nothing_about_it_is_doubtful() -> None:
    from jobd.definitions.check import check

    folders = sorted(str(path) for path in (ROOT / "examples").iterdir() if any(path.glob("*.yaml")))
    verdicts = [check([folder]) for folder in folders]
    assert [str(problem) for verdict in verdicts for problem in verdict.problems] == []
    names = {name for verdict in verdicts for name in verdict.catalog.jobs}
    assert {"disk-report", "database-backup", "health-check", "flaky", "overrun", "census", "hello"} <= names
    here = check([str(ROOT / "examples" / "jobs.d")])
    assert [str(warning) for warning in here.warnings] == []


def test_ci_runs_the_command_of_the_readme_and_nothing_else() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & stat.S_IXUSR
    commands = [line for line in script.read_text().splitlines() if line and not line.startswith("#")]
    assert commands[-1] == "exec make test"
    assert not any(line.startswith(("pip", "python", "pytest", "apt-get")) for line in commands)


def test_the_changelog_says_nothing_twice() -> None:
    entries = re.findall(r"^- (.{40})", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert sorted({one for one in entries if entries.count(one) > 1}) == []


def test_make_without_a_goal_lists_the_goals() -> None:
    shown = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert {"run", "test", "check", "bench", "clean"} <= {line.split()[0] for line in shown.splitlines()}


def test_the_version_is_said_in_one_place() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "version" not in project and "version" in project["dynamic"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", jobd.__version__)


def test_every_script_of_the_repository_is_executable_and_parses() -> None:
    for script in [ROOT / ".ci" / "run", *(ROOT / "packaging").iterdir()]:
        if script.is_file() and script.read_text(errors="replace").startswith("#!/bin/bash"):
            assert os.access(script, os.X_OK), script
            subprocess.run(["bash", "-n", str(script)], check=True)


def test_nothing_of_the_set_up_names_a_machine() -> None:
    words = re.compile(r"https?://(?!127\.0\.0\.1|\{)|index-url|find-links|/root/|/home/\w", re.IGNORECASE)
    for path in [ROOT / "Makefile", ROOT / ".ci" / "run", ROOT / "pyproject.toml", *(ROOT / "packaging").glob("*-*")]:
        if path.is_file():
            assert not words.search(path.read_text(errors="replace")), path


@pytest.mark.slow
def test_a_fresh_clone_sets_itself_up_and_the_second_time_needs_no_network(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    shutil.copytree(ROOT, clone, ignore=shutil.ignore_patterns(".venv", ".jobd", ".git", ".*_cache", "__pycache__"))
    subprocess.run(["make", "setup"], cwd=clone, check=True, timeout=600, env=_environment())
    shown = subprocess.run([clone / ".venv/bin/jobd-ctl", "version"], capture_output=True, text=True, check=True).stdout
    assert jobd.__version__ in shown
    nowhere = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "https_proxy": "http://127.0.0.1:9"}
    done = subprocess.run(["make", "setup"], cwd=clone, check=True, timeout=30, env=_environment() | nowhere)
    assert done.returncode == 0


def _environment() -> dict[str, str]:
    """As a shell outside of any make or virtual environment has it."""
    gone = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "VIRTUAL_ENV", "PYTHON")
    own = str(Path(sys.executable).parent)
    path = os.pathsep.join(part for part in os.environ["PATH"].split(os.pathsep) if part != own)
    return {name: value for name, value in os.environ.items() if name not in gone} | {"PATH": path}
