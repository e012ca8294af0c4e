"""The processes below a process: who they are, and how to signal and end them without ever hitting a stranger.

Jobs are reached by descent: workers and the forkserver are subreapers, so a process that leaves its session or its
parent still hangs below one of them. Signals go through pidfds whose identity was compared after opening.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import resource
import signal
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager

from jobd.core.model import AttemptKey, ProcessIdentity, Seen
from jobd.work import cgroup
from jobd.work.identity import boot_id, of, open_pidfd, stat_fields

_SET_NAME, _SET_CHILD_SUBREAPER = 15, 36
_DEEPEST = 1000
_PAUSE_SECONDS = 0.005
_STOPPING_SECONDS = 0.5
_MOST_SEEN, _LONGEST_COMMAND = 50, 300
_HIDDEN_SIGNALS = (32, 33)
_KERNEL_SIGNALS = 64
_RT_SIGACTION = {"x86_64": 13, "aarch64": 134, "riscv64": 134, "armv7l": 174, "ppc64le": 173, "s390x": 174}
"""The number of rt_sigaction(2) by machine; elsewhere the two signals stay as they are, which harms nothing."""
_libc = ctypes.CDLL(None, use_errno=True)


def become_subreaper() -> None:
    """Make orphans below this process its own children."""
    if _libc.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "this kernel lets no process adopt orphans (PR_SET_CHILD_SUBREAPER)")


def set_title(title: str) -> None:
    """Show `title` in `ps` instead of the command line (cut to what there is room for)."""
    _libc.prctl(_SET_NAME, title.replace(" ", "").encode()[:15], 0, 0, 0)
    fields = stat_fields(os.getpid())
    if fields is None or len(fields) < 47 or int(fields[45]) == 0:
        return
    start, end = int(fields[45]), int(fields[46])
    ctypes.memmove(start, title.encode()[: end - start - 1].ljust(end - start, b"\0"), end - start)


def default_hidden_signals() -> None:
    """Take back that signals 32 and 33 are ignored, which glibc keeps for itself and lets no program set.

    What was started by posix_spawn(3), as by make, inherits them ignored, and would pass that on to every job.
    """
    call = _RT_SIGACTION.get(os.uname().machine)
    if call is not None:
        nothing = bytes(64)  # a kernel sigaction of zeros is SIG_DFL without flags, whatever its layout
        for number in _HIDDEN_SIGNALS:
            _libc.syscall(call, number, nothing, None, _KERNEL_SIGNALS // 8)


def has_children() -> bool:
    """Whether this process has any child, dead or alive; for a subreaper also whether anything lives below it."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def reap() -> Iterator[tuple[int, int, resource.struct_rusage]]:
    """Take the pid, wait status and usage of every child that is dead by now."""
    while True:
        try:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, status, usage


def descendants(root: int, without: Collection[int] = ()) -> list[ProcessIdentity]:
    """Every living process below `root`, without the processes in `without` and what is below those."""
    below: dict[int, list[tuple[int, int, bool]]] = {}
    for pid, fields in _processes():
        below.setdefault(int(fields[1]), []).append((pid, int(fields[19]), fields[0] in (b"Z", b"X")))
    found, waiting = [], [root]
    while waiting:
        for pid, ticks, is_dead in below.get(waiting.pop(), ()):
            if pid in without:
                continue
            waiting.append(pid)
            if not is_dead:
                found.append(ProcessIdentity(boot_id(), pid, ticks))
    return found


def descends(pid: int, root: int) -> bool:
    """Whether a process is somewhere below `root` now, dead ones that nobody waited for included."""
    for _ in range(_DEEPEST):
        fields = stat_fields(pid)
        if fields is None:
            return False
        pid = int(fields[1])
        if pid == root:
            return True
        if pid <= 1:
            return False
    return False


def identified(pids: Iterable[int]) -> list[ProcessIdentity]:
    """Those of these processes that live."""
    fields = ((pid, stat_fields(pid)) for pid in pids)
    return [
        ProcessIdentity(boot_id(), pid, int(stat[19])) for pid, stat in fields if stat and stat[0] not in (b"Z", b"X")
    ]


def all_pids() -> list[int]:
    """Every process of this host that is not dead."""
    return [pid for pid, fields in _processes() if fields[0] not in (b"Z", b"X")]


def belongs_to(pid: int, runtime_dir: str, key: AttemptKey) -> bool:
    """Whether the process carries the attempt in the environment it was started with.

    The runtime directory says of which jobd: another one on this host has runs of the same numbers.
    """
    marks = {
        f"JOBD_RUN_ID={key.run}".encode(),
        f"JOBD_ATTEMPT={key.attempt}".encode(),
        b"JOBD_RUNTIME_DIR=" + os.fsencode(runtime_dir),
    }
    return marks <= _environment(pid)


def send(process: ProcessIdentity, *signals: int) -> bool:
    """Signal exactly this process; False if it is gone or may not be signalled."""
    pidfd = open_pidfd(process)
    if pidfd is None:
        return False
    try:
        for number in signals:
            signal.pidfd_send_signal(pidfd, number)
    except (ProcessLookupError, PermissionError):
        return False
    finally:
        os.close(pidfd)
    return True


