"""What one file and its drop-ins define: jobs that are checked in every respect, or every problem at once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from jobd.core import executors, names, schedule, zones
from jobd.core.allowlist import Allowlist, loads_code
from jobd.core.executors import Misread
from jobd.core.ledger import overuse
from jobd.core.model import Action, Calendar, Command, Job, Shell
from jobd.core.names import ADHOC
from jobd.core.shown import shown
from jobd.core.spans import show_size
from jobd.definitions import layers, payloads, runas, work
from jobd.definitions.defined import Defined, defined
from jobd.definitions.parse import Node, plain
from jobd.definitions.problems import Malformed, Place, Problem
from jobd.definitions.schema import FILE_KEYS, JobWords, name_fault
from jobd.definitions.schema.explain import problems_of, unknown_key


@dataclass(frozen=True, slots=True)
class Rules:
    """What the main configuration says about definitions."""

    defaults: Node | None = None
    """Words that lie below every job; a mapping that `check_defaults` found nothing wrong with."""
    allow_shell: bool = True
    allowlist: Allowlist | None = None
    """The programs that `shell` and `command` may run; None or an empty one is any."""
    run_as_allowed: tuple[str, ...] = ("*",)
    max_payload_bytes: int = 64 * 1024
    queues: frozenset[str] | None = None
    """The queues a job may name; None is any."""
    resources: Mapping[str, int] = field(default_factory=dict)
    """How much there is of counted resources; of what is not named there is one."""
    calendars: tuple[Calendar, ...] = ()
    """The calendars a job may exclude."""
    channels: tuple[str, ...] | None = None
    """Where a job may have somebody told of it; None is anywhere."""


def interpret(file: Node, drop_ins: Sequence[Node], rules: Rules) -> tuple[Defined, ...]:
    """The jobs of a file under its drop-ins, in order. Raises Malformed with every problem there is."""
    document = file
    for drop_in in drop_ins:
        document = layers.over(document, drop_in)
    found = _Findings()
    found.add(_shape(node) for node in (file, *drop_ins))
    if found.problems:
        raise Malformed(*found.problems)
    assert isinstance(document.value, dict)
    defaults = document.value.get("defaults")
    below = rules.defaults
    if defaults is not None and defaults.value is not None:
        found.add([check_defaults(defaults, "defaults")])
        below = layers.over(below, defaults)
    jobs = [_job(name, node, below, rules, found) for name, node in _jobs(document, file, found)]
    if found.problems:
        raise Malformed(*sorted(found.problems))
    return tuple(job for job in jobs if job is not None)


def check_defaults(node: Node, path: str) -> list[Problem]:
    """Every problem of words that are to lie below jobs; they need not say what to run."""
    if not isinstance(node.value, dict):
        return [Problem(node.place, path, f"{shown(plain(node))} is not a mapping (write key: value below it)")]
    settled = layers.settled(node)
    given, rest = work.taken_apart(plain(settled))
    problems = []
    for kind, value in given.items():
        try:
            work.read(kind, value)
        except Misread as misread:
            problems += work.problems_of(misread, settled, path)
    words = _checked(rest, settled, path, problems)
    return problems if words is None else problems + _timing_problems("", words, settled, path)


def template(defaults: Node | None, name: str = ADHOC) -> Job:
    """A job that carries these defaults and runs nothing yet: what ad-hoc runs are made from."""
    _, words = work.taken_apart(plain(layers.settled(defaults)) if defaults is not None else {})
    words.pop("schedule", None)
    return JobWords.model_validate(words).job(name, Command(("true",)))


def job_of(words: dict[str, Any], name: str) -> Job:
    """The job of effective words that were found right before. Raises ValueError for others."""
    given, rest = work.taken_apart(words)
    return JobWords.model_validate(rest).job(name, work.action(given))


class _Findings:
    """Problems without repetition: what is wrong in defaults is wrong in every job, and is said once."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._seen: set[tuple[Place, str]] = set()

    def add(self, several: Any) -> None:
        for problems in several:
            for problem in problems:
                if (problem.place, problem.message) not in self._seen:
                    self._seen.add((problem.place, problem.message))
                    self.problems.append(problem)


