"""What was imported runs under a living jobd as it ran under cron, and comes out of it again as units."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.e2e.daemon import ROOT, Host, until

CRONTAB = """\
SHELL=/bin/sh
GREETING=hello world
HOME={home}
# speaks
5 4 * * * echo "$GREETING" in $(pwd) \\%; cat; echo "$PATH $SHELL"%line one%line \\% two
6 4 * * * /bin/echo plain words
7 4 * * * (sleep 300 & echo $!)
"""


def ctl(host: Host, *args: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "jobd.cli.ctl", "--socket", host.socket, *args]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


def test_imported_lines_run_as_cron_ran_them(served: Host, tmp_path: Path) -> None:
    (tmp_path / "legacy").write_text(CRONTAB.format(home=tmp_path))
    done = ctl(served, "import", "crontab", str(tmp_path / "legacy"), "--config", str(served.config), "--write")
    assert done.returncode == 0, done.stderr
    with served.client() as client:
        jobs = until(
            lambda: {"cat", "echo", "job"} <= {job["name"] for job in client.request("GET", "/v1/jobs")["items"]}
        )
        assert jobs
        first, second = client.submit("cat"), client.submit("echo")
    assert served.ended(first)["state"] == served.ended(second)["state"] == "succeeded"
    assert served.output(first).decode().splitlines() == [
        f"hello world in {tmp_path} %",
        "line one",
        "line % two",
        "/usr/bin:/bin /bin/sh",
    ]
    assert served.output(second) == b"plain words\n"


def test_what_hung_at_the_moment_of_sigkill_is_kept_with_the_attempt(served: Host) -> None:
    program = served.script("hung", "#!/bin/sh\ntrap '' TERM\nsh -c 'sleep 44.5; :' x password=hunter2\nsleep 44.5\n")
    served.define("hung", f"jobs: {{hung: {{command: [{program}], timeout: 1s, kill_after: 300ms}}}}\n")
    with served.client() as client:
        until(lambda: "hung" in {job["name"] for job in client.jobs()})
        run = client.submit("hung", max_attempts=1)
        assert served.ended(run)["outcome"] == "timeout"
        (attempt,) = client.attempts(run)
    assert any(one["command"] == "sleep 44.5" and one["name"] == "sleep" for one in attempt["snapshot"])
    assert "hunter2" not in json.dumps(attempt)
    for verb in ("show", "attempts"):
        said = ctl(served, verb, str(run)).stdout
        assert "when SIGKILL was due in attempt 1:" in said and "sleep 44.5" in said


def test_a_job_of_the_daemon_is_exported(served: Host) -> None:
    served.define("out", "jobs: {out: {command: [/bin/true], schedule: '*/5 * * * *', timezone: UTC}}\n")
    said = until(lambda: (found := ctl(served, "export", "systemd", "out")).returncode == 0 and found)
    assert "OnCalendar=*-*-* *:00/5:00 UTC" in said.stdout
