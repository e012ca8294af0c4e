"""What is called inside the worker: the call under its alarm, its output, its processes and its ending."""

from __future__ import annotations

import resource
import signal
import time
from collections.abc import Mapping

from jobd.core import parents
from jobd.core.model import Ending, Json, Usage
from jobd.core.notify import one_line
from jobd.core.states import Outcome
from jobd.work import bounds, tree
from jobd.work.accounts import Account, Refused
from jobd.work.alarm import Alarm
from jobd.work.environment import directory_of, variables
from jobd.work.executors.python import Answer, Context, Interrupted
from jobd.work.executors.python import call as call_it
from jobd.work.line import GATHER_SECONDS, Line
from jobd.work.orders import Order, timed_out
from jobd.work.output import Capture
from jobd.work.span import Start
from jobd.work.stage import Stage

_LEFTOVER_SECONDS = 5.0


def call(
    order: Order,
    account: Account,
    captures: tuple[Capture, Capture],
    stage: Stage,
    alarm: Alarm,
    line: Line,
    settings: Mapping[str, Json],
) -> Ending:
    """Call what the order names and say how it ended. Raises Refused where its directory cannot be entered."""
    begun, before = Start.now(), resource.getrusage(resource.RUSAGE_SELF)
    env = variables(order, account, line.runtime_dir)
    try:
        stage.enter(env, directory_of(order, account), order.umask, captures)
    except (OSError, ValueError) as problem:
        raise Refused(f"its directory or environment cannot be taken on: {problem}") from None
    line.start(None, begun.at)
    own = bounds.usual()
    try:
        answer = _guarded(order, alarm, line, settings)
    finally:
        bounds.lift(own)
        stage.leave(captures)
    leftovers = _clear_up(order)
    after = resource.getrusage(resource.RUSAGE_SELF)
    started_at, finished_at = begun.until_now()
    return Ending(
        answer.outcome,
        started_at=started_at,
        finished_at=finished_at,
        exit_code=answer.exit_code,
        error=answer.error,
        retryable=answer.retryable,
        spent=answer.outcome is not Outcome.INTERRUPTED,
        directive=answer.directive,
        result=answer.result,
        usage=Usage(
            after.ru_utime - before.ru_utime,
            after.ru_stime - before.ru_stime,
            after.ru_maxrss * 1024,
            leftovers=leftovers,
            io_read_bytes=(after.ru_inblock - before.ru_inblock) * 512,
            io_written_bytes=(after.ru_oublock - before.ru_oublock) * 512,
            context_switches=after.ru_nvcsw + after.ru_nivcsw - before.ru_nvcsw - before.ru_nivcsw,
        ),
    )


def _guarded(order: Order, alarm: Alarm, line: Line, settings: Mapping[str, Json]) -> Answer:
    """The call, which the alarm and a stop may break off. Nothing but the call itself is ever broken off."""
    interruption = _Interruption(order, alarm, line)
    try:
        try:
            alarm.interrupt = interruption
            alarm.arm(time.monotonic() + GATHER_SECONDS)
            return call_it(order, _context(order, interruption, line), settings)
        finally:
            alarm.interrupt = None
            alarm.arm(None)
    except Interrupted as interrupted:
        alarm.interrupt = None
        alarm.arm(None)
        code = 124 if interrupted.outcome is Outcome.TIMEOUT else 128 + signal.SIGTERM
        return Answer(interrupted.outcome, code, interrupted.error)


class _Interruption:
    """What a signal does to the call.

    The alarm rings first after a moment, to tell of a call that is not quick, and then when its time is up. The
    supervisor's nudge makes it look at the line. The line must not be entered twice: what rings meanwhile waits.
    """

    def __init__(self, order: Order, alarm: Alarm, line: Line) -> None:
        self._order, self._alarm, self._line = order, alarm, line
        self._deadline = time.monotonic() + order.timeout_seconds if order.timeout_seconds else None
        self._is_held = self._was_nudged = False

    def __call__(self, number: int) -> None:
        if number == signal.SIGALRM:
            if self._deadline is not None and time.monotonic() >= self._deadline:
                self._raise(Outcome.TIMEOUT, timed_out(self._order))
            self._alarm.arm(self._deadline)
        self._was_nudged = True
        if not self._is_held:
            with self:
                pass

    def __enter__(self) -> None:
        """From here to the end of the block the line belongs to the caller."""
        self._is_held = True

    def __exit__(self, *_: object) -> None:
        try:
            while self._was_nudged:
                self._was_nudged = False
                self._line.take_in()
                self._line.flush()
                asked = self._line.stop_asked()
                if asked is not None:
                    self._raise(asked, f"{asked.value} on request")
        finally:
            self._is_held = False

    def _raise(self, outcome: Outcome, error: str) -> None:
        self._alarm.interrupt = None
        raise Interrupted(outcome, error)


def _context(order: Order, interruption: _Interruption, line: Line) -> Context:
    def progress(fraction: float, text: str) -> None:
        with interruption:
            line.say(fraction, one_line(text))

    return Context(order.key.run, order.key.attempt, order.job, progress, parents.read(order.parents))


def _clear_up(order: Order) -> int:
    """End the processes the call left behind; how many there were."""
    if not tree.has_children():
        return 0
    for _ in tree.reap():
        pass
    if order.allow_background or not tree.has_children():
        return 0
    return tree.end_children(_LEFTOVER_SECONDS)