def _shape(document: Node) -> list[Problem]:
    """What is wrong with the outermost level of one document."""
    if not isinstance(document.value, dict):
        return [Problem(document.place, "", f"{shown(plain(document))} is not a mapping (start with jobs:)")]
    problems = [
        Problem(node.named_at, key, unknown_key(key, FILE_KEYS))
        for key, node in document.value.items()
        if key not in FILE_KEYS
    ]
    jobs = document.value.get("jobs")
    if jobs is not None and not isinstance(jobs.value, dict | None):
        problems.append(Problem(jobs.place, "jobs", f"{shown(plain(jobs))} is not a mapping of names to jobs"))
    return problems


def _jobs(document: Node, file: Node, found: _Findings) -> list[tuple[str, Node]]:
    """Names and words of the jobs; a job that a drop-in set to null is gone."""
    jobs = document.value.get("jobs") if isinstance(document.value, dict) else None
    if jobs is None or not isinstance(jobs.value, dict):
        return []
    kept = []
    for name, node in jobs.value.items():
        if node.value is None and node.place.file != file.place.file:
            continue
        path = f"jobs.{name}"
        if fault := name_fault(name):
            found.add([[Problem(node.named_at, "jobs", fault)]])
        elif not isinstance(node.value, dict):
            found.add(
                [[Problem(node.place, path, f"{shown(plain(node))} is not a mapping (write command: … below it)")]]
            )
        else:
            kept.append((name, node))
    return kept


def _job(name: str, node: Node, below: Node | None, rules: Rules, found: _Findings) -> Defined | None:
    path = f"jobs.{name}"
    words = layers.settled(layers.over(below, node))
    document = plain(words)
    given, rest = work.taken_apart(document)
    problems: list[Problem] = []
    checked = _checked(rest, words, path, problems)
    # Where a key is unknown it may well be the one that says what to run.
    action = _action(given, words, path, problems) if given or checked is not None else None
    if checked is None or action is None:
        found.add([problems])
        return None
    problems += _timing_problems(name, checked, words, path)
    job = checked.job(name, action)
    resting, unknown = _calendars(checked.exclude, rules)
    problems += [_at(words, path, "exclude", message, index) for index, message in unknown]
    job = replace(job, schedule=replace(job.schedule, exclude=resting))
    problems += _policy_problems(job, words, path, rules)
    problems += _payload_problems(job, words, path)
    if job.unique and job.schedule.overlap == "replace":
        message = "overlap: replace waits for the run that it replaces, which holds the key (use overlap: skip)"
        problems.append(_at(words, path, "unique", message))
    if job.sandbox.strict and job.allow_background:
        message = "sandbox: strict lets nothing live on when the job has ended (take one of them out)"
        problems.append(_at(words, path, "allow_background", message))
    found.add([problems])
    return None if problems else defined(job, words, document)


def _checked(words: dict[str, Any], node: Node, path: str, problems: list[Problem]) -> JobWords | None:
    """The words that say how a job runs, whatever it is; None where there are problems, which are added."""
    try:
        return JobWords.model_validate(words)
    except ValidationError as error:
        problems += problems_of(error, JobWords, node, path, also=executors.installed)
        return None


def _action(given: dict[str, Any], node: Node, path: str, problems: list[Problem]) -> Action | None:
    """What a job runs; None where there are problems, which are added."""
    try:
        return work.action(given)
    except Misread as misread:
        problems += work.problems_of(misread, node, path)
    except ValueError as error:
        problems.append(Problem(node.named_at, path, str(error)))
    return None


def _timing_problems(name: str, words: JobWords, node: Node, path: str) -> list[Problem]:
    problems = []
    for index, expression in enumerate(words.schedule):
        try:
            schedule.parse(expression, name, day_match=words.day_match)
        except ValueError as error:
            problems.append(_at(node, path, "schedule", str(error), index))
    if words.timezone is not None:
        try:
            zones.zone(words.timezone)
        except ValueError as error:
            problems.append(_at(node, path, "timezone", str(error)))
    return problems


def _calendars(wanted: Sequence[str], rules: Rules) -> tuple[tuple[Calendar, ...], list[tuple[int, str]]]:
    """The calendars of these names, and (index, what is wrong) of each name that is none."""
    known = {calendar.name: calendar for calendar in rules.calendars}
    found = tuple(known[name] for name in dict.fromkeys(wanted) if name in known)
    return found, [(index, _no_calendar(name, known)) for index, name in enumerate(wanted) if name not in known]


