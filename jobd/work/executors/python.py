"""What is called, in a worker: Python callables `package.module:function` and executors; and what came of it.

What they print is the caller's affair (stage, worker); here is only the call and its answer.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from jobd.core import envelopes, executors
from jobd.core.brought import Unusable
from jobd.core.executors import Executor, Failed, Work
from jobd.core.model import Action, Call, Directive, Json, Python
from jobd.core.parents import Parent
from jobd.core.shown import shown
from jobd.core.states import Outcome
from jobd.core.verdicts import Cancel, Discard, Retry, Snooze, Verdict
from jobd.work.orders import Order
from jobd.work.resultwords import RESULT_MAX_BYTES, RESULT_MAX_DEPTH, cut, is_too_deep

_COROUTINE = 0x80
_LONGEST_DELAY_SECONDS = 1e9
_LONGEST_ERROR = 500
_TARGET = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)
_known: dict[str, Callable[..., Any]] = {}


class PythonExecutor(Executor):
    schema: ClassVar[dict[str, Any]] = {
        "type": "string",
        "pattern": f"^(?:{_TARGET.pattern})$",
        "description": "A callable package.module:function; it is given the payload.",
    }

    def action(self, kind: str, value: Json) -> Action:  # noqa: ARG002 - it has one kind
        if not isinstance(value, str) or not _TARGET.fullmatch(value):
            raise ValueError(f"{shown(value)} is not a callable (write package.module:function)")
        return Python(value)


executor = PythonExecutor()


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


def call(order: Order, context: Context, settings: Mapping[str, Json]) -> Answer:
    """Call it and say what came of it; whatever it raises but Interrupted is an answer too, its traceback on stderr."""
    try:
        function = _function(order, settings)
        payload = envelopes.opened(json.loads(order.payload))
    except Interrupted:
        raise
    except BaseException as problem:
        return _not_loaded(order.action, problem)
    try:
        return _answer(_value(function, payload, context))
    except Interrupted:
        raise
    except (Verdict, Failed) as said:
        return _directed(said) if isinstance(said, Verdict) else _failed(said)
    except SystemExit as end:
        return _ended(end)
    except BaseException as problem:
        traceback.print_exc()
        return Answer(Outcome.FAILED, 1, _line(problem))


def _not_loaded(action: Action, problem: BaseException) -> Answer:
    if isinstance(problem, Unusable):
        error = str(problem)
    else:
        traceback.print_exc()
        named = action.target if isinstance(action, Python) else action.kind
        error = f"{named} could not be loaded: {_line(problem)}"
    return Answer(Outcome.FAILED, 126, error, retryable=False)


def _function(order: Order, settings: Mapping[str, Json]) -> Callable[..., Any]:
    """What to call with the payload and a context."""
    match order.action:
        case Python(target):
            return _known.get(target) or _found(target)
        case Call(kind, options):
            run, most = executors.find(kind).run, order.output_max_bytes

            def carry_out(payload: Json, context: Context) -> Json:
                return run(Work(options, payload, context, settings, most))

            return carry_out
        case other:
            raise TypeError(f"a {other.kind} job is executed, not called")


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
    reason = cut(str(verdict))
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


def _failed(failed: Failed) -> Answer:
    """The answer of an executor whose work did not succeed; its result is kept where it may be."""
    kept = _answer(failed.result)
    error = cut((str(failed).splitlines() or ["it failed"])[0], _LONGEST_ERROR)
    wait = failed.retry_in_seconds
    again = Directive("retry", wait, error) if failed.retryable and wait is not None and wait >= 0 else None
    return Answer(Outcome.FAILED, failed.exit_code, error, failed.retryable, again, kept.result)


def _ended(end: SystemExit) -> Answer:
    if end.code is None or end.code == 0:
        return Answer(Outcome.SUCCEEDED, 0)
    if isinstance(end.code, int):
        return Answer(Outcome.FAILED, end.code & 0xFF, f"exited with {end.code & 0xFF}")
    return Answer(Outcome.FAILED, 1, cut(str(end.code).splitlines()[0]) if str(end.code) else "exited with 1")


def _line(problem: BaseException) -> str:
    """The exception on one line: its type and the first line of what it says."""
    said = (str(problem).strip().splitlines() or [""])[0]
    return cut(f"{type(problem).__name__}: {said}", _LONGEST_ERROR) if said else type(problem).__name__
