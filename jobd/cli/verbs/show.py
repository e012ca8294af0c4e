"""`show` and `cat`: one job or one run in full."""

from __future__ import annotations

from typing import Any

import click

from jobd.cli import accounts, completing
from jobd.cli.exits import Exit
from jobd.cli.render import run_lines, snapshot_lines
from jobd.cli.session import Session, verb
from jobd.cli.verbs.status import job_lines
from jobd.core.errors import NotPermitted

_ENDED_BY_JOBD = ("timeout", "cancelled", "interrupted", "killed")


@verb(
    example="jobd-ctl show nightly-backup\njobd-ctl show 42\njobd-ctl show 42 --tree\n"
    "jobd-ctl show 42 --format dot | dot -Tsvg > 42.svg"
)
@click.argument("what", metavar="JOB|RUN", shell_complete=completing.jobs_and_runs)
@click.option("--tree", "wants_tree", is_flag=True, help="The runs that hang together with this one.")
@click.option("--format", "drawing", type=click.Choice(["tree", "dot", "mermaid"]), help="How to draw them.")
def show(session: Session, what: str, wants_tree: bool, drawing: str | None) -> Exit:
    """Everything about one job, or (a number) about one run."""
    if wants_tree or drawing:
        return _show_tree(session, what, drawing or "tree")
    path = f"/v1/runs/{what}" if what.isdecimal() else f"/v1/jobs/{session.path(what)}"
    found = session.get(path)
    if session.wants_json:
        session.emit(found)
        return Exit.OK
    for line in _run(session, found) if what.isdecimal() else job_lines(session, found):
        session.say(line)
    return Exit.OK


def _run(session: Session, run: dict[str, Any]) -> list[str]:
    attempts = session.get(f"/v1/runs/{run['id']}/attempts")["items"] if run["attempts"] else []
    last: dict[str, Any] = next((one for one in reversed(attempts) if one.get("outcome") is not None), {})
    lines = run_lines(run, session.now, accounts.told(last))
    return lines + snapshot_lines(last) if run.get("outcome") in _ENDED_BY_JOBD else lines


def _show_tree(session: Session, run: str, drawing: str) -> Exit:
    if not run.isdecimal():
        raise click.UsageError("--tree takes the id of a run (jobd-ctl runs lists them)")
    found = session.get(f"/v1/runs/{run}/tree")
    if session.wants_json:
        session.emit(found)
        return Exit.OK
    from jobd.cli.picture import FORMATS

    for line in FORMATS[drawing](found, session.now):
        session.say(line)
    return Exit.OK


@verb(example="jobd-ctl cat nightly-backup")
@click.argument("job", shell_complete=completing.jobs)
def cat(session: Session, job: str) -> Exit:
    """The effective definition of a job; each value with the file and line it comes from."""
    found = session.get(f"/v1/jobs/{session.path(job)}")
    if "definition" not in found:
        raise NotPermitted(f"the definition of {job} is shown to administrators only (it may hold secrets)")
    shown = {"name": found["name"], "definition": found["definition"], "sources": found["sources"]}
    if session.wants_json:
        session.emit(shown)
        return Exit.OK
    lines = [*_document(found["definition"], found["sources"], "")]
    width = min(60, max((len(text) for text, source in lines if source), default=0))
    session.verbatim(f"# {found['file']}:{found['line']}")
    session.verbatim(f"{found['name']}:")
    for text, source in lines:
        session.verbatim(f"  {text:<{width}}  # {source}" if source else f"  {text}")
    return Exit.OK


def _document(values: dict[str, Any], sources: dict[str, str], stem: str) -> list[tuple[str, str | None]]:
    """(a line of YAML, where it comes from) for every value; JSON is YAML, so leaves are written as JSON."""
    import json

    made: list[tuple[str, str | None]] = []
    for key, value in values.items():
        dotted = f"{stem}{key}"
        if isinstance(value, dict) and value:
            made.append((f"{key}:", None))
            made += [(f"  {text}", source) for text, source in _document(value, sources, f"{dotted}.")]
        else:
            made.append((f"{key}: {json.dumps(value, ensure_ascii=False)}", _source(sources, dotted)))
    return made


def _source(sources: dict[str, str], dotted: str) -> str | None:
    """The place of a value, or of the nearest key above it that has one."""
    while dotted not in sources and "." in dotted:
        dotted = dotted.rpartition(".")[0]
    return sources.get(dotted)
