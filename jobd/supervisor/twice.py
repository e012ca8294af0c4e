"""Settles runs whose unique key is taken: the run that holds it stands for them, takes over what they bring, or not."""

from __future__ import annotations

from jobd.core.errors import Conflict
from jobd.core.intents import Accepted, Actor
from jobd.core.model import RunRequest
from jobd.core.roles import Role
from jobd.core.unique import claim
from jobd.store import submits
from jobd.store.connection import Transaction
from jobd.store.submits import Holder


def twice(tx: Transaction, request: RunRequest, actor: Actor) -> Accepted:
    """What a request comes to that was not accepted for its unique key.

    Raises Conflict where there may be no second one, and where the first cannot do what the second asks any more.
    """
    holder, unique = _holder(tx, request), request.unique
    assert unique is not None
    match unique.on_conflict:
        case "keep":
            return Accepted(holder.run, holder.state, duplicate=True)
        case "replace":
            return _replaced(tx, request, holder, actor)
        case "error":
            raise Conflict(f"{request.job.name}: {_held(holder)}; nothing was submitted")


def slot_twice(tx: Transaction, request: RunRequest) -> tuple[int, str]:
    """The run that holds the key of a slot's run, and the reason why the slot starts none."""
    holder, unique = _holder(tx, request), request.unique
    assert unique is not None
    state = submits.replace_waiting(tx, holder.run, request) if unique.on_conflict == "replace" else None
    what = f"{holder.state}" if state is None else f"{state}) took its place (its time and payload"
    return holder.run, f"unique: run {holder.run} ({what})"


def _holder(tx: Transaction, request: RunRequest) -> Holder:
    wanted = claim(request, tx.now)
    holder = None if wanted is None else submits.unique_holder(tx, wanted)
    assert holder is not None
    return holder


def _replaced(tx: Transaction, request: RunRequest, holder: Holder, actor: Actor) -> Accepted:
    if actor.role < Role.OPERATOR and not actor.owns(holder.owner):
        raise Conflict(f"{request.job.name}: {_held(holder)}, and is not yours to replace; nothing was submitted")
    state = submits.replace_waiting(tx, holder.run, request)
    if state is None:
        why = "which cannot be replaced any more; submit again once it has ended"
        raise Conflict(f"{request.job.name}: {_held(holder)}, {why}")
    return Accepted(holder.run, state, duplicate=True, replaced=True)


def _held(holder: Holder) -> str:
    return f"run {holder.run} ({holder.state}) holds the unique key"
