"""A host with a jobd of its own for each test."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.daemon import Host, host

MakeHost = Callable[..., Host]


@pytest.fixture
def make_host() -> Iterator[MakeHost]:
    """Make a host with these settings. Its path is short: a Unix socket's may not have more than 107 bytes."""
    with ExitStack() as stack:

        def make(settings: str = "") -> Host:
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="jobd-", ignore_cleanup_errors=True))
            return stack.enter_context(host(Path(directory), settings))

        yield make


@pytest.fixture(scope="module")
def served() -> Iterator[Host]:
    """One daemon for all tests of a module that leave it as they found it; their jobs have names of their own."""
    with (
        tempfile.TemporaryDirectory(prefix="jobd-", ignore_cleanup_errors=True) as directory,
        host(Path(directory), "workers: {max: 4}\ndrain_timeout: 5s\n") as made,
    ):
        yield made.start()


@pytest.fixture
def daemon(make_host: MakeHost) -> Host:
    """A daemon that serves, with quick retries and no jobs yet."""
    return make_host("workers: {max: 4}\ndrain_timeout: 5s\n").start()
