"""A throw-away Debian with a real systemd as its first process, and what a test asks of it."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
DEBIAN_PYTHON = (3, 11)
"""The version that the box's own Python has: compiled parts must have been made for it."""


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


class Failed(AssertionError):
    """A command in the box that was meant to work did not."""


def tool() -> Path | None:
    """The program that boots boxes; None where this machine has none."""
    named = os.environ.get("JOBD_SYSTEMD_BOX")
    path = Path(named) if named else ROOT.parent / "shared" / "tools" / "systemd-box"
    return path if os.access(path, os.X_OK) else None


class Box:
    def __init__(self, program: Path, name: str) -> None:
        self._command = [str(program), "--name", name]

    def up(self, backend: str = "nspawn", boot_seconds: int = 120) -> None:
        """Boot. Raises Failed with what the tool said."""
        done = self._tool("up", "--backend", backend, "--boot-timeout", str(boot_seconds), seconds=580)
        if done.code:
            raise Failed(f"the box does not boot: {done.err[-2000:]}")

    def down(self) -> None:
        self._tool("down", "--force", seconds=60)

    def copy(self, source: Path, target: str) -> None:
        """Put a file or a directory into a directory of the box."""
        done = self._tool("copy", str(source), target, seconds=120)
        if done.code:
            raise Failed(done.err)

    def ask(self, *command: str, seconds: float = 30.0) -> Said:
        """Run a command in the box, however it ends."""
        return self._tool("exec", "--timeout", str(seconds), "--", *command, seconds=seconds + 30)

    def do(self, *command: str, seconds: float = 30.0) -> str:
        """What a command that must work prints."""
        said = self.ask(*command, seconds=seconds)
        if said.code:
            raise Failed(f"{shlex.join(command)} ended with {said.code}: {said.err}{said.out}")
        return said.out.strip()

    def sh(self, script: str, seconds: float = 30.0) -> str:
        return self.do("sh", "-ec", script, seconds=seconds)

    def until(self, condition: str, seconds: float = 20.0) -> None:
        """Wait until a shell condition holds. Raises Failed where it still does not after so many seconds."""
        self.do("sh", "-c", f"until {condition}; do sleep 0.05; done", seconds=seconds)

    def write(self, path: str, text: str) -> None:
        """Have a file appear as a whole."""
        quoted, there = shlex.quote(text), shlex.quote(path)
        self.sh(f"printf %s {quoted} >{there}~; mv {there}~ {there}")

    def _tool(self, *words: str, seconds: float) -> Said:
        done = subprocess.run(
            [*self._command, *words], capture_output=True, timeout=seconds, stdin=subprocess.DEVNULL, check=False
        )
        return Said(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


class Service:
    """jobd as a service in a box."""

    def __init__(self, box: Box) -> None:
        self.box = box

    def shows(self, key: str) -> str:
        """A property of the unit."""
        return self.box.do("systemctl", "show", "--property", key, "--value", "jobd.service")

    @property
    def main_pid(self) -> int:
        return int(self.shows("MainPID"))

    def define(self, name: str, text: str) -> None:
        """Define jobs in a file of their own, and have them in force."""
        self.box.write(f"/etc/jobd/jobs.d/{name}.yaml", text)
        self.box.do("systemctl", "reload", "jobd")

    def ctl(self, *words: str, seconds: float = 30.0) -> Any:
        """What jobd-ctl answers as JSON."""
        return json.loads(self.box.do("jobd-ctl", "--json", *words, seconds=seconds))

    def override(self, name: str, *lines: str) -> None:
        """Change directives of the unit's [Service]; the next start has them."""
        text = "\n".join(["[Service]", *lines, ""])
        self.box.do("mkdir", "-p", "/etc/systemd/system/jobd.service.d")
        self.box.write(f"/etc/systemd/system/jobd.service.d/{name}.conf", text)
        self.box.do("systemctl", "daemon-reload")

    def run(self, job: str) -> int:
        """Submit a run; its id."""
        return int(self.ctl("run", job)["id"])

    def started(self, job: str) -> tuple[int, int]:
        """A run of a job that waits for leave to end (see `waiting`), once jobd has noted its process; id and pid."""
        run = self.run(job)
        self.box.until(f"test -s /root/{job}.pid")
        pid = int(self.box.do("cat", f"/root/{job}.pid"))
        self.box.until(f"jobd-ctl --json attempts {run} | grep -q '\"pid\": {pid},'", seconds=30)
        return run, pid

    def let_end(self, job: str) -> None:
        self.box.do("touch", f"/root/{job}.go")

    def ends(self, run: int, seconds: float = 20.0) -> dict[str, Any]:
        """The run once it is final."""
        self.box.ask("jobd-ctl", "wait", str(run), seconds=seconds)
        found: dict[str, Any] = self.ctl("show", str(run))
        return found

    def output(self, run: int) -> list[str]:
        return self.box.do("jobd-ctl", "logs", str(run)).splitlines()

    def is_started_anew(self, pid: int, seconds: float = 30.0) -> None:
        """Wait until another daemon than this one serves."""
        condition = (
            f'main=$(systemctl show -P MainPID jobd) && test "$main" != {pid} && test "$main" != 0 && '
            "systemctl --quiet is-active jobd"
        )
        self.box.until(condition, seconds)

    def is_clean(self) -> None:
        """Wait until no process of workers and jobs, and no unit of theirs, is left."""
        self.box.until(
            '! systemctl list-units --no-legend --plain "run-*" | grep -q "jobd: workers" && '
            "! pgrep -f '^jobd: (worker|forkserver)' >/dev/null",
            seconds=10,
        )


def waiting(job: str, **more: str) -> str:
    """The definition of a job that says its pid and ends when it is let (see Service.started, Service.let_end)."""
    script = f"echo begun; echo $$ >/root/{job}.pid; until test -e /root/{job}.go; do sleep 0.05; done; echo ended"
    lines = [f"  {job}:", f"    shell: {json.dumps(script)}", *(f"    {key}: {value}" for key, value in more.items())]
    return "\n".join(["jobs:", *lines, ""])