def _no_calendar(name: str, known: Iterable[str]) -> str:
    allowed = sorted(known)
    if meant := names.closest(name, allowed):
        return f'{shown(name)} is not a calendar of jobd.yaml, did you mean "{meant}"?'
    return f"{shown(name)} is not a calendar of jobd.yaml (calendars there: {', '.join(allowed) or 'none'})"


def _policy_problems(job: Job, node: Node, path: str, rules: Rules) -> list[Problem]:
    """Where a job goes beyond what the main configuration allows."""
    problems = []
    if isinstance(job.action, Shell) and not rules.allow_shell:
        problems.append(_at(node, path, "shell", "policy.allow_shell is false (use command:)"))
    if rules.allowlist:
        problems += _allowlist_problems(job, node, path, rules.allowlist)
    problems += [_at(node, path, key, fault) for key, fault in runas.faults(job, rules.run_as_allowed)]
    if rules.queues is not None and job.queue not in rules.queues:
        known = ", ".join(sorted(rules.queues)) or "none"
        problems.append(_at(node, path, "queue", f"{shown(job.queue)} is not declared in jobd.yaml ({known})"))
    problems += _notify_problems(job, node, path, rules)
    for name, amount in job.uses:
        if fault := overuse(name, amount, rules.resources):
            problems.append(_at(node, path, "uses", fault))
    if job.payload is not None:
        size = len(json.dumps(job.payload, ensure_ascii=False).encode())
        if size > rules.max_payload_bytes:
            most = show_size(rules.max_payload_bytes)
            problems.append(_at(node, path, "payload", f"{show_size(size)} is more than policy.max_payload ({most})"))
    return problems


def _notify_problems(job: Job, node: Node, path: str, rules: Rules) -> list[Problem]:
    if job.notify is None:
        return []
    if not job.notify.via:
        return [_at(node, path, "notify", "names no channel (give via: one or more channels of jobd.yaml)")]
    if rules.channels is None:
        return []
    known = sorted(rules.channels)
    return [
        _at(node, path, "notify", f"{shown(name)} is not a channel of jobd.yaml ({_meant(name, known)})")
        for name in job.notify.via
        if name not in known
    ]


def _meant(name: str, known: Sequence[str]) -> str:
    meant = names.closest(name, known)
    return f'did you mean "{meant}"?' if meant else f"channels there: {', '.join(known) or 'none'}"


def _allowlist_problems(job: Job, node: Node, path: str, allowlist: Allowlist) -> list[Problem]:
    """Where a job would run what is not on the list; what only a payload can tell is found out when it starts."""
    problems = []
    try:
        argv = allowlist.argv(job.action)
    except ValueError as error:
        argv, problems = (), [_at(node, path, job.action.kind, str(error))]
    if argv is not None:
        for name in (name for name, _ in job.env if loads_code(name)):
            message = f"{name} could have a program on shell_allowlist run any other (take it out)"
            problems.append(_at(node, path, "env", message))
    return problems


def _payload_problems(job: Job, node: Node, path: str) -> list[Problem]:
    """What is wrong with the schema of payloads, or with the payload of runs that nobody submits."""
    if job.payload_schema is not None and (fault := payloads.schema_fault(job.payload_schema)):
        return [_at(node, path, "payload_schema", fault)]
    if job.payload is None and not job.schedule.expressions:
        return []
    found = payloads.faults_of(job, job.payload)
    return [_at(node, path, "payload", f"{'/'.join(['', *map(str, steps)])} {said}".strip()) for steps, said in found]


def _at(node: Node, path: str, key: str, message: str, index: int | None = None) -> Problem:
    """A problem of one key, at its value; `index` points into it where it is a list."""
    inner = node.value.get(key) if isinstance(node.value, dict) else None
    dotted = f"{path}.{key}"
    if inner is None:
        return Problem(node.named_at, dotted, message)
    if index is not None and isinstance(inner.value, list):
        return Problem(inner.value[index].place, f"{dotted}[{index}]", message)
    return Problem(inner.place, dotted, message)
