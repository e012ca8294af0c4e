"""The help of jobd-ctl: every verb's is on one screen, and none leaves out an option."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from jobd.cli.ctl import VERBS, group


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every verb and every verb of a family, by what is typed for it."""
    for name in VERBS:
        found = group.get_command(click.Context(group), name)
        assert found is not None
        yield name, found
        if isinstance(found, click.Group):
            yield from ((f"{name} {inner}", one) for inner, one in found.commands.items())


@pytest.mark.parametrize(
    ("name", "command"), list(commands()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_the_help_of_a_verb_is_no_longer_than_a_screen(name: str, command: click.Command) -> None:
    context = click.Context(command, info_name=f"jobd-ctl {name}", terminal_width=78)
    told = command.get_help(context).rstrip().split("\n")
    assert len(told) <= 24
    assert max(map(len, told)) <= 80
    words = set(" ".join(told).replace(",", " ").split())
    named = [one for one in command.params if isinstance(one, click.Option) and not one.hidden]
    assert [one.opts for one in named if not words & set(one.opts)] == []


PROMISED = {
    "status": "", "jobs": "", "show": "", "cat": "", "next": "-n --from --to --expr --tz", "check": "",
    "run": "--payload -p --at --in --priority --queue --key --wait --follow",
    "submit": "--payload -p --at --in --priority --queue --key --wait --follow --timeout --batch",
    "runs": "--job --state --queue --since -n", "attempts": "", "logs": "-f -n --stderr --stdout",
    "wait": "", "cancel": "", "kill": "--signal", "retry": "", "pause": "--queue --all --until --note",
    "resume": "--queue --all", "skip-next": "", "queues": "", "queue set": "",
    "dead list": "--job --queue", "dead show": "", "dead retry": "--job --queue --payload --dry-run",
    "dead drop": "--job --queue", "dead stats": "", "why": "--at", "health": "--queue --json", "top": "",
    "events": "-f", "stats": "", "reload": "--dry-run", "drain": "", "backup": "", "restore": "", "prune": "",
    "doctor": "", "schema": "", "audit": "", "import crontab": "--write --system-form", "import timers": "--write",
    "export systemd": "", "completion": "", "version": "",
}  # fmt: skip


def test_every_verb_and_option_that_was_promised_is_there() -> None:
    there = {name: {word for param in command.params for word in param.opts} for name, command in commands()}
    assert [(name, word) for name, words in PROMISED.items() for word in words.split() if word not in there[name]] == []
    shared = {word for param in group.params for word in param.opts}
    assert {"--socket", "--json", "-q", "--no-color"} <= shared


def test_every_verb_has_a_line_of_its_own_in_the_overview() -> None:
    told = group.get_help(click.Context(group, info_name="jobd-ctl", terminal_width=78))
    assert [verb for verb in VERBS if f"\n  {verb} " not in told] == []
