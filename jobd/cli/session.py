"""What every verb is given: the daemon to talk to, the screen to write on, and the moment it is."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, TypeVar

import click

from jobd.cli import table
from jobd.cli.measure import flowed
from jobd.cli.terminal import Screen, Tone, safe_text, screen_of
from jobd.client import Client
from jobd.client.calls import trace_headers

SCHEMA_VERSION = 1
"""Raised when a shape printed by `--json` changes in a way that breaks its readers."""

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass
class Session:
    """One invocation of jobd-ctl. The connection is made at the first question."""

    socket: str
    wants_json: bool = False
    is_quiet: bool = False
    wants_color: bool = True
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    @cached_property
    def client(self) -> Client:
        return Client(self.socket)

    def get(self, path: str, **query: str | None) -> Any:
        """The answer to a question. Raises a JobdError for a refusal, Unreachable where nobody answers."""
        return self.client.request("GET", path, query=query)

    def post(self, path: str, body: Any = None, *, lines: bytes | None = None) -> Any:
        """The answer to a request; `lines` are sent as JSON lines."""
        return self.client.request("POST", path, body=body, lines=lines, headers=trace_headers())

    def delete(self, path: str, **query: str | None) -> Any:
        """The answer to a request that puts something away."""
        return self.client.request("DELETE", path, query=query)

    def listed(self, path: str, count: int | None = None, page: int = 500, **query: str | None) -> list[Any]:
        """The first `count` items of a list (all of them for None), over as many pages as it takes."""
        found: list[Any] = []
        cursor: str | None = None
        while count is None or len(found) < count:
            if count is not None:
                query["limit"] = str(min(page, count - len(found)))
            answer = self.get(path, cursor=cursor, **query)
            found += answer["items"]
            cursor = answer.get("next_cursor")
            if cursor is None:
                break
        return found

    def output(
        self,
        run: int,
        stream: str,
        *,
        attempt: int | None = None,
        follows: bool = False,
        lines: int | None = None,
        is_raw: bool = False,
    ) -> Iterator[bytes]:
        """The bytes of one stream of a run, over a connection of its own, as they come; masked unless `is_raw`."""
        return self.client.output(run, stream, attempt=attempt, follow=follows, lines=lines, raw=is_raw)

    @staticmethod
    def path(name: str) -> str:
        """A name that a person typed, as one segment of a path."""
        from urllib.parse import quote

        return quote(name, safe="")

    def paint(self, text: str, tone: Tone) -> None:
        """Print a line for a person in its tone."""
        for line in flowed(safe_text(text), self.screen.width):
            print(self.screen.paint(line, tone))

    @cached_property
    def screen(self) -> Screen:
        return screen_of(sys.stdout, wants_color=self.wants_color)

    def emit(self, value: Any) -> None:
        """Print a JSON answer; a list becomes `{items: […]}`. Pure ASCII, so nothing in it can move a terminal."""
        shape = value if isinstance(value, dict) else {"items": value}
        indent = 2 if self.screen.is_terminal else None
        print(json.dumps({"schema_version": SCHEMA_VERSION} | shape, indent=indent))

    def table(self, columns: Sequence[table.Column], rows: Sequence[Sequence[table.Cell | str]]) -> None:
        """Print aligned rows; with `-q` without the heading."""
        lines = table.lines(columns, rows, self.screen)
        for line in lines[1:] if self.is_quiet else lines:
            print(line)

    def say(self, text: str = "") -> None:
        """Print data for a person, with lines that are too long for the terminal broken at spaces."""
        for line in flowed(safe_text(text), self.screen.width):
            print(line)

    @staticmethod
    def verbatim(text: str = "") -> None:
        """Print what is copied or run elsewhere: no line is broken."""
        print(safe_text(text))

    @staticmethod
    def flush() -> None:
        """Let whoever reads along see what was printed so far."""
        sys.stdout.flush()

    def remark(self, text: str) -> None:
        """Tell, on stderr, what is no data; `-q` keeps it back."""
        if not self.is_quiet:
            for line in flowed(safe_text(text), screen_of(sys.stderr).width):
                print(line, file=sys.stderr, flush=True)


class Seldom(click.Option):
    """An option that the help of its verb only names, so that it stays on one screen; the manual explains it."""

    def get_help_record(self, ctx: click.Context) -> None:  # noqa: ARG002 - click's signature
        return None


class Verb(click.Command):
    """A command whose help names its seldom used options in one paragraph."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_options(ctx, formatter)
        named = [param.opts[0] for param in self.params if isinstance(param, Seldom)]
        if named:
            lines = flowed(f"  More, in jobd-ctl(1): {' '.join(named)}", formatter.width)
            formatter.write("".join(f"{line}\n" for line in lines))


def verb(*, example: str, **settings: Any) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a verb of a function that takes the session first: with its example, and the options every verb takes."""

    def wrap(function: Callable[..., Any]) -> click.Command:
        shown = "\b\nExamples:\n" + "\n".join(f"  {line}" for line in example.splitlines())
        make: Callable[[Callable[..., Any]], click.Command] = click.command(cls=Verb, epilog=shown, **settings)
        made = make(click.pass_obj(function))
        made.params += [
            _flag("--json", "wants_json", True, "Print JSON of a stable shape."),
            _flag("-q", "is_quiet", True),
            _flag("--no-color", "wants_color", False),
        ]
        return made

    return wrap


def _flag(name: str, attribute: str, said: bool, text: str = "") -> click.Option:
    """An option of jobd-ctl itself that is also understood after the verb."""

    def take(ctx: click.Context, _: click.Parameter, value: bool) -> None:
        if value:
            setattr(ctx.obj, attribute, said)

    names = [name, "--quiet"] if name == "-q" else [name]
    return click.Option(names, is_flag=True, expose_value=False, callback=take, help=text, hidden=not text)


def columns(titles: str, *, right: Iterable[str] = (), elastic: Iterable[str] = ()) -> list[table.Column]:
    """Columns of a table from their titles in one string."""
    return [table.Column(title, title in right, title in elastic) for title in titles.split()]
