"""A worker: executes one order after the other, watches over each to its end, and reports.

It is forked by the forkserver, has no thread, and imports next to nothing. Jobs are separate processes, except Python
callables, which run in the worker itself unless they ask to be isolated or for another user: then in an interpreter of
their own.
"""

from __future__ import annotations

import os
import select
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from jobd.core import parents
from jobd.core.model import AttemptKey, Call, Ending, Finished, Json, Python, Usage
from jobd.core.states import Outcome
from jobd.work import background, cgroup, credentials, fresh, groups, strict, tree
from jobd.work.accounts import Account, Refused, account_of
from jobd.work.alarm import Alarm
from jobd.work.bounds import Bounds, said_by_signal
from jobd.work.channel import Channel
from jobd.work.environment import directory_of, variables
from jobd.work.executors import argv_of, check_variables, isolated, warm
from jobd.work.launch import Child, Launch, interpret, start
from jobd.work.line import Line
from jobd.work.orders import NO_ROOM, Order
from jobd.work.output import Capture, path_of
from jobd.work.resultwords import NOTHING
from jobd.work.sandbox import Enclosure
from jobd.work.scratch import Scratch, remove
from jobd.work.span import Start
from jobd.work.stage import Stage
from jobd.work.standing import Stand
from jobd.work.watch import Ended, Watch


@dataclass(frozen=True, slots=True)
class Place:
    """Where a worker lives: what the forkserver was told, and the worker's own cgroup if there is a delegation."""

    runtime_dir: str
    output_dir: str
    python_path: tuple[str, ...] = ()
    group: str | None = None
    settings: Mapping[str, Json] = field(default_factory=dict)
    """What jobd.yaml says to executors."""


def main(number: int, sock: socket.socket, tally: int, place: Place) -> None:
    """Work until the supervisor says to retire or is gone; never called outside a fresh fork."""
    tree.become_subreaper()
    tree.set_title(f"jobd: worker {number}")
    for directory in reversed(place.python_path):
        sys.path.insert(0, directory)
    if place.group is not None:
        cgroup.enter(f"{place.group}/self")
    Worker(Line(Channel(sock), number, place.runtime_dir, tally), place).run()


