"""Writes down together what plain submits of one tick ask for: what each would ask of the store is asked once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, islice

from jobd.core.errors import Conflict, NotFound, TooLarge
from jobd.core.intents import Accepted, Submit
from jobd.core.model import RunRequest
from jobd.core.roles import Role
from jobd.store import submits
from jobd.store.connection import Transaction
from jobd.supervisor.accept import accept, brings_others, check_jobs
from jobd.supervisor.aftermath import Aftermath
from jobd.supervisor.catalogs import InForce
from jobd.supervisor.inbox import Question
from jobd.supervisor.lanes import Drained, check_open, drained


def neighbours(questions: Sequence[Question]) -> Iterator[list[Question]]:
    """The questions in the order they came: plain submits that follow each other as one, everything else alone."""
    for plain, group in groupby(questions, key=_is_plain):
        if plain:
            yield list(group)
        else:
            yield from ([question] for question in group)


def _is_plain(question: Question) -> bool:
    """Whether rows are all it asks for: no run that is there, or submitted beside it, changes what becomes of it."""
    intent = question.intent
    return isinstance(intent, Submit) and all(map(_is_alone, intent.requests))


def _is_alone(request: RunRequest) -> bool:
    return request.key is None and request.unique is None and not brings_others(request)


def submit(
    tx: Transaction,
    intents: Sequence[Submit],
    in_force: Mapping[str, InForce],
    most_queued: int,
    after: Aftermath,
) -> list[list[Accepted] | NotFound | Conflict | TooLarge]:
    """Accept the runs of plain submits; for each what was accepted, or what it is refused for alone."""
    bound, closed = Bound(tx, most_queued), drained(tx)
    refused = [_refusal(intent, in_force, bound, closed) for intent in intents]
    wanted = [one for intent, error in zip(intents, refused, strict=True) if error is None for one in intent.requests]
    made = iter(accept(tx, wanted, in_force, after) if wanted else ())
    return [
        list(islice(made, len(intent.requests))) if error is None else error
        for intent, error in zip(intents, refused, strict=True)
    ]


class Bound:
    """How many runs of each submitter may still come to wait."""

    def __init__(self, tx: Transaction, most: int) -> None:
        self._tx = tx
        self._most = most
        self._waiting: dict[str, int] = {}

    def take(self, intent: Submit, count: int) -> None:
        """Count the runs of a submission in. Raises TooLarge where its sender has too much waiting then."""
        if intent.actor.role >= Role.ADMIN:
            return
        owner = intent.actor.user
        waiting = self._waiting.get(owner)
        waiting = count + (submits.queued_by(self._tx, owner) if waiting is None else waiting)
        if waiting > self._most:
            raise TooLarge(
                f"{owner} may have {self._most} runs waiting at most; wait for some to finish or cancel them"
            )
        self._waiting[owner] = waiting


def _refusal(
    intent: Submit, in_force: Mapping[str, InForce], bound: Bound, closed: Drained
) -> NotFound | Conflict | TooLarge | None:
    try:
        check_jobs(intent.requests, in_force)
        check_open(intent.requests, closed)
        bound.take(intent, len(intent.requests))
    except (NotFound, Conflict, TooLarge) as error:
        return error
    return None
