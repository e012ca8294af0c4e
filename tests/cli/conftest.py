"""A daemon to talk to, and jobd-ctl to talk with."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from jobd.cli.ctl import outcome
from tests.cli.daemon import Daemon, serving


class Said(NamedTuple):
    code: int
    out: str
    err: str


Ctl = Callable[..., Said]


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with tempfile.TemporaryDirectory(prefix="jobd-") as directory, serving(Path(directory)) as made:
        yield made


@pytest.fixture
def ctl(daemon: Daemon, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Ctl:
    """Run one command line of jobd-ctl against the daemon, as if piped."""
    monkeypatch.setenv("JOBD_SOCKET", daemon.socket)

    def run(*args: str) -> Said:
        code = outcome(list(args))
        out, err = capfdbinary.readouterr()
        return Said(code, out.decode(errors="replace"), err.decode(errors="replace"))

    return run
