"""Every key of a job but what it runs in one model, the `core.model.Job` it stands for, and editors' JSON Schema."""

from __future__ import annotations

from typing import Any

from jobd.core import names
from jobd.core.model import Action, Job
from jobd.core.shown import shown
from jobd.definitions.schema.bounds import Bounded
from jobd.definitions.schema.enclosed import Enclosed
from jobd.definitions.schema.flow import Flow
from jobd.definitions.schema.how import Data, Execution, Queueing, Retrying
from jobd.definitions.schema.over import Watched
from jobd.definitions.schema.what import Identity
from jobd.definitions.schema.when import When


class JobWords(Watched, Flow, Data, Enclosed, Bounded, Execution, Retrying, Queueing, When, Identity):
    """A job as it is written in YAML; also what `defaults` may say."""

    def job(self, name: str, action: Action) -> Job:
        """The job these words define, running `action`."""
        return Job(
            name=name,
            action=action,
            description=self.description,
            enabled=self.enabled,
            tags=tuple(self.tags),
            owner=self.owner,
            schedule=self.timing(),
            queue=self.queue,
            priority=self.priority,
            max_running=self.max_running,
            rate_limit=self.rate_limit,
            uses=tuple(sorted(self.uses.items())),
            expires_seconds=self.expires,
            unique=None if self.unique is None else self.unique.unique(),
            retry=self.retry.policy(),
            success_exit_status=tuple(self.success_exit_status),
            retry_exit_status=None if self.retry_exit_status is None else tuple(self.retry_exit_status),
            no_retry_exit_status=tuple(self.no_retry_exit_status),
            circuit_breaker=None if self.circuit_breaker is None else self.circuit_breaker.breaker(),
            on_lost=self.on_lost,
            dead_letter=self.dead_letter,
            timeout_seconds=self.timeout,
            total_timeout_seconds=self.total_timeout,
            kill_after_seconds=self.kill_after,
            watchdog_seconds=self.watchdog,
            user=self.user,
            group=self.group,
            cwd=self.cwd,
            env=tuple(self.env.items()),
            env_files=tuple(self.env_file),
            secrets=tuple(self.secrets.items()),
            umask=self.umask,
            nice=self.nice,
            ionice=self.ionice,
            oom_score_adjust=self.oom_score_adjust,
            limits=self.limits.limits(),
            sandbox=self.sandbox.sandbox(),
            stdin=self.stdin,
            isolate=self.isolate,
            allow_background=self.allow_background,
            on_shutdown=self.on_shutdown,
            payload=self.payload,
            payload_schema=self.payload_schema,
            output_max_bytes=self.output.max,
            output_on_limit=self.output.on_limit,
            output_journal=self.output.journal,
            workflow=self.workflow(),
            notify=None if self.notify is None else self.notify.notify(),
            expect=None if self.expect is None else self.expect.expect(),
        )


FILE_KEYS = ("defaults", "jobs")


def name_fault(name: str) -> str | None:
    """Why `name` cannot name a job, or None if it can."""
    if names.is_reserved(name):
        return f"{shown(name)} is kept for jobd's own notifications (give the job another name)"
    if names.is_name(name):
        return None
    return f"{shown(name)} cannot name a job (1 to 128 letters, digits, '.', '_', '-'; a letter or digit first)"


def file_schema(kinds: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a whole file of definitions; `kinds` of work have each its own."""
    words = JobWords.model_json_schema(ref_template="#/$defs/{model}")
    definitions = words.pop("$defs", {})
    words["properties"] |= kinds
    one_action = [{"required": [kind]} for kind in kinds]
    from jobd.definitions.schema.texts import described

    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "jobd job definitions",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "defaults": {"$ref": "#/$defs/Defaults", "description": "For every job of this file."},
            "jobs": {
                "type": "object",
                "propertyNames": {"pattern": f"^{names.NAME.pattern}$"},
                "additionalProperties": {"$ref": "#/$defs/Job"},
            },
        },
        "$defs": {**definitions, "Defaults": words, "Job": {**words, "title": "Job", "oneOf": one_action}},
    }
    return described(whole)
