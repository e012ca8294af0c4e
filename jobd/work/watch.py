"""Watches one child process to its end: output, timeout, stop, and every process it leaves behind.

The attempt is over when its leader has exited and nothing below the worker lives any more, not when its pipes are
closed. The worker is a subreaper that does one thing at a time: whatever hangs below it belongs to the attempt. Where
the attempt is a service of systemd's, it is whatever is in the cgroup of that.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field

from jobd.core.model import ProcessIdentity, Seen
from jobd.core.states import Outcome
from jobd.work import cgroup, tree
from jobd.work.alarm import Alarm
from jobd.work.ear import Ear
from jobd.work.launch import Child
from jobd.work.line import GATHER_SECONDS, RETRY_SECONDS, Line
from jobd.work.orders import Order
from jobd.work.output import Capture
from jobd.work.voice import Voice

_PIECE = 256 * 1024
_LEFTOVER_GRACE_SECONDS = 1.0
_DRAIN_SECONDS = 1.0
_STUCK_SECONDS = 5.0
_BLOCK = 512
"""In which getrusage(2) counts what went from and to disks."""
_REPEAT_SECONDS = 0.01


@dataclass(slots=True)
class Ended:
    """What was seen of a child from its start to the death of its last descendant."""

    status: int = 0
    """As wait4 gives it."""
    forced: Outcome | None = None
    """The outcome jobd brought about: timeout, cancelled, interrupted, or killed for its output."""
    error: str | None = None
    user_seconds: float = 0.0
    system_seconds: float = 0.0
    peak_memory_bytes: int = 0
    io_read_bytes: int = 0
    io_written_bytes: int = 0
    context_switches: int = 0
    leftovers: int = 0
    is_stuck: bool = False
    """Something of it could not be ended."""
    snapshot: tuple[Seen, ...] = ()
    """Its processes when SIGKILL was due."""
    background: list[ProcessIdentity] = field(default_factory=list)
    """What was allowed to live on."""


class Watch:
    def __init__(
        self,
        child: Child,
        order: Order,
        captures: tuple[Capture, Capture],
        alarm: Alarm,
        line: Line,
        ear: Ear | None,
        *,
        is_elsewhere: bool = False,
    ) -> None:
        """`is_elsewhere`: the child only waits for the job, whose processes are those of its cgroup."""
        self._child, self._order, self._alarm, self._line = child, order, alarm, line
        self._streams = {child.stdout: captures[0], child.stderr: captures[1]}
        self._captures = captures
        self._is_elsewhere = is_elsewhere
        self._poll = select.poll()
        self._leaf: str | None = None
        self._ended = Ended()
        now = time.monotonic()
        self._voice = Voice(order, line, ear, now)
        self._announce_at: float | None = now + GATHER_SECONDS
        self._kill_at: float | None = None
        self._killing_since: float | None = None
        self._leader_lives = True
        self._tree_lives = True
        self._drain_until: float | None = None

    def run(self, leaf: str | None = None) -> Ended:
        """Stay until the attempt is over. `leaf` is its cgroup, where it has one."""
        self._leaf = leaf
        for fd in (*self._streams, self._child.pidfd, self._alarm.fd):
            self._poll.register(fd, select.POLLIN)
        if (listened := self._voice.fileno()) >= 0:
            self._poll.register(listened, select.POLLIN)
        try:
            while not self._is_over():
                self._alarm.arm(self._next_instant())
                self._wait()
                self._advance(time.monotonic())
        finally:
            self._alarm.arm(None)
            for fd in (*self._streams, self._child.pidfd):
                os.close(fd)
        return self._ended

    def _wait(self) -> None:
        line = self._line
        if line.is_orphaned:
            ready = self._poll.poll(RETRY_SECONDS * 1000)
            line.take_in()
        else:
            listened = line.channel.fileno()
            self._poll.register(listened, select.POLLIN | (select.POLLOUT if line.channel.has_unsent else 0))
            ready = self._poll.poll()
            self._poll.unregister(listened)
            if any(fd == listened for fd, _ in ready):
                line.take_in()
                line.flush()
        for fd, _ in ready:
            if fd in self._streams:
                self._read(fd)
            elif fd == self._child.pidfd and self._leader_lives:
                self._poll.unregister(fd)
                self._reap_leader()
            elif fd == self._alarm.fd:
                self._alarm.clear()
            elif fd == self._voice.fileno():
                self._hear(time.monotonic())

    def _hear(self, now: float) -> None:
        if self._voice.deaf_until is not None:
            return
        self._voice.hear(now)
        if self._voice.deaf_until is not None:
            self._poll.unregister(self._voice)

    def _next_instant(self) -> float | None:
        awaited = [self._kill_at, self._drain_until, self._announce_at, self._voice.deaf_until, self._line.say_at]
        if self._leader_lives and self._ended.forced is None:
            awaited.append(self._voice.next_at)
        if not self._leader_lives and self._tree_lives:
            awaited.append(time.monotonic() + _REPEAT_SECONDS)
        return min((at for at in awaited if at is not None), default=None)

    def _is_over(self) -> bool:
        if self._leader_lives or self._tree_lives:
            return False
        return not self._streams or (self._drain_until is not None and time.monotonic() >= self._drain_until)

    def _advance(self, now: float) -> None:
        if self._announce_at is not None and now >= self._announce_at:
            self._announce_at = None
            self._line.flush()
        if self._line.say_at is not None and now >= self._line.say_at:
            self._line.flush()
        if self._voice.deaf_until is not None and now >= self._voice.deaf_until:
            self._voice.deaf_until = None
            self._poll.register(self._voice, select.POLLIN)
        if self._leader_lives and self._ended.forced is None:
            self._judge(now)
        if self._kill_at is not None and now >= self._kill_at:
            self._kill(now)
        if not self._leader_lives and self._tree_lives:
            self._clear_up(now)

    def _judge(self, now: float) -> None:
        asked = self._line.stop_asked()
        if asked is not None:
            self._end(asked, f"{asked.value} on request")
        elif (fault := self._voice.fault(now)) is not None:
            self._end(Outcome.TIMEOUT, fault)
        elif self._order.output_on_limit == "kill" and any(capture.was_cut for capture in self._captures):
            self._end(Outcome.KILLED, f"wrote more than the {self._order.output_max_bytes} bytes its output may have")

    def _end(self, outcome: Outcome, error: str) -> None:
        self._ended.forced, self._ended.error = outcome, error
        self._kill_at = time.monotonic() + self._order.kill_after_seconds
        self._signal_all(signal.SIGTERM, signal.SIGCONT)

    def _living(self) -> list[ProcessIdentity]:
        """The processes of the attempt."""
        if self._is_elsewhere:
            return tree.identified(cgroup.everybody(self._leaf)) if self._leaf is not None else []
        return tree.descendants(os.getpid())

    def _signal_all(self, *signals: int) -> None:
        """Signal the leader's group as one, and whatever has left that group one by one."""
        group = self._child.pid if self._leader_lives and not self._is_elsewhere else None
        if group is not None:
            for number in signals:
                # Until it is waited for, the leader keeps the number of its group from being given to anybody else.
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(group, number)
        with tree.ahead_of_the_crowd():
            for process in self._living():
                if group is None or _group_of(process) != group:
                    tree.send(process, *signals)

    def _kill(self, now: float) -> None:
        """SIGKILL everything, again and again until nothing is left: a tree may grow while it is being cut."""
        if self._killing_since is None:
            self._killing_since = now
            self._note_survivors()
        if self._leaf is not None:
            cgroup.kill(self._leaf)
        tree.cut_down(self._living)
        self._kill_at = now + _REPEAT_SECONDS
        if now - self._killing_since > _STUCK_SECONDS:
            self._give_up()

    def _note_survivors(self) -> None:
        alive = self._living()
        self._ended.snapshot = tree.snapshot(alive)
        if self._ended.forced is not None and alive:
            shown = ", ".join(tree.describe(process) for process in alive[:5])
            self._ended.error = (
                f"{self._ended.error}; killed after another {self._order.kill_after_seconds:g} s: {shown}"
            )

    def _give_up(self) -> None:
        """Nothing more can be done about what is stuck in the kernel or may not be signalled."""
        shown = ", ".join(tree.describe(process) for process in self._living())
        self._ended.error = f"{self._ended.error or ''}; could not be ended: {shown}".lstrip("; ")
        self._ended.is_stuck = True
        self._leader_lives = self._tree_lives = False
        self._kill_at = None
        self._drain_until = time.monotonic()

    def _reap_leader(self) -> None:
        self._hear(time.monotonic())  # while it can still be told who said it
        _, self._ended.status, usage = os.wait4(self._child.pid, 0)
        self._leader_lives = False
        self._announce_at = None
        self._line.child_is_gone()
        self._count(usage)

    def _count(self, usage: resource.struct_rusage) -> None:
        ended = self._ended
        ended.user_seconds += usage.ru_utime
        ended.system_seconds += usage.ru_stime
        ended.peak_memory_bytes = max(ended.peak_memory_bytes, usage.ru_maxrss * 1024)
        ended.io_read_bytes += usage.ru_inblock * _BLOCK
        ended.io_written_bytes += usage.ru_oublock * _BLOCK
        ended.context_switches += usage.ru_nvcsw + usage.ru_nivcsw

    def _clear_up(self, now: float) -> None:
        """The leader is gone: end what it left, unless that is what the job is meant to do."""
        self._hear(now)
        for _, _, usage in tree.reap():
            self._count(usage)
        if not tree.has_children() and not (self._is_elsewhere and self._living()):
            self._close_tree(now + _DRAIN_SECONDS)
        elif self._order.allow_background and self._ended.forced is None:
            self._ended.background = self._living()
            self._close_tree(now)
        elif self._ended.leftovers == 0:
            self._ended.leftovers = len(self._living())
            if self._kill_at is None:
                self._kill_at = now + _LEFTOVER_GRACE_SECONDS
                self._signal_all(signal.SIGTERM, signal.SIGCONT)

    def _close_tree(self, drain_until: float) -> None:
        self._tree_lives = False
        self._kill_at = None
        self._drain_until = drain_until
        for fd in list(self._streams):
            self._read_rest(fd)

    def _read(self, fd: int) -> None:
        data = _read_some(fd)
        if data:
            self._streams[fd].write(data)
        elif data is not None:
            self._close_stream(fd)

    def _read_rest(self, fd: int) -> None:
        """Take what the pipe holds now, and not what somebody may go on writing to it."""
        for _ in range(16):
            data = _read_some(fd)
            if not data:
                if data is not None:
                    self._close_stream(fd)
                return
            self._streams[fd].write(data)

    def _close_stream(self, fd: int) -> None:
        self._poll.unregister(fd)
        del self._streams[fd]
        os.close(fd)


def _read_some(fd: int) -> bytes | None:
    """Bytes, nothing at the end of the stream, None where there is nothing now."""
    try:
        return os.read(fd, _PIECE)
    except BlockingIOError:
        return None


def _group_of(process: ProcessIdentity) -> int:
    try:
        return os.getpgid(process.pid)
    except ProcessLookupError:
        return -1
