"""The stage that changes queues while jobd runs: limits set in place of jobd.yaml's, and drained queues."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from jobd.core import events
from jobd.core.errors import Conflict
from jobd.core.holds import Pause
from jobd.core.intents import SetQueue
from jobd.core.model import RunRequest
from jobd.core.queues import QueueSet
from jobd.store import limits
from jobd.store.connection import Transaction
from jobd.supervisor.aftermath import Aftermath

Drained = Mapping[str, QueueSet]
"""Queues that take no new runs, with who said so and when."""


def set_queue(tx: Transaction, intent: SetQueue, after: Aftermath) -> None:
    """Let other limits hold from this tick's reservation on."""
    known = limits.settings_now(tx).get(intent.queue)
    settings = intent.change.applied(known.settings if known else {})
    limits.set_queue(tx, intent.queue, settings, intent.actor.user)
    after.events.append(events.QueueChanged(intent.queue, tx.now, intent.actor.user, intent.change))


NONE_DRAINED: Drained = {}


def drained(tx: Transaction) -> Drained:
    return {name: asked for name, asked in limits.settings_now(tx).items() if asked.is_draining}


def check_open(requests: Iterable[RunRequest], closed: Drained) -> None:
    """Raises Conflict for a run whose queue takes no new ones."""
    for request in requests:
        if (asked := closed.get(request.queue)) is not None:
            raise Conflict(
                f"queue {request.queue} is being drained (by {asked.by}) and takes no new runs; name another, or have "
                f"an operator open it: jobd-ctl queue set {request.queue} draining=default"
            )


def hold_of(closed: Drained, queue: str) -> Pause | None:
    """What a queue that takes no new runs is to the slots of its jobs: they are skipped."""
    asked = closed.get(queue)
    return None if asked is None else Pause(asked.at, None, asked.by, f"queue {queue} is being drained")
