"""The forkserver: forks workers on request, and after a worker's end sees to it that nothing of its attempts lives.

A program of its own with next to no imports, no thread and no database: whatever it holds is in every worker. When the
supervisor is gone it hires no more, stays until its workers have ended, and ends.
"""

from __future__ import annotations

import fcntl
import gc
import json
import os
import select
import signal
import socket
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import replace

from jobd.core.model import ProcessIdentity
from jobd.work import background, cgroup, groups, identity, tree, worker
from jobd.work.standing import close_others, default_signals
from jobd.work.wire import Gone, Hire, Hired, Message, NotHired, Ready, from_bytes, to_bytes

_LARGEST = 65536
_SETTINGS_LARGEST = 1024 * 1024
_SWEEP_SECONDS = 5.0
_PAUSE_SECONDS = 0.005


def main() -> None:
    """Run with the supervisor as standard input, or at the socket that the last argument names.

    It first says what `hiring` was started with: a JSON object.
    """
    sock = _supervisor(*sys.argv[2:])
    told = json.loads(sock.recv(_SETTINGS_LARGEST))
    os.environ.clear()
    os.environ["LANG"] = "C.UTF-8"
    tree.set_title("jobd: forkserver")
    tree.become_subreaper()
    default_signals()
    close_others(sock.fileno())
    _be_an_ordinary_victim()
    place = worker.Place(told["runtime_dir"], told["output_dir"], tuple(told["python_path"]))
    group = _take_delegation() if told["delegated"] else None
    gc.collect()
    gc.freeze()
    Forkserver(sock, place, group).run()


def _supervisor(path: str | None = None) -> socket.socket:
    """The socket that we were started with, moved to where nobody inherits it; or one connected to who waits there."""
    if path is not None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.connect(path)
        return sock
    sock = socket.socket(fileno=fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, 3))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return sock


