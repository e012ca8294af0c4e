"""What is called in an interpreter of its own: what runs there, and how its answer reaches the worker."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TextIO

from jobd.core import executors, parents
from jobd.core.brought import Unusable
from jobd.core.model import Call, Directive, Ending, Json
from jobd.core.notify import one_line
from jobd.core.states import Outcome
from jobd.work import resultwords
from jobd.work.accounts import Refused
from jobd.work.ear import tell
from jobd.work.executors.python import Answer, Context, call
from jobd.work.orders import Order
from jobd.work.resultwords import cut, finite, is_too_deep, refuse_constant

_ENDS = {outcome.value: outcome for outcome in (Outcome.SUCCEEDED, Outcome.FAILED, Outcome.CANCELLED)}
_ANSWER_MAX_BYTES = 2 * 1024 * 1024


def settings_for(order: Order, settings: Mapping[str, Json]) -> dict[str, Json]:
    """What of jobd.yaml the interpreter is told: nothing where code of a job runs in it."""
    return dict(settings) if isinstance(order.action, Call) else {}


def prepare(order: Order, settings: Mapping[str, Json]) -> Mapping[str, Json]:
    """Load what is going to be called, with the worker's rights; the settings for it. Raises Refused."""
    if not isinstance(order.action, Call):
        return settings
    try:
        return executors.find(order.action.kind).prepare(settings)
    except Unusable as error:
        raise Refused(str(error)) from None
    except executors.Failed as failed:
        raise Refused(str(failed), failed.exit_code, retryable=failed.retryable) from None


def run(order: Order, env: Mapping[str, str], answer: int, settings: Mapping[str, Json]) -> int:
    """Call it, write down the answer, and return its exit status."""
    os.environ.clear()
    os.environ.update(env)
    sys.stdout, sys.stderr = _text_on(1), _text_on(2)
    given = parents.read(order.parents)
    context = Context(order.key.run, order.key.attempt, order.job, _teller(env.get("NOTIFY_SOCKET")), given)
    answered = call(order, context, settings)
    sys.stdout.flush()
    sys.stderr.flush()
    _write(answer, answered)
    return answered.exit_code


def _teller(path: str | None) -> Callable[[float, str], None]:
    """What passes on the progress of a callable, which is a sign of life too."""

    def progress(fraction: float, text: str) -> None:
        if path is not None:
            tell(path, f"WATCHDOG=1\nPROGRESS={fraction}\nSTATUS={one_line(text)}")

    return progress


def _text_on(fd: int) -> TextIO:
    return os.fdopen(fd, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)


def completed(ending: Ending, answer: int) -> Ending:
    """The ending with what the callable answered; without an answer it stays what the exit status said."""
    if ending.outcome not in (Outcome.SUCCEEDED, Outcome.FAILED):
        return ending
    try:
        text = os.pread(answer, _ANSWER_MAX_BYTES, 0)
        values = json.loads(text, parse_constant=refuse_constant, parse_float=finite)
        if is_too_deep(values["result"]):
            return ending
        return replace(
            ending,
            outcome=_ENDS[values["outcome"]],
            error=None if values["error"] is None else cut(str(values["error"])),
            retryable=bool(values["retryable"]),
            directive=_directive(values["directive"]),
            result=values["result"],
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return ending


def _directive(given: Json) -> Directive | None:
    """The job can write to the file itself, so its word is checked like that of a result file."""
    if given is None:
        return None
    kind, delay, reason = given
    named = f"{kind}_in" if kind in ("retry", "snooze") else kind
    return resultwords.directive({named: delay, "reason": str(reason)})


def _write(answer: int, given: Answer) -> None:
    directive = given.directive
    values = {
        "outcome": given.outcome,
        "error": given.error,
        "retryable": given.retryable,
        "directive": [directive.kind, directive.delay_seconds, directive.reason] if directive else None,
        "result": given.result,
    }
    os.pwrite(answer, json.dumps(values).encode(), 0)
