"""What may stand at the socket's path, and how the socket appears there."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from jobd.control.listen import SocketRefused, adopt, bind

is_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others")


def stale(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def test_the_socket_appears_with_its_mode_and_group(tmp_path: Path) -> None:
    path = tmp_path / "jobd.sock"
    listening = bind(str(path), mode=0o640, gid=os.getegid())
    found = path.lstat()
    assert stat.S_ISSOCK(found.st_mode)
    assert (stat.S_IMODE(found.st_mode), found.st_gid) == (0o640, os.getegid())
    listening.close()
    assert not path.exists()


@is_root
def test_the_socket_is_the_groups_before_anybody_can_connect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []
    listen = socket.socket.listen

    def look(self: socket.socket, backlog: int) -> None:
        found = os.lstat(tmp_path / "jobd.sock")
        seen.append((stat.S_IMODE(found.st_mode), found.st_gid))
        listen(self, backlog)

    monkeypatch.setattr(socket.socket, "listen", look)
    bind(str(tmp_path / "jobd.sock"), gid=12345).close()
    assert seen == [(0o660, 12345)]


def test_the_umask_is_as_before(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        bind(str(tmp_path / "jobd.sock")).close()
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)


def test_our_own_stale_socket_is_replaced(tmp_path: Path) -> None:
    for _ in range(100):
        stale(tmp_path / "jobd.sock")
        bind(str(tmp_path / "jobd.sock")).close()


SQUATTERS: list[tuple[str, Callable[[Path], object], str]] = [
    ("file", lambda path: path.write_text("precious"), "a regular file"),
    ("directory", lambda path: path.mkdir(), "a directory"),
    ("dangling link", lambda path: path.symlink_to("nowhere"), "a symbolic link"),
    ("fifo", os.mkfifo, "a special file"),
]


@pytest.mark.parametrize(("put", "said"), [case[1:] for case in SQUATTERS], ids=[case[0] for case in SQUATTERS])
def test_a_squatted_path_is_refused_and_left_alone(tmp_path: Path, put: Callable[[Path], object], said: str) -> None:
    path = tmp_path / "jobd.sock"
    put(path)
    before = path.lstat()
    with pytest.raises(SocketRefused, match=said):
        bind(str(path))
    after = path.lstat()
    assert (after.st_ino, after.st_mode, after.st_size) == (before.st_ino, before.st_mode, before.st_size)


def test_a_link_to_our_own_stale_socket_is_not_followed(tmp_path: Path) -> None:
    stale(tmp_path / "real.sock")
    (tmp_path / "jobd.sock").symlink_to("real.sock")
    with pytest.raises(SocketRefused, match="a symbolic link"):
        bind(str(tmp_path / "jobd.sock"))
    assert (tmp_path / "real.sock").exists()


def test_a_socket_that_somebody_listens_on_is_refused(tmp_path: Path) -> None:
    first = bind(str(tmp_path / "jobd.sock"))
    with pytest.raises(SocketRefused, match="another jobd listens"):
        bind(str(tmp_path / "jobd.sock"))
    first.close()


@is_root
def test_somebody_elses_socket_is_refused(tmp_path: Path) -> None:
    stale(tmp_path / "jobd.sock")
    os.chown(tmp_path / "jobd.sock", 12345, 12345)
    with pytest.raises(SocketRefused, match="uid 12345"):
        bind(str(tmp_path / "jobd.sock"))


def test_a_directory_others_can_write_to_is_refused_unless_it_is_sticky(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(SocketRefused, match="chmod go-w"):
        bind(str(tmp_path / "jobd.sock"))
    tmp_path.chmod(0o1777)
    bind(str(tmp_path / "jobd.sock")).close()


@is_root
def test_a_directory_of_somebody_else_is_refused(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 12345)
    with pytest.raises(SocketRefused, match="belongs to uid 12345"):
        bind(str(tmp_path / "jobd.sock"))


def test_a_path_too_long_or_nowhere_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(SocketRefused, match="longer than the 107 bytes"):
        bind(str(tmp_path / ("x" * 108)))
    with pytest.raises(SocketRefused, match="no directory for the control socket"):
        bind(str(tmp_path / "absent" / "jobd.sock"))


def test_closing_leaves_a_successors_socket_alone(tmp_path: Path) -> None:
    path = tmp_path / "jobd.sock"
    old = bind(str(path))
    path.unlink()
    new = bind(str(path))
    old.close()
    assert path.exists()
    new.close()


def test_a_socket_handed_over_by_systemd_is_used_and_its_path_left(tmp_path: Path) -> None:
    path = tmp_path / "jobd.sock"
    given = socket.socket(socket.AF_UNIX)
    given.bind(str(path))
    given.listen()
    os.set_inheritable(given.fileno(), True)
    listening = adopt(given.detach())
    assert not os.get_inheritable(listening.socket.fileno())
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(path))
    listening.close()
    assert path.exists()


def test_a_descriptor_that_is_no_listening_unix_socket_is_refused(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET) as tcp, socket.socket(socket.AF_UNIX) as mute, open(os.devnull, "rb") as file:
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        for fd in (tcp.fileno(), mute.fileno(), file.fileno()):
            with pytest.raises(SocketRefused, match=f"fd {fd}"):
                adopt(fd)
            os.fstat(fd)  # it is still open: its owner may want it for something else