class Forkserver:
    def __init__(self, sock: socket.socket, place: worker.Place, group: str | None) -> None:
        self._socket, self._place, self._group = sock, place, group
        self._workers: dict[int, int] = {}
        """Number by pid."""
        self._dead: dict[int, int] = {}
        """Exit status by pid, of workers that are not swept after yet."""
        self._is_orphaned = False
        self._wake, self._tell = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def run(self) -> None:
        self._listen()
        self._say(Ready(os.getpid(), "cgroup" if self._group else "process group and subreaper"))
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        poll.register(self._socket, select.POLLIN)
        while self._workers or not self._is_orphaned:
            for fd, _ in poll.poll():
                if fd == self._wake:
                    self._bury()
                elif not self._serve():
                    poll.unregister(self._socket)

    def _listen(self) -> None:
        """Signals wake; those that ask a program to end are for the supervisor to hear, which then lets go of us."""
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(number, lambda _number, _frame: None)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        signal.set_wakeup_fd(self._tell, warn_on_full_buffer=False)

    def _serve(self) -> bool:
        """Deal with one request; False once the supervisor is gone."""
        try:
            data, fds, _, _ = socket.recv_fds(self._socket, _LARGEST, 2, socket.MSG_CMSG_CLOEXEC)
        except OSError:
            data, fds = b"", []
        if not data:
            self._is_orphaned = True
            return False
        for fd in fds:
            # Python 3.11 hands received descriptors over inheritable, whatever the kernel was told.
            os.set_inheritable(fd, False)
        match from_bytes(data):
            case Hire(number, settings):
                place = replace(self._place, settings=settings)
                self._hire(number, place, socket.socket(fileno=fds[0]), fds[1])
            case other:
                raise ValueError(f"the forkserver cannot do {type(other).__name__}")
        return True

    def _hire(self, number: int, place: worker.Place, sock: socket.socket, tally: int) -> None:
        assert len(os.listdir("/proc/self/task")) == 1, "the forkserver must have no thread when it forks"
        try:
            group = self._make_group(number)
            pid = os.fork()
        except OSError as problem:
            self._say(NotHired(number, f"no worker could be forked: {problem.strerror}"))
            sock.close()
            os.close(tally)
            return
        if pid == 0:
            self._become_worker(number, replace(place, group=group), sock, tally)
        sock.close()
        os.close(tally)
        self._workers[pid] = number
        worker_identity = identity.of(pid)
        assert worker_identity is not None
        self._say(Hired(number, worker_identity))

    def _make_group(self, number: int) -> str | None:
        if self._group is None:
            return None
        group = cgroup.make(f"{self._group}/worker-{number}")
        cgroup.make(f"{group}/self")
        groups.hand_down(group)
        return group

    def _become_worker(self, number: int, place: worker.Place, sock: socket.socket, tally: int) -> None:
        """In the child: work, and never return."""
        status = 70
        try:
            default_signals()
            for ignored in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                # A handler and not SIG_IGN, which the jobs would inherit.
                signal.signal(ignored, lambda _number, _frame: None)
            signal.signal(signal.SIGPIPE, signal.SIG_IGN)
            for fd in (self._socket.fileno(), self._wake, self._tell):
                os.close(fd)
            worker.main(number, sock, tally, place)
            status = 0
        except BaseException:
            traceback.print_exc(file=sys.__stderr__)
        finally:
            os._exit(status)

    def _bury(self) -> None:
        """Reap the dead, and after each dead worker end what is left of its attempts before telling anybody."""
        with suppress(BlockingIOError):
            while os.read(self._wake, 512):
                pass
        self._reap()
        while self._dead:
            pid, status = self._dead.popitem()
            left = self._sweep(self._workers[pid])
            self._say(Gone(self._workers.pop(pid), pid, status, tuple(left)))

    def _reap(self) -> None:
        for pid, status, _ in tree.reap():
            if pid in self._workers:
                self._dead[pid] = os.waitstatus_to_exitcode(status)

    def _sweep(self, number: int) -> list[int]:
        """Kill every orphan below this process, except what was noted as allowed to live; what is left after 5 s."""
        deadline = time.monotonic() + _SWEEP_SECONDS
        allowed = background.read(self._place.runtime_dir)
        self._kill_groups(number, allowed)
        while orphans := self._orphans(allowed):
            tree.cut_down(lambda: self._orphans(allowed))
            if time.monotonic() > deadline:
                break
            time.sleep(_PAUSE_SECONDS)
            self._reap()
        self._remove_groups(number)
        return [process.pid for process in orphans]

    def _orphans(self, allowed: list[background.Note]) -> list[ProcessIdentity]:
        found = tree.descendants(os.getpid(), without=set(self._workers) - set(self._dead))
        return [process for process in found if not any(note.covers(process.pid) for note in allowed)]

    def _kill_groups(self, number: int, allowed: list[background.Note]) -> None:
        for leaf in self._attempt_groups(number):
            if not any(note.covers(pid) for pid in cgroup.members(leaf) for note in allowed):
                cgroup.kill(leaf)

    def _remove_groups(self, number: int) -> None:
        for leaf in self._attempt_groups(number):
            cgroup.remove(leaf)
        if self._group is not None:
            cgroup.remove(f"{self._group}/worker-{number}/self")
            cgroup.remove(f"{self._group}/worker-{number}")

    def _attempt_groups(self, number: int) -> list[str]:
        if self._group is None:
            return []
        group = f"{self._group}/worker-{number}"
        try:
            return [f"{group}/{name}" for name in os.listdir(group) if name.startswith("run-")]
        except FileNotFoundError:
            return []

    def _say(self, message: Message) -> None:
        # With the supervisor gone nobody needs to hear it; the next one finds out by itself.
        with suppress(OSError):
            self._socket.send(to_bytes(message))


def _be_an_ordinary_victim() -> None:
    """Give up the daemon's protection from the OOM killer: jobs would inherit it."""
    with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("0")


def _take_delegation() -> str | None:
    """Move out of the way into a leaf, so that the delegated cgroup can be divided; None where it cannot."""
    path = cgroup.own_path()
    if path is None:
        return None
    try:
        cgroup.enter(cgroup.make(f"{path}/forkserver"))
        groups.hand_down(path)
    except OSError as problem:
        sys.stderr.write(f"jobd: the cgroup {path} cannot be divided ({problem}); attempts are reached by descent\n")
        return None
    return path
