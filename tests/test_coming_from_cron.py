"""The guide for those who come from cron: its command lines are understood, and what it says of cron's lines holds."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from jobd.cli.ctl import group
from jobd.cli.session import Session
from jobd.definitions.importers import crontab
from jobd.definitions.importers.cronfiles import Source, batch

GUIDE = (Path(__file__).parent.parent / "docs" / "coming-from-cron.md").read_text()
LINES = [line.partition("#")[0].split()[1:] for line in GUIDE.splitlines() if line.startswith("jobd-ctl ")]


@pytest.mark.parametrize("words", LINES, ids=" ".join)
def test_every_command_line_of_the_guide_is_understood(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOBD_CONFIG", raising=False)
    command: click.Command = group
    context = click.Context(group, info_name="jobd-ctl", obj=Session("/nowhere"))
    while isinstance(command, click.Group):
        inner = command.get_command(context, words[0])
        assert inner is not None, words
        command, words = inner, words[1:]
    command.make_context(command.name, list(words), parent=context)


def test_the_guide_names_every_importer_and_the_way_back() -> None:
    used = {tuple(words[:2]) for words in LINES}
    assert {("import", "crontab"), ("import", "timers"), ("export", "systemd")} <= used


@pytest.mark.parametrize("line", ["5/10 * * * * x", "* * * * fri-sun x", "A="])
def test_the_lines_that_the_guide_calls_refused_are(line: str) -> None:
    assert crontab.read(f"{line}\n".encode(), "f", is_system=False).problems


def test_the_habits_of_cron_in_the_guide_are_those_an_import_gives() -> None:
    (draft,) = batch(Source("f", b"* * * * * x\n", False), "UTC", "debian").drafts
    told = re.findall(r"`(timeout: 0|overlap: allow|allow_background: true|catch_up: skip)`", GUIDE)
    given = {f"{key}: {str(value).lower()}" for key, value in draft.words.items()}
    assert set(told) <= given and len(set(told)) == 4
