"""What each page takes for granted of the reader's host."""

from __future__ import annotations

from tests.docs.stage import Stage, next_run_is, ran
from tests.e2e.daemon import Host, until

TIMER = "[Timer]\nOnCalendar=*-*-* 04:00\n[Install]\nWantedBy=timers.target\n"
SERVICE = "[Service]\nExecStart=/bin/true\n"
TRUE = "exec true"


def dead_letter_42(host: Host) -> None:
    next_run_is(host, 42)
    assert ran(host, "bounces", queue="email", max_attempts=1) == 42


def release_42(host: Host) -> None:
    """`release` is under way, with what it needed done; two runs before it have ended."""
    next_run_is(host, 40)
    ran(host, "build")
    ran(host, "test")
    with host.client() as client:
        assert client.submit("release") == 42
        until(lambda: client.run(42)["state"] == "running", 60.0, "release runs")


STAGES = {
    "docs/cookbook.md": Stage(
        programs={"pg_dump": TRUE, "pg_restore": TRUE, "mv": TRUE, "sales-report": "echo sold"}
        | {"train-model": TRUE, "embed-texts": TRUE},
        files={"addresses.jsonl": '{"job": "geocode", "payload": {"address": "Calle Mayor 1"}}\n'},
    ),
    "README.md": Stage(
        jobs="""
            jobs:
              bounces: {shell: exit 1}
              build: {shell: 'true'}
              test: {shell: 'true'}
              announce: {shell: 'true'}
              page-oncall: {shell: 'true'}
              clean-up: {shell: 'true'}
        """,
        programs={"pg_dump": "echo dumped", "make": TRUE},
        files={"report": "#!/bin/sh\n"},
        python={"shop/mail.py": "def send(payload):\n    return payload['to']\n"},
        before=dead_letter_42,
    ),
    "docs/coming-from-cron.md": Stage(
        jobs="jobs: {nightly-backup: {command: 'true', schedule: 30 2 * * *}}",
        files={"old.txt": "30 2 * * * root true\n", "units/x.timer": TIMER, "units/x.service": SERVICE},
    ),
    "docs/notifications.md": Stage(programs={"pg_dump": TRUE}),
    "docs/clients.md": Stage(
        jobs="jobs: {mail: {command: 'echo sent'}}",
        files={"submissions": '{"job": "mail"}\n{"job": "mail"}\n'},
        before=lambda host: next_run_is(host, 42),
    ),
    "docs/reference/jobd-api.md": Stage(jobs="jobs: {report: {command: 'true'}}"),
    "docs/workflows.md": Stage(
        jobs="""
            jobs:
              build: {shell: 'true'}
              test: {shell: 'true'}
              announce: {shell: 'true'}
              page-oncall: {shell: 'true'}
              clean-up: {shell: 'true'}
              smoke: {shell: 'true'}
              warm-cache: {shell: 'true'}
              report: {shell: 'true'}
        """,
        programs={"make": "exec sleep 600"},
        before=release_42,
    ),
}
