"""The stage that changes queues while jobd runs: limits set in place of jobd.yaml's, kept over restarts."""

from __future__ import annotations

from jobd.core import events
from jobd.core.intents import SetQueue
from jobd.store import limits
from jobd.store.connection import Transaction
from jobd.supervisor.aftermath import Aftermath


def set_queue(tx: Transaction, intent: SetQueue, after: Aftermath) -> None:
    """Let other limits hold from this tick's reservation on."""
    known = limits.queue_settings(tx.rows).get(intent.queue)
    settings = intent.change.applied(known.settings if known else {})
    limits.set_queue(tx, intent.queue, settings, intent.actor.user)
    after.events.append(events.QueueChanged(intent.queue, tx.now, intent.actor.user, intent.change))
