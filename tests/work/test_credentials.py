"""The files in which an attempt finds its secrets, and whose files jobd reads for it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jobd.core.model import Ending
from jobd.core.states import Outcome
from jobd.work import scratch
from jobd.work.credentials import known, located
from tests.work.harness import key, shell
from tests.work.test_children import needs_root, one, open_up

SHOWN = 'cd "$CREDENTIALS_DIRECTORY" && stat -c "%n %a %U" DB && stat -c "%a %U" . && cat DB'


def secret(directory: Path, mode: int = 0o400) -> str:
    path = directory / "db"
    path.write_text("v4lue")
    path.chmod(mode)
    return str(path)


def refused(directory: Path, source: str, user: str | None = None) -> str:
    ending: Ending = one(directory, shell(1, "echo ran", user=user, secrets=(("DB", source),)))[0]
    assert ending.outcome is Outcome.FAILED
    assert ending.error is not None
    assert os.listdir(directory / "run" / "attempts") == []
    return ending.error


@pytest.mark.parametrize("user", [None, pytest.param("nobody", marks=needs_root)])
def test_a_secret_is_a_file_of_the_jobs_own_user_that_only_it_reads(tmp_path: Path, user: str | None) -> None:
    open_up(tmp_path)
    order = shell(1, SHOWN, user=user, secrets=(("DB", secret(tmp_path)),))
    ending, out, err = one(tmp_path, order)
    owner = user or Path(tmp_path).owner()
    assert (ending.outcome, err) == (Outcome.SUCCEEDED, b"")
    assert out.decode().splitlines() == [f"DB 400 {owner}", f"700 {owner}", "v4lue"]
    assert os.listdir(tmp_path / "run" / "attempts") == []


def test_a_secret_that_others_may_write_is_refused(tmp_path: Path) -> None:
    assert "can be written by others" in refused(tmp_path, secret(tmp_path, 0o666))


def test_a_secret_that_is_no_file_is_refused_and_nobody_waits_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "is not a regular file" in refused(tmp_path, str(tmp_path / "pipe"))


@needs_root
def test_a_file_of_root_is_not_read_for_a_user_who_could_have_put_something_else_there(tmp_path: Path) -> None:
    open_up(tmp_path)
    link = tmp_path / "link"
    link.symlink_to(secret(tmp_path))
    assert "leads elsewhere" in refused(tmp_path, str(link), "nobody")
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    source = secret(theirs)
    os.chown(theirs, 65534, 65534)
    assert "belongs to user" in refused(tmp_path, source, "nobody")


def test_a_credential_without_any_given_to_jobd_is_refused_with_what_to_do(tmp_path: Path) -> None:
    assert "LoadCredential=api:FILE" in refused(tmp_path, "credential:api")


def test_a_credential_is_looked_for_where_systemd_put_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "api").write_text("v4lue")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert located((("KEY", "credential:api"), ("DB", "/etc/x"))) == (("KEY", f"{tmp_path}/api"), ("DB", "/etc/x"))
    assert known((("KEY", "credential:api"), ("DB", str(tmp_path / "nothing")))) == [b"v4lue"]


def test_directories_of_attempts_that_are_not_under_way_are_removed(tmp_path: Path) -> None:
    scratch.prepare(str(tmp_path))
    for name in ("1.1", "2.1", "3.1"):
        inside = tmp_path / "attempts" / name / "credentials"
        inside.mkdir(parents=True)
        (inside / "DB").write_text("v4lue")
    scratch.remove_others(str(tmp_path), [key(2)])
    assert os.listdir(tmp_path / "attempts") == ["2.1"]
