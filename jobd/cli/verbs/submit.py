"""`run` and `submit`: ask for runs, of a job, of a command, or many at once."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from jobd.cli import completing
from jobd.cli.exits import Exit
from jobd.cli.follow import Sink, follow
from jobd.cli.session import Seldom, Session, verb
from jobd.cli.times import moment
from jobd.cli.verbs.wait import exit_code, finish
from jobd.core.errors import Invalid
from jobd.core.spans import rfc3339, seconds

OPTIONS = [
    click.option("--payload", metavar="JSON", help="What the run is given; @FILE or @- reads it from there."),
    click.option(
        "-p", "pairs", metavar="K=V", multiple=True, help="One key of the payload; k:=JSON for other than text."
    ),
    click.option("--at", metavar="T", help="Not before then (18:00, 2026-12-24T18:00, RFC 3339)."),
    click.option("--in", "delay", metavar="D", help="Not before so long from now (90s, 15m, 2h)."),
    click.option("--priority", metavar="P", help="low, medium, high, or -100 to 100; higher goes first."),
    click.option("--queue", metavar="Q", help="Another queue than the job's own."),
    click.option("--key", metavar="K", help="A second submit with this key makes no second run."),
    click.option(
        "--unique",
        cls=Seldom,
        metavar="FIELDS",
        help="No second run with these fields of the payload (a,b); * is the whole payload, '' none of it.",
    ),
    click.option("--period", cls=Seldom, metavar="D", help="With --unique: once in each such period."),
    click.option("--states", cls=Seldom, metavar="S", help="With --unique: active (until the run is final), or all."),
    click.option("--on-conflict", cls=Seldom, metavar="C", help="With --unique: keep, replace or error."),
    click.option(
        "--max-attempts",
        cls=Seldom,
        metavar="N",
        type=click.IntRange(1),
        help="All attempts counted; 3 where nothing is said.",
    ),
    click.option("--timeout", metavar="D", help="Per attempt, in place of the job's own; 0 is none."),
    click.option("--expires", cls=Seldom, metavar="D", help="Not started so long after it might have: never starts."),
    click.option(
        "--uses",
        cls=Seldom,
        metavar="NAME[=N]",
        multiple=True,
        help="Take so much of a resource, in place of the job's uses.",
    ),
    click.option(
        "--depends-on",
        "depends_on",
        cls=Seldom,
        metavar="RUN[:ON]",
        multiple=True,
        help="Wait for a run's success (or :failure, or :always); may be given several times.",
    ),
    click.option("--wait", "waits", is_flag=True, help="Wait for the end; exit with the job's code."),
    click.option("--follow", "follows", is_flag=True, help="As --wait, and show the output as it comes."),
]


@dataclass(frozen=True, slots=True)
class Wish:
    """The options that `run` and `submit` share."""

    payload: str | None
    pairs: tuple[str, ...]
    at: str | None
    delay: str | None
    priority: str | None
    queue: str | None
    key: str | None
    unique: str | None
    period: str | None
    states: str | None
    on_conflict: str | None
    max_attempts: int | None
    timeout: str | None
    expires: str | None
    uses: tuple[str, ...]
    depends_on: tuple[str, ...]
    waits: bool
    follows: bool

    def body(self, session: Session) -> dict[str, Any]:
        """The submission without the work itself. Raises click.BadParameter for what makes no sense."""
        values: dict[str, Any] = {
            "queue": self.queue,
            "priority": _priority(self.priority),
            "run_at": self._run_at(session),
            "key": self.key,
            "unique": self._unique(),
            "max_attempts": self.max_attempts,
            "timeout": _checked("--timeout", seconds, self.timeout),
            "expires": _checked("--expires", seconds, self.expires),
            "uses": dict(_checked("--uses", used, one) for one in self.uses) or None,
            "depends_on": [_checked("--depends-on", dependency, one) for one in self.depends_on] or None,
        }
        made = {name: value for name, value in values.items() if value is not None}
        if self.payload is not None or self.pairs:
            made["payload"] = payload_of(self.payload, self.pairs)
        return made

    def _unique(self) -> dict[str, Any] | None:
        """What is said here goes before what the job says."""
        values = {
            "key": None if self.unique is None else _fields(self.unique),
            "period": _checked("--period", seconds, self.period),
            "states": self.states,
            "on_conflict": self.on_conflict,
        }
        return {name: value for name, value in values.items() if value is not None} or None

    def _run_at(self, session: Session) -> str | None:
        if self.at and self.delay:
            raise click.UsageError("--at and --in exclude each other")
        if self.delay:
            _checked("--in", seconds, self.delay)
        at = _checked("--at", lambda text: moment(text, session.now), self.at or self.delay)
        return rfc3339(at) if at else None


def _fields(text: str) -> list[str] | bool:
    """`a,b` as a list of fields; `*` is the whole payload, which the API calls true."""
    return text == "*" or [one.strip() for one in text.split(",") if one.strip()]


def used(text: str) -> tuple[str, int]:
    """A resource and how much of it: `gpu`, `gpu=2`. Raises ValueError with a hint."""
    name, equals, amount = text.partition("=")
    if not name or (equals and not (amount.isascii() and amount.isdigit() and len(amount) < 8)):
        raise ValueError(f'"{text}" is not NAME or NAME=N (try gpu or gpu=2)')
    return name, int(amount or 1)


def _with_options(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(OPTIONS):
        function = option(function)
    return function


@verb(
    example="jobd-ctl run backup --wait\njobd-ctl run import -p file=/srv/in.csv --in 15m\n"
    "id=$(jobd-ctl -q run report --key report-2026-11)"
)
@click.argument("job", shell_complete=completing.jobs)
@_with_options
def run(session: Session, job: str, **options: Any) -> int:
    """Submit a run of a job; prints its id."""
    wish = Wish(**options)
    try:
        answer = session.post("/v1/runs", {"job": job} | wish.body(session))
    except Invalid as error:
        if any(path == "/job" for path, _ in error.errors):
            session.get(f"/v1/jobs/{session.path(job)}")  # says "not found" where that is what is wrong
        raise
    return _see_to(session, wish, answer)


@verb(
    example="jobd-ctl submit --timeout 10m -- rsync -a /srv/ /backup/\n"
    'echo \'{"job": "mail", "payload": {"to": "ops"}}\' | jobd-ctl submit --batch -'
)
@click.option("--batch", metavar="FILE|-", help="Submissions as JSON lines; all are accepted, or none.")
@click.argument("command", metavar="-- CMD...", nargs=-1, type=click.UNPROCESSED)
@_with_options
def submit(session: Session, batch: str | None, command: tuple[str, ...], **options: Any) -> int:
    """Submit a command of your own (it runs as you), or a batch of runs."""
    wish = Wish(**options)
    if batch is not None:
        if command or wish.body(session):
            raise click.UsageError("--batch takes everything from its lines; give no command and no other options")
        return _submit_batch(session, batch)
    if not command:
        raise click.UsageError("which command? (jobd-ctl submit -- CMD…, or --batch FILE)")
    return _see_to(session, wish, session.post("/v1/runs", {"command": list(command)} | wish.body(session)))


def _see_to(session: Session, wish: Wish, answer: dict[str, Any]) -> int:
    """Tell what was accepted, and stay with it where that was asked for."""
    run, duplicate = int(answer["id"]), bool(answer.get("duplicate"))
    if not (wish.waits or wish.follows):
        _tell(session, answer)
        return Exit.DUPLICATE if duplicate else Exit.OK
    if not session.wants_json:
        session.remark(f"run {run} {'is there already' if duplicate else 'accepted'}")
    if wish.follows:
        lock = threading.Lock()
        follow(session, run, {"stdout": Sink(1, lock), "stderr": Sink(2, lock)}, first_attempt=1)
    ended = finish(session, run)
    if session.wants_json:
        session.emit(ended)
    elif ended["state"] != "succeeded" or not wish.follows:
        session.remark(f"run {run} {ended['state']}" + (f": {ended['error']}" if ended.get("error") else ""))
    return exit_code(ended)


def _tell(session: Session, answer: dict[str, Any]) -> None:
    if session.wants_json:
        session.emit(answer)
    elif session.screen.is_terminal and not session.is_quiet:
        kept = ": that key is taken by this run, nothing new was made" if answer.get("duplicate") else ""
        if answer.get("replaced"):
            kept = ": it was waiting, and does what you ask for now"
        session.say(f"run {answer['id']} is {answer['state']}{kept}")
    else:
        session.say(str(answer["id"]))


def _submit_batch(session: Session, name: str) -> Exit:
    try:
        if name == "-":
            body = sys.stdin.buffer.read()
        else:
            with open(name, "rb") as file:
                body = file.read()
    except OSError as error:
        raise click.UsageError(f"{name}: {error.strerror}") from None
    answer = session.post("/v1/runs", lines=body)
    if session.wants_json:
        session.emit(answer)
    else:
        for run in answer["ids"]:
            session.say(str(run))
    return Exit.OK


def payload_of(text: str | None, pairs: tuple[str, ...]) -> Any:
    """The payload that `--payload` and `-p` make together; pairs are laid over the object."""
    value = {} if text is None else _json("--payload", _read(text))
    if pairs and not isinstance(value, dict):
        raise click.BadParameter("-p needs a payload that is an object", param_hint="--payload")
    for pair in pairs:
        key, equals, shown = pair.partition("=")
        if not equals or not key.rstrip(":"):
            raise click.BadParameter(f"{pair!r} is not K=V", param_hint="-p")
        value[key.removesuffix(":")] = _json("-p", shown) if key.endswith(":") else shown
    return value


def dependency(text: str) -> dict[str, Any]:
    """`42` or `42:failure` as the API takes it."""
    run, colon, on = text.partition(":")
    if not run.isdecimal():
        raise ValueError(f"{text!r} does not begin with the id of a run (try 42 or 42:always)")
    return {"run": int(run), "on": on if colon else "success"}


def _read(text: str) -> str:
    if not text.startswith("@"):
        return text
    if text == "@-":
        return sys.stdin.read()
    try:
        with open(text[1:], encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise click.BadParameter(f"{text[1:]}: {error}", param_hint="--payload") from None


def _json(option: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        hint = "text needs its quotes, as in '\"text\"'"
        raise click.BadParameter(f"not JSON: {error} ({hint})", param_hint=option) from None


def _priority(text: str | None) -> int | str | None:
    if text is None or text in ("low", "medium", "high"):
        return text
    try:
        return int(text)
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is none (low, medium, high, or -100 to 100)", param_hint="--priority"
        ) from None


def _checked(option: str, reader: Callable[[str], Any], text: str | None) -> Any:
    try:
        return None if text is None else reader(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from None
