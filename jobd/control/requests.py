"""Makes run requests of what clients submit: each value checked, every problem told at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from jobd.control import authorise
from jobd.control.authorise import Deed
from jobd.control.bodies import Hazard, pointer
from jobd.control.fields import READERS, unknown
from jobd.control.peers import has_account
from jobd.control.ports import DefinedJob, Policy, QueueLimits
from jobd.core.errors import Invalid, NotPermitted
from jobd.core.intents import Actor
from jobd.core.ledger import Uses, overuse
from jobd.core.model import Command, Job, Json, RunRequest, Schedule, Unique, Workflow
from jobd.core.names import ADHOC, closest
from jobd.core.retry import default_max_attempts
from jobd.core.spans import show_size
from jobd.core.states import Trigger
from jobd.core.trace import Trace


@dataclass(slots=True)
class Intake:
    """Checks the submissions of one request body and keeps what is wrong with them.

    `size` is at least the length of the longest submission in bytes: where that is no longer than a payload may be, no
    payload needs to be measured.
    """

    actor: Actor
    jobs: Mapping[str, DefinedJob]
    queues: Mapping[str, QueueLimits]
    policy: Policy
    daemon_uid: int
    now: datetime
    size: int
    faults: Callable[[Job, Json], list[tuple[list[str | int], str]]]
    """What a job's payload_schema finds wrong with a payload."""
    trace: Trace | None = None
    """What the headers of the request say, for submissions that say nothing themselves."""
    errors: list[tuple[str, str]] = field(default_factory=list)
    _last: Job | None = None

    def take(self, item: Any, *where: str | int) -> RunRequest | None:
        """The request that one submission makes, or None with the reasons in `errors`.

        `where` are the steps to the item in the body. Raises NotPermitted for a command that its sender may not run.
        """
        if type(item) is not dict:
            self._wrong(where, 'must be an object like {"job": "NAME"}')
            return None
        before = len(self.errors)
        values = self._values(item, where)
        job = self._job(item, values, where)
        if "delay" in values:
            self._add_delay(values, where)
        if self.policy.strict_queues and "queue" in values:
            self._check_queue(values["queue"], where)
        if "uses" in values:
            self._check_uses(values["uses"], where)
        if self.size > self.policy.max_payload_bytes and "payload" in values:
            self._measure(values["payload"], where)
        if job is not None and item.keys() & {"payload"} <= values.keys():
            for steps, message in self.faults(job, values.get("payload", job.payload)):
                self._wrong((*where, "payload", *steps), message)
        if job is not None and "unique" in values:
            self._make_unique(job, values, where)
        if "tracestate" in values and "traceparent" not in item:
            self._wrong((*where, "tracestate"), "belongs to a traceparent; give both")
        if job is not None and self.policy.allowlist:
            self._check_program(job, values, where)
        if job is None or len(self.errors) > before:
            return None
        return self._request(job, values)

    def _values(self, item: dict[str, Any], where: tuple[str | int, ...]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, value in item.items():
            reader = READERS.get(key)
            if reader is None:
                self._wrong((*where, key), unknown(key))
            elif value is not None or key == "payload":
                try:
                    values[key] = reader(value)
                except Hazard as hazard:
                    self._wrong((*where, key, *hazard.path), str(hazard))
                except ValueError as error:
                    self._wrong((*where, key), str(error))
        return values

    def _job(self, item: dict[str, Any], values: dict[str, Any], where: tuple[str | int, ...]) -> Job | None:
        name, command = values.get("job"), values.get("command")
        if name is not None and command is not None:
            self._wrong(where, "has both job and command; a run is of one of them")
        elif command is not None:
            return self._adhoc(command)
        elif name is not None:
            return self._defined(name, where)
        elif item.get("job") is None and item.get("command") is None:
            self._wrong(where, "names no work: give job (the name of a definition) or command (an argument vector)")
        return None

    def _adhoc(self, command: tuple[str, ...]) -> Job:
        authorise.require_command(self.actor, self.policy.adhoc, self.daemon_uid)
        template = self.policy.defaults or Job(name=ADHOC, action=Command(command))
        user = self.actor.user if self.daemon_uid == 0 else None
        # Only a user without a name goes by a number, and most of these have no account to run anything with.
        if user is not None and user.isdigit() and not has_account(self.actor.uid):
            raise NotPermitted(
                f"an ad-hoc command runs as its submitter, and uid {user} has no account here (no passwd entry); "
                "create one, or submit a run of a defined job"
            )
        return replace(
            template,
            name=ADHOC,
            action=Command(command),
            schedule=Schedule(),
            user=user,
            group=None,
            payload=None,
            unique=None,
            workflow=Workflow(),
        )

    def _defined(self, name: str, where: tuple[str | int, ...]) -> Job | None:
        if self._last is not None and self._last.name == name:
            return self._last  # batches are mostly of one job
        defined = self.jobs.get(name)
        if defined is None:
            near = closest(name, self.jobs)
            hint = f'did you mean "{near}"?' if near else "GET /v1/jobs lists them"
            self._wrong((*where, "job"), f'there is no job "{name}" ({hint})')
            return None
        if not defined.job.enabled:
            self._wrong((*where, "job"), f'"{name}" is disabled (enabled: false in {defined.file}:{defined.line})')
            return None
        authorise.require(self.actor, Deed.SUBMIT, job_owner=defined.job.owner)
        self._last = defined.job
        return self._last

    def _make_unique(self, job: Job, values: dict[str, Any], where: tuple[str | int, ...]) -> None:
        """Settle what is unique of a run: what the submission says goes before what the job says."""
        values["unique"] = settled = replace(job.unique or Unique(), **values["unique"])
        if settled.states == "all" and settled.period_seconds is None:
            self._wrong((*where, "unique"), "states: all holds the key through a period; give period")

    def _add_delay(self, values: dict[str, Any], where: tuple[str | int, ...]) -> None:
        if "run_at" in values:
            self._wrong((*where, "delay"), "excludes run_at; give one of them")
        else:
            values["run_at"] = self.now + timedelta(seconds=values["delay"])

    def _check_queue(self, queue: str, where: tuple[str | int, ...]) -> None:
        if queue not in self.queues:
            near = closest(queue, self.queues)
            hint = f'did you mean "{near}"?' if near else "GET /v1/queues lists them"
            self._wrong((*where, "queue"), f'"{queue}" is not declared ({hint})')

    def _check_uses(self, uses: Uses, where: tuple[str | int, ...]) -> None:
        for resource, amount in uses:
            if fault := overuse(resource, amount, self.policy.resources):
                self._wrong((*where, "uses", resource), fault)

    def _check_program(self, job: Job, values: dict[str, Any], where: tuple[str | int, ...]) -> None:
        assert self.policy.allowlist is not None
        try:
            self.policy.allowlist.argv(job.action)
        except ValueError as error:
            self._wrong((*where, "command" if "command" in values else "job"), str(error))

    def _measure(self, payload: Any, where: tuple[str | int, ...]) -> None:
        limit = self.policy.max_payload_bytes
        measured = len(json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode())
        if measured > limit:
            message = f"is {show_size(measured)} and over the {show_size(limit)} of policy.max_payload"
            self._wrong((*where, "payload"), f"{message}; keep it in a file and pass its path")

    def _request(self, job: Job, values: dict[str, Any]) -> RunRequest:
        get = values.get
        return RunRequest(
            job=job,
            trigger=Trigger.SUBMIT,
            payload=get("payload", job.payload),
            queue=get("queue", job.queue),
            priority=get("priority", job.priority),
            run_at=get("run_at"),
            key=get("key"),
            unique=get("unique", job.unique),
            max_attempts=get("max_attempts") or default_max_attempts(job, Trigger.SUBMIT),
            timeout_seconds=get("timeout"),
            expires_seconds=get("expires"),
            owner=self.actor.user,
            adhoc=job.name == ADHOC and "command" in values,
            uses=get("uses"),
            depends_on=get("depends_on", ()),
            trace=Trace(values["traceparent"], get("tracestate", "")) if "traceparent" in values else self.trace,
        )

    def _wrong(self, where: tuple[str | int, ...], message: str) -> None:
        self.errors.append((pointer(list(where)), message))


def refuse(errors: list[tuple[str, str]]) -> Invalid:
    """The refusal of a whole body for what is wrong in it."""
    path, message = errors[0]
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return Invalid(f"{path or 'the body'} {message}{more}; nothing was submitted", errors)
