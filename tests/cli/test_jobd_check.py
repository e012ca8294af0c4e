"""`jobd --check`: settings and definitions judged without starting anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobd.cli.daemon import run

DEFINITION = "jobs: {hello: {command: [/bin/true]}}\n"


def settings(folder: Path) -> Path:
    path = folder / "jobd.yaml"
    path.write_text("jobs_dirs: [missing, jobs.d]\n")
    (folder / "jobs.d").mkdir()
    return path


def test_a_directory_that_is_not_there_holds_no_jobs_and_no_problem(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = settings(tmp_path)
    (tmp_path / "jobs.d" / "hello.yaml").write_text(DEFINITION)
    assert run(["--config", str(path), "--check"]) == 0
    assert capsys.readouterr() == ("1 job, no problems\n", "")


def test_a_broken_definition_is_named_and_the_exit_code_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = settings(tmp_path)
    (tmp_path / "jobs.d" / "hello.yaml").write_text(DEFINITION.replace("command", "comand"))
    assert run(["--config", str(path), "--check"]) == 6
    assert f'{tmp_path}/jobs.d/hello.yaml:1:16: jobs.hello.comand: unknown key, did you mean "command"?' in (
        capsys.readouterr().err
    )
