"""jobd-ctl: its verbs and their families, the options they share, and what an error means for the exit code.

A verb's module is imported when the verb is used; the list below is all that `jobd-ctl --help` reads.
"""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import click

from jobd.cli.exits import Exit
from jobd.cli.session import Session
from jobd.cli.terminal import complain
from jobd.client import Unreachable, default_socket
from jobd.core.errors import Invalid, JobdError, NotFound, NotPermitted

# verb: (module under jobd.cli.verbs, attribute, what it does)
VERBS = {
    "status": ("status", "status", "The daemon and every job at a glance."),
    "jobs": ("jobs", "jobs", "List the defined jobs."),
    "show": ("show", "show", "Everything about one job or one run."),
    "cat": ("show", "cat", "The effective definition of a job, with where each value comes from."),
    "next": ("upcoming", "upcoming", "The coming slots of a job, of all jobs, or of a cron expression."),
    "why": ("why", "why", "The reason a job did not run, or a run has not yet."),
    "audit": ("audit", "audit", "Who changed what, and whether the trail of that is whole."),
    "slots": ("slots", "slots", "What became of every due slot: started, skipped, missed, and why."),
    "simulate": ("simulate", "simulate", "Which coming runs would overlap, wait or be skipped."),
    "run": ("submit", "run", "Submit a run of a job."),
    "submit": ("submit", "submit", "Submit a command of your own, or a batch of runs."),
    "runs": ("runs", "runs", "List runs, newest first."),
    "attempts": ("runs", "attempts", "The attempts of a run."),
    "logs": ("logs", "logs", "The output of a run, or of a job's latest run."),
    "wait": ("wait", "wait", "Wait until runs are over; exits with the job's own code."),
    "cancel": ("act", "cancel", "End runs: at once if they wait, by ending their processes if they run."),
    "kill": ("act", "kill", "Send a signal to the processes of a running run."),
    "retry": ("act", "retry", "Queue failed or cancelled runs again."),
    "pause": ("hold", "pause", "Let nothing of jobs, queues or everything start, until resumed or until a time."),
    "resume": ("hold", "resume", "End a pause; closes the circuit of a job."),
    "skip-next": ("hold", "skip_next", "Skip the next slot of a job."),
    "dead": ("dead", "dead", "Dead letters: list, show, retry, drop, stats."),
    "events": ("events", "events", "What happened lately, and with -f what happens."),
    "queues": ("queues", "queues", "The queues, their limits and how full they are."),
    "queue": ("queues", "queue", "Change the limits of a queue while jobd runs: queue set."),
    "notify": ("notify", "notify", "The channels of notifications: notify list, notify test."),
    "backup": ("operations", "backup", "Write a copy of the database, while jobd works on."),
    "restore": ("operations", "restore", "Put a backup in the place of the database, while jobd is stopped."),
    "drain": ("operations", "drain", "Start nothing more, wait for what runs, and end jobd."),
    "top": ("top", "top", "What goes on, live: workers, queues, runs under way, failures."),
    "stats": ("stats", "stats", "How the runs of the last hours went, by job or by queue."),
    "doctor": ("doctor", "doctor", "What is degraded on this host, and how to mend it."),
    "prune": ("prune", "prune", "Forget now what the retention of jobd.yaml says."),
    "reload": ("reload", "reload", "Read settings and definitions again; says what changed."),
    "check": ("check", "check", "Validate definitions without a daemon."),
    "schema": ("check", "schema", "The JSON Schema of definitions, for editors."),
    "import": (
        "takeover",
        "takeover",
        "Take over from cron or systemd timers: definitions, and what would fire otherwise.",
    ),
    "export": ("export", "export", "A job as systemd units: the way back."),
    "health": ("health", "health", "Settings, queues and their last 24 hours."),
    "version": ("about", "version", "The versions of jobd-ctl and of the daemon."),
    "completion": ("about", "completion", "Shell code that completes jobd-ctl."),
}

CODES: tuple[tuple[type[JobdError], Exit], ...] = (
    (Unreachable, Exit.UNREACHABLE),
    (NotFound, Exit.NOT_FOUND),
    (NotPermitted, Exit.NOT_PERMITTED),
    (Invalid, Exit.USAGE),
)


class Verbs(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        if cmd_name not in VERBS:
            return None
        from importlib import import_module

        module, attribute, _ = VERBS[cmd_name]
        found = getattr(import_module(f"jobd.cli.verbs.{module}"), attribute)
        assert isinstance(found, click.Command)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - as above
        with formatter.section("Verbs"):
            formatter.write_dl([(verb, text) for verb, (_, _, text) in VERBS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            from jobd.core.names import closest

            meant = closest(args[0], VERBS)
            hint = f" (did you mean {meant}?)" if meant else ""
            raise click.UsageError(f"there is no verb {args[0]!r}{hint}", ctx)
        return super().resolve_command(ctx, args)


@click.command(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 ok, 1 failed or degraded, 2 usage, 3 daemon not reachable, 4 not found, 5 not permitted, "
    "6 invalid definitions, 10 duplicate kept.",
)
@click.option("--socket", metavar="PATH", envvar="JOBD_SOCKET", help="The daemon's control socket [env: JOBD_SOCKET].")
@click.option("--json", "wants_json", is_flag=True, help="Print JSON of a stable shape.")
@click.option("-q", "--quiet", "is_quiet", is_flag=True, help="Print no remarks, only data and errors.")
@click.option("--no-color", is_flag=True, help="No colours [env: NO_COLOR].")
@click.pass_context
def group(ctx: click.Context, socket: str | None, wants_json: bool, is_quiet: bool, no_color: bool) -> None:
    """Talk to jobd, the job scheduler and queue of this host."""
    ctx.obj = Session(socket or default_socket(), wants_json, is_quiet, wants_color=not no_color)


def main() -> NoReturn:
    """The `jobd-ctl` program."""
    sys.exit(outcome(sys.argv[1:]))


def outcome(args: list[str]) -> int:
    """Run one command line and say how it went: an exit code of INTERFACES.md, or that of the job waited for."""
    try:
        code: Any = group.main(args, prog_name="jobd-ctl", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return Exit.USAGE
    except (click.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        _leave_stdout()
        return 141
    except JobdError as error:
        _explain(error)
        return code_of(error)
    return int(code or 0)


def code_of(error: JobdError) -> Exit:
    """The exit code that a refusal means."""
    return next((code for kind, code in CODES if isinstance(error, kind)), Exit.FAILED)


def _explain(error: JobdError) -> None:
    complain(str(error))
    if isinstance(error, Unreachable):
        complain("  systemctl status jobd tells how it is; make run starts one from a checkout; --socket names another")
    for path, message in error.errors if isinstance(error, Invalid) else []:
        complain(f"  {path or 'request'}: {message}")


def _leave_stdout() -> None:
    """Whoever read stdout is gone; what is still buffered would only fail again at exit."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
