"""An attempt as a transient service of the host's systemd: `sandbox: strict`.

systemd starts an interpreter (see fresh) inside the service, which says hello by the socket that is its standard input
and is handed its order and streams: nothing of them is in the unit, which everybody may read. What waits for the
service, and says how it ended, is systemd-run, a child of the worker.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from signal import Signals

from jobd.core import hardening
from jobd.core.model import Ending, Limits
from jobd.core.states import Outcome
from jobd.work import cgroup, groups, manager, spawned, standing
from jobd.work.accounts import Refused
from jobd.work.launch import Child, Launch, Pipes, started
from jobd.work.orders import Order
from jobd.work.watch import Ended

_PATIENCE_SECONDS = 60.0
"""For systemd to start a service, and for its interpreter to come up."""
_TO_BECOME_THE_USER = "CAP_SETUID CAP_SETGID CAP_SETPCAP CAP_SYS_RESOURCE CAP_SYS_NICE"
_LEFTOVER_GRACE = "1s"
_ENDED = re.compile(r"code=(\w+)[/,] ?status=(?:(\d+)|(\w+))")
_RESULT = re.compile(r"Finished with result: ([\w-]+)")
_CPU = re.compile(r"CPU time consumed: (.+)")
_LOG_MAX_BYTES = 65536


@dataclass(slots=True)
class Unit:
    """The service of one attempt."""

    name: str
    path: str
    """Of its cgroup."""
    log: int
    """A memory file with what systemd-run says, and the interpreter before it has its own streams."""
    unmet: tuple[str, ...] = ()

    def holds(self, pid: int) -> bool:
        """Whether a process is part of it."""
        path = cgroup.path_of(pid)
        return path is not None and (path == self.path or path.startswith(f"{self.path}/"))

    def said(self) -> str:
        return os.pread(self.log, _LOG_MAX_BYTES, 0).decode(errors="replace")

    def seen(self, ended: Ended) -> Ended:
        """What was seen of the child, which only waited, as what systemd says of the service."""
        text = self.said()
        cpu = _CPU.search(text)
        return replace(
            ended,
            status=_status(text, ended.status),
            user_seconds=(manager.seconds(cpu[1]) or 0.0) if cpu else 0.0,
            system_seconds=0.0,
            peak_memory_bytes=0,
            io_read_bytes=0,
            io_written_bytes=0,
            context_switches=0,
        )

    def judged(self, ending: Ending, limits: Limits) -> Ending:
        """The ending with what only systemd knows: that memory ran out."""
        found = _RESULT.search(self.said())
        if found is None or found[1] != "oom-kill" or ending.outcome not in (Outcome.FAILED, Outcome.KILLED):
            return ending
        return replace(ending, outcome=Outcome.OOM, error=groups.said_of_memory(limits))

    def end(self) -> None:
        cgroup.kill(self.path)

    def close(self) -> None:
        os.close(self.log)


def unit_of(order: Order, runtime_dir: str) -> Unit:
    """The service of an attempt, not started. Raises Refused with why this host cannot have one."""
    path = cgroup.unit_path(runtime_dir, order.key)
    if path is None or not manager.runs_this_host():
        raise Refused(
            "sandbox: strict is a service of systemd, which does not manage this host; say instead what to keep from "
            "the job, as in {no_new_privileges: true, private_tmp: true, read_only_root: true}"
        )
    if os.geteuid() != 0:
        raise Refused(f"sandbox: strict takes a jobd that runs as root, and it runs as uid {os.geteuid()}")
    if shutil.which("systemd-run") is None:
        raise Refused("sandbox: strict takes systemd-run, which is not installed")
    return Unit(cgroup.unit_name(runtime_dir, order.key), path, os.memfd_create("unit", os.MFD_CLOEXEC))


def start(unit: Unit, order: Order, launch: Launch, told: int, answer: int) -> Child:
    """Start the service, and return once it stands in its place. Raises Refused: then nothing of the job has run."""
    main = 0

    def way(_: Launch, pipes: Pipes) -> tuple[int, tuple[str, ...]]:
        nonlocal main
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs:
            waiting = _run(unit, order, launch, theirs)
            theirs.close()
            main = _hello(unit, ours, waiting)
            try:
                unmet = groups.limit(unit.path, order.limits)
            except Refused:
                _give_up(unit, waiting)
                raise
            heard, tell = os.pipe2(os.O_CLOEXEC)
            streams = (pipes.stdin, pipes.stdout, pipes.stderr)
            try:
                socket.send_fds(ours, [b"."], [*streams, told, tell, answer])
            finally:
                os.close(tell)
        words = standing.hear(heard, waiting, _PATIENCE_SECONDS)
        return waiting, (*unmet, *words.unmet)

    child = started(launch, way)
    child.main = main
    return child


def _run(unit: Unit, order: Order, launch: Launch, theirs: socket.socket) -> int:
    """systemd-run, waiting for the service; its pid."""
    command = [
        *("systemd-run", "--pipe", "--wait", "--collect", "--service-type=exec"),
        *(f"--unit={unit.name}", f"--slice={cgroup.SLICE}", f"--description=jobd: run {order.key} of {order.job}"),
        *(word for line in _properties(order, launch) for word in ("-p", line)),
        *("--", *spawned.command("fresh")),
    ]
    child = subprocess.Popen(
        command,
        stdin=theirs.fileno(),
        stdout=unit.log,
        stderr=unit.log,
        # It speaks to whoever reads it here, in the words that are looked for.
        env={"SYSTEMD_LOG_TARGET": "console", "SYSTEMD_LOG_LEVEL": "info", "SYSTEMD_COLORS": "0", "LANG": "C.UTF-8"},
        cwd="/",
        start_new_session=True,
    )
    child.returncode = 0
    return child.pid


def _properties(order: Order, launch: Launch) -> Iterator[str]:
    scratch = launch.stand.enclosure.scratch
    writable = (*order.sandbox.read_write_paths, *((scratch,) if scratch else ()))
    yield from hardening.settings(replace(order.sandbox, read_write_paths=writable), _quoted)
    yield f"CapabilityBoundingSet={_TO_BECOME_THE_USER}"
    # After the end of the job's own process.
    yield f"TimeoutStopSec={_LEFTOVER_GRACE}"
    yield "OOMPolicy=kill"
    yield from _limits(order.limits)
    # Stops go the other way round: when the host goes down, jobd drains before what it runs is ended.
    yield "Before=jobd.service"


def _limits(limits: Limits) -> Iterator[str]:
    """For systemd, which owns the group, to leave there; whether they hold, the worker looks for itself."""
    if limits.memory is not None:
        yield f"MemoryMax={limits.memory}"
        yield "MemorySwapMax=0"
    if limits.cpu is not None:
        yield f"CPUQuota={limits.cpu * 100:.2f}%"
    yield f"TasksMax={limits.tasks if limits.tasks is not None else groups.USUAL_TASKS}"
    if limits.io is not None:
        yield f"IOWeight={limits.io}"


def _quoted(path: str) -> str:
    escaped = path.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _hello(unit: Unit, ours: socket.socket, waiting: int) -> int:
    """The pid of the service's process, as it says itself before any code of the job is there."""
    poll = select.poll()
    poll.register(ours, select.POLLIN)
    poll.poll(_PATIENCE_SECONDS * 1000)
    with suppress(OSError):
        if (data := ours.recv(64, socket.MSG_DONTWAIT)) and unit.holds(int(data)):
            return int(data)
    _give_up(unit, waiting)
    said = [line for line in unit.said().splitlines() if not line.startswith(("Running as", "Service runtime", "CPU"))]
    raise Refused(f"sandbox: strict cannot be had: {said[0] if said else 'the service did not start in time'}")


def _give_up(unit: Unit, waiting: int) -> None:
    """End the service, and wait for what waits for it."""
    unit.end()
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if os.waitpid(waiting, os.WNOHANG)[0]:
            return
        time.sleep(0.01)
    os.kill(waiting, signal.SIGKILL)
    os.waitpid(waiting, 0)


def _status(text: str, otherwise: int) -> int:
    """How the service's process ended, as wait4 would have given it."""
    found = _ENDED.search(text)
    if found is None:
        return otherwise
    code, number, name = found.groups()
    if code == "exited":
        return int(number or 0) << 8
    with suppress(KeyError):
        return int(number) if number else int(Signals[f"SIG{name}"])
    return otherwise