class Worker:
    def __init__(self, line: Line, place: Place) -> None:
        self._line, self._place = line, place
        self._alarm = Alarm()
        self._stage = Stage()
        self._has_called = False
        """Code of jobs has run in this process, and may have left descriptors open."""

    def run(self) -> None:
        while True:
            self._line.take_in()
            if self._line.orders:
                self._execute(self._line.orders.popleft())
                continue
            self._line.flush()
            if self._line.is_done:
                return
            self._wait()

    def _wait(self) -> None:
        poll = select.poll()
        poll.register(self._line.channel, select.POLLIN | (select.POLLOUT if self._line.channel.has_unsent else 0))
        poll.register(self._alarm.fd, select.POLLIN)
        poll.poll()
        self._alarm.clear()

    def _execute(self, order: Order) -> None:
        self._line.begin(order)
        self._alarm.listen()
        captures = self._captures(order)
        try:
            account = account_of(order.user, order.group)
            bounds = Bounds(order.nice, order.ionice, order.oom_score_adjust, order.limits)
            if isinstance(order.action, Python | Call) and not (
                order.isolate or account.differs or bounds or order.sandbox or order.secrets or order.watchdog_seconds
            ):
                ending = self._call(order, account, captures)
            else:
                ending = self._run_child(order, account, bounds, captures)
        except Refused as refused:
            ending = _refused(refused)
        for capture in captures:
            capture.close()
        self._line.finish(Finished(order.key, self._with_words(_with_output(ending, captures))))
        self._look_at_itself()

    def _with_words(self, ending: Ending) -> Ending:
        """The ending with what the attempt last said of itself."""
        said = self._line.spoken
        if said.fraction is None and not said.text:
            return ending
        return replace(ending, progress=said.fraction, status_text=said.text)

    def _captures(self, order: Order) -> tuple[Capture, Capture]:
        run, attempt = order.key.run, order.key.attempt
        directory, most = self._place.output_dir, order.output_max_bytes
        if order.output_journal:
            from jobd.work import forward  # few jobs want it, and masking takes memory

            return forward.captures(order, directory, self._place.settings.get("mask"))
        return (
            Capture(path_of(directory, run, attempt, "stdout"), most),
            Capture(path_of(directory, run, attempt, "stderr"), most),
        )

    def _call(self, order: Order, account: Account, captures: tuple[Capture, Capture]) -> Ending:
        """Do here what is called, with the worker's modules warm."""
        self._has_called = True
        return warm.call(order, account, captures, self._stage, self._alarm, self._line, self._place.settings)

    def _run_child(self, order: Order, account: Account, bounds: Bounds, captures: tuple[Capture, Capture]) -> Ending:
        """Run the order as a process of its own."""
        scratch = self._scratch(order, account)
        # A strict attempt has the group of its service, which systemd makes.
        has_leaf = self._place.group is not None and not order.sandbox.strict
        leaf = cgroup.make(f"{self._place.group}/run-{order.key}") if has_leaf else None
        try:
            unmet = () if order.sandbox.strict else groups.limit(leaf, order.limits)
            if order.watchdog_seconds and scratch.ear is None:
                raise Refused(f"watchdog: {scratch.path} is too long a path for a socket (shorten runtime_dir)")
            env = variables(order, account, self._place.runtime_dir, scratch)
            check_variables(order, env, self._place.settings)
            launch = Launch(
                argv=argv_of(order, self._place.settings),
                env=env,
                stand=Stand(
                    account,
                    directory_of(order, account),
                    order.umask,
                    bounds,
                    Enclosure(order.sandbox, (self._place.runtime_dir,), scratch.path),
                    leaf,
                ),
                stdin=order.stdin,
                own_leaf=f"{self._place.group}/self" if leaf else None,
                closes_others=self._has_called,
            )
            if order.sandbox.strict:
                ending = self._strict(order, launch, captures, scratch)
            elif launch.argv:
                ended = self._watch(order, start(launch), captures, scratch, leaf)
                ending = _with_result(ended, scratch)
            else:
                ending = self._isolated(order, launch, captures, scratch, leaf)
            return _with_said(ending, unmet)
        finally:
            scratch.remove()
            if leaf is not None:
                cgroup.remove(leaf)

    def _scratch(self, order: Order, account: Account) -> Scratch:
        secrets = credentials.values(order.secrets, account)
        try:
            results = parents.results_text(order.parents)
            return Scratch(self._place.runtime_dir, order.key, order.payload, account, results, secrets)
        except OSError as problem:
            remove(self._place.runtime_dir, order.key)
            raise Refused(f"its directory could not be made: {problem}", spent=False, retryable=True) from None

    def _strict(self, order: Order, launch: Launch, captures: tuple[Capture, Capture], scratch: Scratch) -> Ending:
        """Run it as a service of systemd's: a program, or a call whose answer comes back by a memory file."""
        place, unit = self._place, strict.unit_of(order, self._place.runtime_dir)
        answer = os.memfd_create("answer", os.MFD_CLOEXEC)
        try:
            told = fresh.write(order, launch.env, launch.stand, place.python_path, place.settings, launch.argv)
            try:
                child = strict.start(unit, order, launch, told, answer)
            finally:
                os.close(told)
            if scratch.ear is not None:
                scratch.ear.is_own = unit.holds
            ending = unit.judged(self._watch(order, child, captures, scratch, unit.path, unit), order.limits)
            return _with_result(ending, scratch) if launch.argv else isolated.completed(ending, answer)
        finally:
            unit.end()
            unit.close()
            os.close(answer)

    def _isolated(
        self, order: Order, launch: Launch, captures: tuple[Capture, Capture], scratch: Scratch, leaf: str | None
    ) -> Ending:
        """Call it in an interpreter of its own; its answer comes back by a memory file."""
        answer = os.memfd_create("answer", os.MFD_CLOEXEC)
        try:
            told = fresh.write(order, launch.env, launch.stand, self._place.python_path, self._place.settings)
            try:
                child = interpret(launch, told, answer)
            finally:
                os.close(told)
            ending = self._watch(order, child, captures, scratch, leaf)
            return isolated.completed(ending, answer)
        finally:
            os.close(answer)

    def _watch(
        self,
        order: Order,
        child: Child,
        captures: tuple[Capture, Capture],
        scratch: Scratch,
        leaf: str | None,
        unit: strict.Unit | None = None,
    ) -> Ending:
        begun = Start.now()
        self._line.start(child.main or child.pid, begun.at)
        watch = Watch(child, order, captures, self._alarm, self._line, scratch.ear, is_elsewhere=unit is not None)
        ended = watch.run(leaf)
        if unit is not None:
            ended = unit.seen(ended)
        if ended.background:
            self._let_live(order.key, ended)
        if ended.is_stuck:
            self._leave("the worker is replaced after a job that could not be ended altogether")
        return _with_said(_as_group(_ending(order, ended, begun), leaf, order), child.unmet)

    def _let_live(self, key: AttemptKey, ended: Ended) -> None:
        """Note what may live on, and leave: it then hangs below the forkserver, which reads the notes."""
        background.write(self._place.runtime_dir, key, ended.background)
        self._leave("the worker is replaced after a job that left processes in the background")

    def _leave(self, why: str) -> None:
        self._line.give_back_all(why)
        self._line.is_leaving = True

    def _look_at_itself(self) -> None:
        """A Python job that left threads behind has made this process unfit to fork."""
        threading: Any = sys.modules.get("threading")
        if threading is not None and threading.active_count() > 1:
            self._leave("the worker is replaced after a job that left threads behind")