def cut_down(find: Callable[[], Iterable[ProcessIdentity]]) -> set[ProcessIdentity]:
    """SIGKILL whatever `find` finds; what was reached.

    Everything is stopped first, until nothing new turns up: what forks faster than one by one can be killed would go on
    for ever.
    """
    found: set[ProcessIdentity] = set()
    with ahead_of_the_crowd():
        deadline = time.monotonic() + _STOPPING_SECONDS
        while (new := set(find()) - found) and time.monotonic() < deadline:
            found.update(process for process in new if send(process, signal.SIGSTOP))
        return {process for process in found | new if send(process, signal.SIGKILL)}


@contextmanager
def ahead_of_the_crowd() -> Iterator[None]:
    """A hundred busy processes leave one among them no time to end them: go before them, where that may be had."""
    usual = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    except OSError:
        # Not root, or root that is kept from real time: as fast as it goes then.
        yield
        return
    try:
        yield
    finally:
        os.sched_setscheduler(0, *usual)


def end_children(within_seconds: float) -> int:
    """Kill everything below this process until nothing is left or the time is over; how many were killed."""
    deadline = time.monotonic() + within_seconds
    killed: set[ProcessIdentity] = set()
    while has_children() and time.monotonic() < deadline:
        killed |= cut_down(lambda: descendants(os.getpid()))
        time.sleep(_PAUSE_SECONDS)
        for _ in reap():
            pass
    return len(killed)


def describe(process: ProcessIdentity) -> str:
    """The process as an operator would look for it: pid, name, state and what it waits for in the kernel."""
    fields = stat_fields(process.pid)
    state = fields[0].decode() if fields else "gone"
    return f"{process.pid} {_text(process.pid, 'comm')} ({state} {_text(process.pid, 'wchan')})"


def snapshot(processes: Iterable[ProcessIdentity]) -> tuple[Seen, ...]:
    """What /proc tells of these processes now, of the first fifty of them."""
    with ahead_of_the_crowd():
        seen = map(_seen, itertools.islice(processes, _MOST_SEEN))
        return tuple(one for one in seen if one is not None)


def _seen(process: ProcessIdentity) -> Seen | None:
    fields = stat_fields(process.pid)
    if fields is None or int(fields[19]) != process.start_ticks:
        return None
    command = _text(process.pid, "cmdline").rstrip("\0").replace("\0", " ")
    if len(command) > _LONGEST_COMMAND:
        command = f"{command[:_LONGEST_COMMAND]}…"
    name, wchan = _text(process.pid, "comm"), _text(process.pid, "wchan")
    return Seen(process.pid, int(fields[1]), name, fields[0].decode(), "-" if wchan == "0" else wchan, command)


def _text(pid: int, name: str) -> str:
    try:
        with open(f"/proc/{pid}/{name}", encoding="utf-8", errors="replace") as file:
            return file.read().strip() or "-"
    except OSError:
        return "-"


def end_attempt(
    runtime_dir: str, key: AttemptKey, child: ProcessIdentity | None, within_seconds: float = 5.0
) -> list[int]:
    """Kill every process of an attempt whose worker is gone, and wait; the pids of those that would not die.

    They are known by their cgroup, by descent from the child, by its session, and by the attempt in their environment:
    all that is left to go by once nobody has kept the tree together.
    """
    deadline = time.monotonic() + within_seconds
    cgroup.kill_unit(runtime_dir, key)
    if child is not None:
        cgroup.kill_attempt_of(child.pid, key)
    while found := _of_attempt(runtime_dir, key, child):
        cut_down(lambda: _of_attempt(runtime_dir, key, child))
        if time.monotonic() > deadline:
            return [process.pid for process in found]
        time.sleep(_PAUSE_SECONDS)
    return []


def _of_attempt(runtime_dir: str, key: AttemptKey, child: ProcessIdentity | None) -> list[ProcessIdentity]:
    found: dict[int, ProcessIdentity] = {}
    session = child.pid if child is not None and child.boot_id == boot_id() else None
    for pid, fields in _processes():
        if fields[0] in (b"Z", b"X") or pid == os.getpid():
            continue
        if (session is not None and int(fields[3]) == session) or belongs_to(pid, runtime_dir, key):
            found[pid] = ProcessIdentity(boot_id(), pid, int(fields[19]))
    for pid in list(found):
        found.update((process.pid, process) for process in descendants(pid))
    if session is not None and child is not None and of(session) not in (None, child):
        # The pid belongs to somebody else by now, and so does the session of that number.
        return [process for process in found.values() if belongs_to(process.pid, runtime_dir, key)]
    return list(found.values())


def _environment(pid: int) -> set[bytes]:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return set(file.read().split(b"\0"))
    except OSError:
        return set()


def _processes() -> Iterator[tuple[int, list[bytes]]]:
    for name in os.listdir("/proc"):
        if name.isdigit() and (fields := stat_fields(int(name))):
            yield int(name), fields
