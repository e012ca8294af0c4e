"""A job finds in its environment what its files say, and never a file that it could not have."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jobd.core.states import Outcome
from tests.work.harness import python, shell
from tests.work.test_children import needs_root, one, open_up


def made(path: Path, text: str = "A=file\n", mode: int = 0o644, owner: int | None = None) -> str:
    path.write_text(text)
    path.chmod(mode)
    if owner is not None:
        os.chown(path, owner, owner)
    return str(path)


def test_files_override_env_each_the_one_before_and_jobd_all(tmp_path: Path) -> None:
    files = (
        made(tmp_path / "a.env", "A=a\nB=a\nJOBD_JOB=forged\n"),
        f"-{tmp_path}/missing",
        made(tmp_path / "b.env", "B='b b'\n"),
    )
    order = shell(1, 'echo "$A,$B,$C,$JOBD_JOB"', env=(("A", "env"), ("C", "env")), env_files=files)
    _, out, _ = one(tmp_path, order)
    assert out == b"a,b b,env,job\n"


def test_a_python_job_in_a_warm_worker_finds_them_too(tmp_path: Path, callables: str) -> None:
    order = python(1, "callables:whereabouts", env_files=(made(tmp_path / "a.env"),))
    ending, _, _ = one(tmp_path, order, python_path=[callables])
    assert ending.result["env"]["A"] == "file"


@pytest.mark.parametrize(
    ("arrange", "said"),
    [
        (str, "is not there (write -"),
        (lambda path: str(path.mkdir() or path), "is not a regular file"),
        (lambda path: os.mkfifo(path) or str(path), "is not a regular file"),
        (lambda path: made(path, mode=0o666), "can be written by others, mode 0666"),
        (lambda path: made(path, "A=1\nhunter2\n"), "line 2 is not NAME=VALUE"),
        (lambda path: made(path, "A=1\n" * 300_000), "is larger than 1024 KiB"),
    ],
)
def test_a_file_that_cannot_be_had_refuses_the_attempt(tmp_path: Path, arrange: object, said: str) -> None:
    file = arrange(tmp_path / "x.env")  # type: ignore[operator]
    ending, out, _ = one(tmp_path, shell(1, "echo ran", env_files=(file,)))
    assert (ending.outcome, ending.exit_code, ending.retryable, out) == (Outcome.FAILED, 126, False, b"")
    assert ending.error and ending.error.startswith(f"env_file: {tmp_path}/x.env") and said in ending.error
    assert "hunter2" not in ending.error


@needs_root
def test_the_file_of_a_stranger_is_trusted_for_nobody(tmp_path: Path) -> None:
    open_up(tmp_path)
    file = made(tmp_path / "x.env", owner=1)
    for order in (shell(1, "echo ran", env_files=(file,)), shell(2, "echo ran", env_files=(file,), user="nobody")):
        ending, out, _ = one(tmp_path, order)
        assert ending.error and "belongs to user" in ending.error and out == b""


@needs_root
def test_a_file_of_its_own_user_is_read_as_that_user(tmp_path: Path) -> None:
    open_up(tmp_path)
    file = made(tmp_path / "x.env", mode=0o600, owner=65534)
    _, out, _ = one(tmp_path, shell(1, 'echo "$A"; id -u', env_files=(file,), user="nobody"))
    assert out == b"file\n65534\n"


@needs_root
def test_what_only_root_may_read_and_write_is_read_for_the_job(tmp_path: Path) -> None:
    safe = Path("/run") / f"jobd-test-{os.getpid()}"
    safe.mkdir(0o755)
    try:
        file = made(safe / "x.env", mode=0o600)
        _, out, err = one(tmp_path, shell(1, f'echo "$A"; cat {file}', env_files=(file,), user="nobody", cwd="/"))
        assert out == b"file\n" and b"denied" in err
    finally:
        (safe / "x.env").unlink()
        safe.rmdir()


@needs_root
def test_a_link_into_what_the_user_may_not_read_gives_nothing_away(tmp_path: Path) -> None:
    open_up(tmp_path)
    secret = made(tmp_path / "secret", "A=secret\n", mode=0o600)
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, 65534, 65534)
    for name in ("link", "hard"):
        (home / name).symlink_to(secret) if name == "link" else os.link(secret, home / name)
        ending, out, _ = one(tmp_path, shell(1, 'echo "$A"', env_files=(f"{home}/{name}",), user="nobody"))
        assert ending.error and "nobody may not read it, and jobd does not for them" in ending.error
        assert out == b""