def _refused(refused: Refused) -> Ending:
    return Ending(
        Outcome.FAILED if refused.spent else Outcome.INTERRUPTED,
        finished_at=datetime.now(UTC),
        exit_code=refused.exit_code if refused.spent else NO_ROOM,
        error=refused.error,
        retryable=refused.retryable,
        spent=refused.spent,
    )


def _ending(order: Order, ended: Ended, begun: Start) -> Ending:
    number = os.WTERMSIG(ended.status) if os.WIFSIGNALED(ended.status) else None
    exit_code = 128 + number if number is not None else os.WEXITSTATUS(ended.status)
    outcome, error = ended.forced, ended.error
    if outcome is Outcome.TIMEOUT:
        exit_code = 124
    elif outcome is None and number is not None:
        outcome, error = Outcome.KILLED, error or _ended_by(number, order)
    elif outcome is None:
        outcome = Outcome.SUCCEEDED if exit_code in order.success_exit_status else Outcome.FAILED
        error = error or (None if outcome is Outcome.SUCCEEDED else f"exited with {exit_code}")
    started_at, finished_at = begun.until_now()
    return Ending(
        outcome,
        started_at=started_at,
        finished_at=finished_at,
        exit_code=exit_code,
        signal=number,
        error=error,
        spent=outcome is not Outcome.INTERRUPTED,
        usage=Usage(
            ended.user_seconds,
            ended.system_seconds,
            ended.peak_memory_bytes,
            leftovers=ended.leftovers,
            io_read_bytes=ended.io_read_bytes,
            io_written_bytes=ended.io_written_bytes,
            context_switches=ended.context_switches,
        ),
        snapshot=ended.snapshot,
    )


def _with_result(ending: Ending, scratch: Scratch) -> Ending:
    """The ending with what the job left in its result file."""
    left = scratch.read_result()
    if left is NOTHING:
        return ending
    directive = left.directive if ending.outcome in (Outcome.SUCCEEDED, Outcome.FAILED) else None
    faults = (left.fault,) if left.fault else ()
    return _with_said(replace(ending, result=left.result, directive=directive), faults)


def _ended_by(number: int, order: Order) -> str:
    limit = said_by_signal(number, order.limits)
    return f"ended by signal {number}" + (f": {limit}" if limit else "")


def _as_group(ending: Ending, leaf: str | None, order: Order) -> Ending:
    """The ending with what the kernel says of the whole group: that memory ran out, and how much there was at most."""
    if peak := groups.peak_memory(leaf):
        ending = replace(ending, usage=replace(ending.usage, peak_memory_bytes=peak))
    why = groups.out_of_memory(leaf, order.limits)
    if why is None or ending.outcome not in (Outcome.FAILED, Outcome.KILLED):
        return ending
    return replace(ending, outcome=Outcome.OOM, error=why)


def _with_said(ending: Ending, said: tuple[str, ...]) -> Ending:
    """What an attempt went without, or left that makes no sense, is said in its error, however it ended."""
    return replace(ending, error="; ".join(filter(None, (ending.error, *said)))) if said else ending


def _with_output(ending: Ending, captures: tuple[Capture, Capture]) -> Ending:
    out, err = captures
    if not out.written and not err.written:
        return ending
    usage = replace(
        ending.usage,
        stdout_bytes=out.written,
        stderr_bytes=err.written,
        output_cut=out.was_cut or err.was_cut,
    )
    return replace(ending, usage=usage)
