"""Python callables `package.module:function`: found, called with the payload, and their answer made an ending.

What they print is the caller's affair (stage, worker); here is only the call and what came of it.
"""

from __future__ import annotations

import importlib
import json
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jobd.core.model import Directive, Json
from jobd.core.parents import Parent
from jobd.core.states import Outcome
from jobd.core.verdicts import Cancel, Discard, Retry, Snooze, Verdict
from jobd.work.scratch import RESULT_MAX_BYTES, RESULT_MAX_DEPTH, is_too_deep
from jobd.work.wire import Order

_COROUTINE = 0x80
_LONGEST_DELAY_SECONDS = 1e9
_known: dict[str, Callable[..., Any]] = {}


class Interrupted(BaseException):
    """Raised inside a callable whose time is up or that is to stop; no Exception, so that jobs do not swallow it."""

    def __init__(self, outcome: Outcome, error: str) -> None:
        super().__init__(error)
        self.outcome, self.error = outcome, error


@dataclass(frozen=True, slots=True)
class Context:
    """What a callable with a second parameter gets: which attempt this is, and ways to speak."""

    run_id: int
    attempt: int
    job: str
    _progress: Callable[[float, str], None]
    parents: tuple[Parent, ...] = ()
    """The runs this one waited for, with their results."""

    def progress(self, fraction: float, text: str = "") -> None:
        """Say how far the work is, from 0 to 1; anything outside is taken as the nearer end."""
        self._progress(max(0.0, min(1.0, float(fraction))), str(text))

    def log(self, text: str) -> None:
        """Write one line to the attempt's stderr at once."""
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a call."""

    outcome: Outcome
    exit_code: int
    error: str | None = None
    retryable: bool = True
    directive: Directive | None = None
    result: Json = None


def call(order: Order, target: str, context: Context) -> Answer:
    """Call it and say what came of it; whatever it raises but Interrupted is an answer too, its traceback on stderr."""
    try:
        function = _known.get(target) or _found(target)
    except Interrupted:
        raise
    except BaseException as problem:
        traceback.print_exc()
        return Answer(Outcome.FAILED, 126, f"{target} could not be loaded: {_line(problem)}", retryable=False)
    try:
        return _answer(_value(function, json.loads(order.payload), context))
    except Interrupted:
        raise
    except Verdict as verdict:
        return _directed(verdict)
    except SystemExit as end:
        return _ended(end)
    except BaseException as problem:
        traceback.print_exc()
        return Answer(Outcome.FAILED, 1, _line(problem))


def _value(function: Callable[..., Any], payload: Json, context: Context) -> Any:
    value = function(payload, context) if _wants_context(function) else function(payload)
    code = getattr(function, "__code__", None)
    if (code is not None and code.co_flags & _COROUTINE) or hasattr(value, "__await__"):
        return importlib.import_module("asyncio").run(_awaited(value))
    return value


async def _awaited(value: Any) -> Any:
    return await value


def _found(target: str) -> Callable[..., Any]:
    module_name, _, path = target.partition(":")
    if not path:
        raise ImportError(f"{target!r} is not of the form package.module:function")
    found: Any = importlib.import_module(module_name)
    for name in path.split("."):
        found = getattr(found, name)
    if not callable(found):
        raise TypeError(f"{target} is a {type(found).__name__} and cannot be called")
    _known[target] = found
    return found  # type: ignore[no-any-return]


def _wants_context(function: Callable[..., Any]) -> bool:
    """Whether there is a second positional parameter to fill."""
    method = function if hasattr(function, "__code__") else getattr(function, "__call__", None)  # noqa: B004
    code = getattr(method, "__code__", None)
    if code is None:
        return False
    bound = 1 if hasattr(method, "__self__") else 0
    return bool(code.co_argcount - bound >= 2)


def _answer(value: Any) -> Answer:
    if value is None:
        return Answer(Outcome.SUCCEEDED, 0)
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as problem:
        return Answer(Outcome.FAILED, 1, f"its return value cannot be kept as JSON: {problem}", retryable=False)
    if is_too_deep(value):
        error = f"its return value is nested deeper than the {RESULT_MAX_DEPTH} levels allowed"
        return Answer(Outcome.FAILED, 1, error, retryable=False)
    if len(text) > RESULT_MAX_BYTES:
        error = f"its return value has {len(text)} bytes of JSON, more than the {RESULT_MAX_BYTES} allowed"
        return Answer(Outcome.FAILED, 1, error, retryable=False)
    return Answer(Outcome.SUCCEEDED, 0, result=value)


def _directed(verdict: Verdict) -> Answer:
    reason = str(verdict)
    match verdict:
        case Retry(delay_seconds=delay) | Snooze(delay_seconds=delay) if not 0 <= delay < _LONGEST_DELAY_SECONDS:
            return Answer(Outcome.FAILED, 1, f"{type(verdict).__name__} takes seconds from 0 to 1e9, not {delay}")
        case Retry(delay_seconds=delay):
            return Answer(Outcome.FAILED, 1, reason or "asked for a retry", True, Directive("retry", delay, reason))
        case Snooze(delay_seconds=delay):
            return Answer(Outcome.FAILED, 1, reason or "asked to wait", True, Directive("snooze", delay, reason))
        case Cancel():
            return Answer(Outcome.CANCELLED, 1, reason or "cancelled itself", True, Directive("cancel", 0.0, reason))
        case Discard():
            return Answer(Outcome.FAILED, 1, reason or "discarded itself", False, Directive("discard", 0.0, reason))
        case _:
            return Answer(Outcome.FAILED, 1, _line(verdict))


def _ended(end: SystemExit) -> Answer:
    if end.code is None or end.code == 0:
        return Answer(Outcome.SUCCEEDED, 0)
    if isinstance(end.code, int):
        return Answer(Outcome.FAILED, end.code & 0xFF, f"exited with {end.code & 0xFF}")
    return Answer(Outcome.FAILED, 1, str(end.code).splitlines()[0] if str(end.code) else "exited with 1")


def _line(problem: BaseException) -> str:
    """The exception on one line: its type and the first line of what it says."""
    said = (str(problem).strip().splitlines() or [""])[0]
    return f"{type(problem).__name__}: {said}"[:500] if said else type(problem).__name__
