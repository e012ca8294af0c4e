"""The messages systemd gets, on a real datagram socket."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobd.observe.sd_notify import Systemd, watchdog_interval


@pytest.fixture
def server(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(tmp_path / "notify"))
        made.settimeout(5)
        yield made


def test_every_message_is_what_sd_notify_defines(server: socket.socket) -> None:
    systemd = Systemd(server.getsockname())
    systemd.ready("serving\n3 jobs")
    assert server.recv(4096) == b"READY=1\nSTATUS=serving 3 jobs"
    systemd.status("draining")
    assert server.recv(4096) == b"STATUS=draining"
    systemd.reloading()
    assert server.recv(4096).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
    systemd.stopping("waiting for 2 runs")
    assert server.recv(4096) == b"STOPPING=1\nSTATUS=waiting for 2 runs"
    systemd.alive()
    assert server.recv(4096) == b"WATCHDOG=1"
    systemd.extend_timeout(90.5)
    assert server.recv(4096) == b"EXTEND_TIMEOUT_USEC=90500000"


def test_an_abstract_address_is_understood() -> None:
    name = f"jobd-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind("\0" + name)
        server.settimeout(5)
        Systemd("@" + name).alive()
        assert server.recv(4096) == b"WATCHDOG=1"


def test_nothing_happens_without_systemd_and_when_it_is_gone(tmp_path: Path) -> None:
    silent = Systemd("")
    silent.ready("up")
    assert not silent.is_there
    Systemd(str(tmp_path / "nobody")).alive()


def test_a_full_socket_does_not_block(server: socket.socket) -> None:
    systemd = Systemd(server.getsockname())
    for _ in range(10_000):
        systemd.alive()
    assert server.recv(4096) == b"WATCHDOG=1"


@pytest.mark.parametrize(
    ("usec", "pid", "seconds"),
    [("30000000", None, 30.0), ("30000000", "1", None), ("", None, None), ("0", None, None), ("x", None, None)],
)
def test_the_watchdog_interval_is_ours_or_none(
    monkeypatch: pytest.MonkeyPatch, usec: str, pid: str | None, seconds: float | None
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", usec)
    monkeypatch.setenv("WATCHDOG_PID", pid or str(os.getpid()))
    assert watchdog_interval() == seconds
