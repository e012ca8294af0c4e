"""What stands in each page of the manual and of docs/reference, and where it is taken from.

A page is said once, in a form that is given: roff or Markdown.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from forms import Form, Item
from settings import TEXTS as SETTINGS

from jobd.cli import daemon
from jobd.cli.ctl import VERBS, group
from jobd.cli.exits import Exit
from jobd.control.app import routes
from jobd.core.spans import show_seconds
from jobd.definitions.work import json_schema

ROOT = Path(__file__).resolve().parent.parent.parent
_EXITS = {
    str(int(Exit.OK)): "It worked; `status`: the daemon is well.",
    str(int(Exit.FAILED)): "It failed; `status`: the daemon is degraded, `status JOB`: its last finished run failed.",
    str(int(Exit.USAGE)): "The command line, or what was asked, makes no sense.",
    str(int(Exit.UNREACHABLE)): "The daemon cannot be reached.",
    str(int(Exit.NOT_FOUND)): "There is no such job, run or queue.",
    str(int(Exit.NOT_PERMITTED)): "You may not.",
    str(int(Exit.INVALID)): "Definitions are invalid.",
    str(int(Exit.DUPLICATE)): "A run with the same key was there already, and stands for this one.",
}
_OF_THE_JOB = [
    ("124", "A run that was waited for ended by its timeout."),
    ("125", "jobd itself failed at it."),
    ("126, 127", "Its program cannot be executed, or was not found."),
    ("128+N", "Signal N ended it. Otherwise a run that was waited for gives its own exit code."),
]
_SIGNALS = [
    ("SIGTERM, SIGINT", "Drain: start nothing more, wait up to drain_timeout for running attempts, end. A second one "
     "ends at once."),
    ("SIGHUP", "Read the definitions again."),
]  # fmt: skip
_EXIT_OF_DAEMON = [
    ("65", "The state cannot be used: a database of another program, or of a newer jobd."),
    ("71, 73", "A file or socket could not be made."),
    ("75", "Try again later: another jobd has the state directory."),
    ("78", "The settings are wrong; every problem was printed. systemd does not try again before somebody edits them."),
]
_FILES = [
    ("/etc/jobd/jobd.yaml", "Settings; see jobd.yaml(5)."),
    ("/usr/lib/jobd/jobs.d, /run/jobd/jobs.d, /etc/jobd/jobs.d", "Definitions; the later directory wins. See "
     "jobd-jobs(5)."),
    ("/var/lib/jobd", "Database (jobd.db) and output of attempts."),
    ("/run/jobd/jobd.sock", "The control socket; see jobd-api(7)."),
]  # fmt: skip


def written(form: Form) -> dict[str, str]:
    """Every page of the manual by its name."""
    return {
        "jobd.8": jobd(form),
        "jobd-ctl.1": jobd_ctl(form),
        "jobd.yaml.5": jobd_yaml(form),
        "jobd-jobs.5": jobd_jobs(form),
        "jobd-api.7": jobd_api(form),
    }


def jobd(form: Form) -> str:
    parser = daemon.parser()
    options = [(_option(one), str(one.help)) for one in parser._actions]
    return form.page(
        "jobd", 8, "the job scheduler and durable queue of a host",
        form.part("SYNOPSIS", form.verbatim(re.sub(r"\s+", " ", parser.format_usage().removeprefix("usage: ")))),
        form.part(
            "DESCRIPTION", form.paragraph(str(parser.description)),
            form.paragraph("It runs the jobs of jobd-jobs(5) when they are due, and runs that jobd-ctl(1) or a program "
                           "submits, in workers of its own. What it accepted is durable."),
        ),
        form.part("OPTIONS", form.listed(options)),
        form.part("SIGNALS", form.listed(_SIGNALS)),
        form.part("EXIT STATUS", form.listed([("0", "It was told to end."), *_EXIT_OF_DAEMON])),
        form.part("ENVIRONMENT", form.listed([
            ("JOBD_CONFIG", "What --config says."), ("JOBD_SOCKET", "The path of the control socket."),
            ("NOTIFY_SOCKET, WATCHDOG_USEC, LISTEN_FDS", "As systemd sets them."),
        ])),
        form.part("FILES", form.listed(_FILES)),
        _see(form, "jobd-ctl(1), jobd.yaml(5), jobd-jobs(5), jobd-api(7), systemd(1)"),
    )  # fmt: skip


def jobd_ctl(form: Form) -> str:
    options = [(_names(one), one.help or "") for one in group.params if isinstance(one, click.Option)]
    return form.page(
        "jobd-ctl", 1, "talk to jobd, the job scheduler and queue of this host",
        form.part("SYNOPSIS", form.verbatim("jobd-ctl [OPTIONS] VERB [ARGUMENTS]")),
        form.part("DESCRIPTION", form.paragraph(
            "Data goes to stdout, everything else to stderr; tables where a person reads, JSON with --json. Every verb "
            "explains itself with --help.")),
        form.part("OPTIONS", form.listed(options)),
        form.part("VERBS", *(_verb(form, name) for name in VERBS)),
        form.part("EXIT STATUS", form.listed([*_EXITS.items(), *_OF_THE_JOB])),
        form.part("ENVIRONMENT", form.listed([
            ("JOBD_SOCKET", "What --socket says."), ("NO_COLOR", "Whatever it says: no colours."),
        ])),
        _see(form, "jobd(8), jobd-jobs(5), jobd-api(7)"),
    )  # fmt: skip


def jobd_yaml(form: Form) -> str:
    return form.page(
        "jobd.yaml", 5, "settings of jobd",
        form.part(
            "DESCRIPTION",
            form.paragraph("Read once, when jobd starts, from /etc/jobd/jobd.yaml, from ~/.config/jobd/jobd.yaml "
                           "with --user, or from where --config says. Every key is optional; relative paths are "
                           "relative to the file. `jobd --check` says what is wrong with it."),
        ),
        form.part("KEYS", form.listed(SETTINGS.items())),
        form.part("EXAMPLE", form.verbatim((ROOT / "etc" / "jobd.yaml").read_text(), "yaml")),
        _see(form, "jobd(8), jobd-jobs(5)"),
    )  # fmt: skip


def jobd_jobs(form: Form) -> str:
    schema = json_schema()
    example = (ROOT / "examples" / "jobs.d" / "database-backup.yaml").read_text()
    return form.page(
        "jobd-jobs", 5, "definitions of jobs for jobd",
        form.part(
            "DESCRIPTION",
            form.paragraph("Files *.yaml in the directories of jobs_dirs; jobd puts a change in force as it is saved. "
                           "A file has `jobs` and may have `defaults` for them; `jobd-ctl check` says what is wrong, "
                           "with file, line and column. A file of the same name in a later directory replaces the "
                           "earlier one, NAME.yaml.d/*.yaml are merged into it, an empty file masks it."),
            form.paragraph("Durations are 90, 90s, 15m, 1h 30m, 2d; sizes 512KiB, 1GiB, 512M. Only true and false "
                           "are booleans."),
        ),
        form.part("EXAMPLE", form.verbatim(example, "yaml")),
        form.part("KEYS OF A JOB", form.listed(_keys(schema, "Job"))),
        *(form.part(f"KEYS OF {key.upper()}", form.listed(_keys(schema, model))) for key, model in _nested(schema)),
        _see(form, "jobd(8), jobd-ctl(1), jobd.yaml(5)"),
    )  # fmt: skip


def jobd_api(form: Form) -> str:
    shown = [(f"{route.method} {route.path}{_query(route.query)}", f"{route.summary}.") for route in routes()]
    return form.page(
        "jobd-api", 7, "the control API of jobd",
        form.part(
            "DESCRIPTION",
            form.paragraph("HTTP/1.1 with JSON over the Unix socket /run/jobd/jobd.sock. The kernel tells who asks; "
                           "what they may do is said by `roles` in jobd.yaml(5). Errors are documents of the type "
                           "application/problem+json (RFC 9457). Times are RFC 3339 in UTC. GET /v1/openapi.json "
                           "describes every field."),
            form.verbatim("curl --unix-socket /run/jobd/jobd.sock http://jobd/v1/status\n"
                          "curl --unix-socket /run/jobd/jobd.sock http://jobd/v1/runs "
                          "--json '{\"job\": \"report\", \"key\": \"order-42\"}'", "sh"),
        ),
        form.part("PATHS", form.listed(shown)),
        _see(form, "jobd(8), jobd-ctl(1)"),
    )  # fmt: skip


def _see(form: Form, pages: str) -> str:
    return form.part("SEE ALSO", form.references(pages))


def _option(action: argparse.Action) -> str:
    value = f" {action.metavar}" if action.metavar else ""
    return ", ".join(action.option_strings) + value


def _names(option: click.Option) -> str:
    value = "" if option.is_flag else f" {option.metavar or option.type.name.upper()}"
    return ", ".join([*option.opts, *option.secondary_opts]) + value


def _verb(form: Form, name: str) -> str:
    context = click.Context(group, info_name="jobd-ctl")
    command = group.get_command(context, name)  # type: ignore[attr-defined]
    return "\n".join(_described(form, command, click.Context(command, parent=context, info_name=name)))


def _described(form: Form, command: click.Command, context: click.Context) -> Iterator[str]:
    usage = " ".join(command.collect_usage_pieces(context))
    options = [one for one in command.params if isinstance(one, click.Option) and not one.hidden and one.help]
    own = [one for one in options if one.name not in ("wants_json", "is_quiet", "json")]
    path = context.command_path.removeprefix("jobd-ctl ")
    help_ = re.split(r"\n\s*\n", command.help or "")
    told = [form.paragraph(re.sub(r"\s+", " ", text.replace("\b", "")).strip()) for text in help_]
    if own:
        told.append(form.listed((_names(one), one.help or "") for one in own))
    yield form.chapter(f"{path} {usage}".strip(), *told)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from _described(form, inner, click.Context(inner, parent=context, info_name=name))


def _keys(schema: dict[str, Any], model: str) -> Iterator[Item]:
    for key, value in schema["$defs"][model]["properties"].items():
        words = _words(value)
        allowed = f" One of {', '.join(map(str, words))}." if words else ""
        yield key, value.get("description", "") + allowed + _default(value)


def _words(value: dict[str, Any]) -> list[Any]:
    found = value.get("enum") or [word for one in value.get("anyOf", []) for word in one.get("enum", [])]
    return [word for word in found if word is not None]


def _default(value: dict[str, Any]) -> str:
    default = value.get("default")
    if default is None or default == "" or isinstance(default, dict):
        return ""
    return f" Default: {_shown(default, value.get('description', ''))}."


def _shown(default: Any, description: str) -> str:
    """A default as one would write it."""
    if isinstance(default, bool):
        return str(default).lower()
    if description.startswith("As 0o"):
        return f"0o{default:03o}"
    if isinstance(default, float):
        return show_seconds(default) if "A duration" in description else f"{default:g}"
    return str(default)


def _nested(schema: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Keys of a job that hold keys of their own, with the name of their model."""
    for key, value in schema["$defs"]["Job"]["properties"].items():
        for one in (value, *value.get("anyOf", [])):
            if "$ref" in one:
                yield key, one["$ref"].rpartition("/")[2]


def _query(query: tuple[str, ...]) -> str:
    return f"?{'&'.join(f'{key}=' for key in query)}" if query else ""
