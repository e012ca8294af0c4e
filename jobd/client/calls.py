"""Every call of the control API as a value: what to ask, and what to make of the answer. Nothing here does any I/O."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from jobd.client.wire import RunFailed, encode, quote, request, target

T = TypeVar("T")
ABSENT: Any = object()
POLL_SECONDS = 30.0
"""How long one question for the end of a run may wait for its answer."""
PAGE = 1000
Item = dict[str, Any]


class SubmittedRun(int):
    """The id of a run that jobd has durably accepted, with the state it has and whether it was there already."""

    state: str
    duplicate: bool

    def __new__(cls, answer: Mapping[str, Any]) -> SubmittedRun:
        made = super().__new__(cls, answer["id"])
        made.state = answer["state"]
        made.duplicate = bool(answer.get("duplicate"))
        return made


class Call(Generic[T]):
    """One question to jobd; `read` makes the caller's value of the JSON that answers it."""

    __slots__ = ("data", "method", "read")

    def __init__(
        self,
        method: str,
        path: str,
        read: Callable[[Any], T],
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        lines: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        kind = "application/x-ndjson" if lines is not None else "application/json"
        content = lines if lines is not None else None if body is None else encode(body)
        self.method, self.read = method, read
        self.data = request(method, target(path, query or {}), kind, content, headers)


def _same(answer: Any) -> Any:
    return answer


def _object(answer: Item) -> Item:
    return answer


def _items(answer: Item) -> list[Item]:
    items: list[Item] = answer["items"]
    return items


def _ids(answer: Item) -> list[int]:
    ids: list[int] = answer["ids"]
    return ids


def _runs(answer: Item) -> list[int]:
    runs: list[int] = answer["runs"]
    return runs


def _state(answer: Item) -> str:
    return str(answer["state"])


def get(path: str, **query: Any) -> Call[Item]:
    return Call("GET", path, _object, query=query)


def items(path: str, **query: Any) -> Call[list[Item]]:
    return Call("GET", path, _items, query=query)


def post(path: str, body: Any = None, **query: Any) -> Call[Item]:
    return Call("POST", path, _object, body=body, query=query)


def trace_headers() -> dict[str, str]:
    """The trace that this process runs in, as headers: what it submits belongs to it unless the submit says another."""
    parent = os.environ.get("TRACEPARENT")
    if not parent:
        return {}
    from jobd.core.trace import heard

    found = heard(parent, os.environ.get("TRACESTATE"))
    if found is None:
        return {}
    return {"traceparent": found.parent} | ({"tracestate": found.state} if found.state else {})


def submit(job: str, payload: Any, options: Mapping[str, Any]) -> Call[SubmittedRun]:
    given = {} if payload is ABSENT else {"payload": payload}
    return Call("POST", "/v1/runs", SubmittedRun, body={"job": job, **given, **options}, headers=trace_headers())


def submit_command(command: Sequence[str] | str, options: Mapping[str, Any]) -> Call[SubmittedRun]:
    words = command if isinstance(command, str) else list(command)
    return Call("POST", "/v1/runs", SubmittedRun, body={"command": words, **options}, headers=trace_headers())


def submit_many(submissions: Iterable[Mapping[str, Any]]) -> Call[list[int]]:
    lines = b"\n".join(encode(one) for one in submissions)
    return Call("POST", "/v1/runs", _ids, lines=lines, headers=trace_headers())


def page(path: str, count: int, cursor: str | None, filters: Mapping[str, Any]) -> Call[Item]:
    """At most `count` of a list's items, behind a cursor."""
    return get(path, **filters, limit=min(PAGE, count), cursor=cursor)


def wait(run: int, seconds: float) -> Call[Item]:
    return get(f"/v1/runs/{run:d}/wait", timeout=f"{min(seconds, POLL_SECONDS):.3f}")


def cancel(run: int) -> Call[str]:
    return Call("POST", f"/v1/runs/{run:d}/cancel", _state)


def kill(run: int, signal: str | int) -> Call[dict[str, Any]]:
    return Call("POST", f"/v1/runs/{run:d}/kill", dict, body={"signal": signal})


def retry(run: int, payload: Any) -> Call[str]:
    body = None if payload is ABSENT else {"payload": payload}
    return Call("POST", f"/v1/runs/{run:d}/retry", _state, body=body)


def retry_dead(runs: Sequence[int], job: str | None, queue: str | None, payload: Any, dry_run: bool) -> Call[list[int]]:
    which = {"runs": list(runs)} if runs else {"filter": _narrowed(job, queue)}
    given = {} if payload is ABSENT else {"payload": payload}
    return Call("POST", "/v1/dead-letters/retry", _runs, body={**which, **given, "dry_run": dry_run})


def drop_dead(runs: Sequence[int], job: str | None, queue: str | None) -> Call[list[int]]:
    named = ",".join(f"{run:d}" for run in runs) or None
    query = {"runs": named, "job": job, "queue": queue, "all": None if named or job or queue else 1}
    return Call("DELETE", "/v1/dead-letters", _runs, query=query)


def _narrowed(job: str | None, queue: str | None) -> dict[str, str]:
    return {key: value for key, value in (("job", job), ("queue", queue)) if value is not None}


def pause(job: str | None, queue: str | None, until: Any, note: str | None) -> Call[Item]:
    body = {key: value for key, value in (("until", until), ("note", note)) if value is not None}
    return post(_held(job, queue) + "/pause", body)


def resume(job: str | None, queue: str | None) -> Call[Item]:
    return post(_held(job, queue) + "/resume")


def _held(job: str | None, queue: str | None) -> str:
    """The path of what is kept back: a job, a queue, or everything."""
    if job is not None and queue is not None:
        raise ValueError("name a job or a queue, not both")
    if job is not None:
        return f"/v1/jobs/{quote(job)}"
    return "/v1" if queue is None else f"/v1/queues/{quote(queue)}"


def why(job_or_run: str | int, at: str | None) -> Call[Item]:
    if isinstance(job_or_run, int):
        return get(f"/v1/runs/{job_or_run:d}/why")
    return get(f"/v1/jobs/{quote(job_or_run)}/why", at=at)


def output(
    run: int, stream: str, attempt: int | None, follow: bool, offset: int, lines: int | None, raw: bool
) -> Call[Any]:
    query = {"stream": stream, "attempt": attempt, "follow": int(follow), "offset": offset or None, "lines": lines}
    query["raw"] = 1 if raw else None
    return Call("GET", f"/v1/runs/{run:d}/output", _same, query=query)


def backup() -> Call[Any]:
    return Call("POST", "/v1/backup", _same)


def events(since: int | None, follow: bool, filters: Mapping[str, Any]) -> Call[Any]:
    kinds = filters.get("kind")
    listed = kinds if kinds is None or isinstance(kinds, str) else ",".join(kinds)
    query = {**filters, "kind": listed, "since": since, "follow": int(follow)}
    return Call("GET", "/v1/events", _same, query=query)


def any_request(
    method: str,
    path: str,
    query: Mapping[str, Any] | None,
    body: Any,
    lines: bytes | None,
    headers: Mapping[str, str] | None,
) -> Call[Any]:
    return Call(method, path, _same, query=query, body=body, lines=lines, headers=headers)


def result_of(run: Item) -> Any:
    """What a run that is final has returned. Raises RunFailed unless it succeeded, TimeoutError where it goes on."""
    if not run["final"]:
        raise TimeoutError(f"run {run['id']} is still {run['state']}")
    if run["state"] != "succeeded":
        raise RunFailed(run)
    return run["result"]
