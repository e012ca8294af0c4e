"""Every command line of every page, typed in on a host with the page's own jobs, answers as it is shown to."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.elsewhere import runnable
from tests.docs.pages import PAGES, Command, name
from tests.docs.stage import Stage, departures, here, settle, typed
from tests.docs.stages import STAGES
from tests.e2e.daemon import Host, host


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("page", [page for page in PAGES if runnable(page)], ids=name)
def test_every_command_line_works_as_it_is_shown(page: Path) -> None:
    stage = STAGES.get(name(page), Stage())
    with (
        tempfile.TemporaryDirectory(prefix="jobd-", ignore_cleanup_errors=True) as directory,
        host(Path(directory), "workers: {max: 4}\n") as made,
    ):
        settle(made, stage, page)
        faults = [fault for command, before in with_functions(page) for fault in wrong_about(made, command, before)]
    assert faults == [], "\n".join(faults)


def with_functions(page: Path) -> Iterator[tuple[Command, str]]:
    """Each command line with the shell functions that the page has defined before it."""
    functions = ""
    for command in runnable(page):
        if "() {" in command.text:
            functions += command.text + "\n"
        else:
            yield command, functions


def wrong_about(host: Host, command: Command, before: str) -> list[str]:
    done = typed(host, command, before)
    if not command.answer:
        return [f"{command}: exit status {done.returncode}: {done.stdout[-600:]}"] if done.returncode else []
    answer = tuple(here(host, line) for line in command.answer)
    return [f"{command}: no such line: {line!r} in\n{done.stdout}" for line in departures(done.stdout, answer)]


def test_the_stages_are_those_of_pages_that_are_there() -> None:
    assert set(STAGES) <= {name(page) for page in PAGES if runnable(page)}
