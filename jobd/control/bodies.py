"""Reads what clients send: bodies within their limits and deadlines, and JSON that has exactly one meaning."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from typing import Any

from aiohttp import web
from aiohttp.client_exceptions import ClientError

from jobd.control.ports import Desk
from jobd.control.problems import Malformed, TooSlow
from jobd.core.errors import Invalid, TooLarge

ONE_LIMIT = 1024 * 1024
BATCH_LIMIT = 16 * 1024 * 1024
DEADLINE_SECONDS = 5.0
MOST_DEPTH = 32
_INT64 = range(-(2**63), 2**63)


async def read(request: web.Request, *, limit: int = ONE_LIMIT) -> bytes:
    """The whole body, at most `limit` bytes. Raises TooLarge, TooSlow, or Malformed for a body that is encoded."""
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise Malformed("encoded bodies are not accepted; send the JSON as it is")
    if (request.content_length or 0) > limit:
        raise too_large(limit)
    content = request.content
    if content.is_eof():
        chunk = content.read_nowait()
        if len(chunk) > limit:
            raise too_large(limit)
        return chunk
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await _gather(content, limit)
    except TimeoutError as error:
        raise TooSlow(f"the body did not arrive within {DEADLINE_SECONDS:g} s") from error
    except ClientError as error:
        raise Malformed(f"the body broke off: {error}") from error


async def _gather(content: Any, limit: int) -> bytes:
    total, chunks = 0, []
    while chunk := await content.readany():
        total += len(chunk)
        if total > limit:
            raise too_large(limit)
        chunks.append(chunk)
    return b"".join(chunks)


def too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body is over {limit // 1024} KiB; send less, or several batches")


def decode(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise Malformed(f"the body is not UTF-8 (byte {error.start})") from error


def parse(text: str) -> Any:
    """The value of a JSON text. Raises Malformed; also for NaN, Infinity and an object that has a key twice."""
    try:
        return _decode(text)
    except RecursionError:
        raise Malformed(f"nested too deep (at most {MOST_DEPTH} levels)") from None
    except json.JSONDecodeError as error:
        raise Malformed(f"not JSON: {error.msg} at line {error.lineno} column {error.colno}") from None
    except ValueError as error:
        raise Malformed(f"not JSON that jobd takes: {error}") from None


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice!r} is there twice")
    return made


def _constant(word: str) -> Any:
    raise ValueError(f"{word} is not a JSON number")


_decode = json.JSONDecoder(object_pairs_hook=_pairs, parse_constant=_constant).decode


class Hazard(ValueError):
    """A value that would not come out of the store as it went in; `path` are the steps that lead to it."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.path: list[str | int] = []


def check_value(value: Any, depth: int = MOST_DEPTH) -> None:
    """Raise Hazard unless a parsed JSON value survives store, environment and wire unchanged."""
    kind = type(value)
    if kind is str:
        check_text(value)
    elif kind is int:
        if value not in _INT64:
            raise Hazard("is beyond 64 bits (send it as a string)")
    elif kind is float:
        if value - value != 0.0:
            raise Hazard("is too large for a number (send it as a string)")
    elif kind is dict or kind is list:
        if depth == 0:
            raise Hazard(f"is nested too deep (at most {MOST_DEPTH} levels)")
        step: str | int
        for step, part in value.items() if kind is dict else enumerate(value):
            try:
                if type(step) is str:
                    check_text(step)
                check_value(part, depth - 1)
            except Hazard as hazard:
                hazard.path.insert(0, step)
                raise


def check_text(text: str) -> None:
    """Raise Hazard for text with a NUL or half a surrogate pair."""
    if text.isascii():
        if "\0" in text:
            raise Hazard("contains a NUL character")
        return
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Hazard("contains half a surrogate pair, which is not text") from None
    if "\0" in text:
        raise Hazard("contains a NUL character")


def pointer(steps: list[str | int]) -> str:
    """A JSON pointer (RFC 6901)."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def payload_of(changes: Mapping[str, Any], most_bytes: int) -> Any:
    """The payload that a body gives a run instead of its own, None where it gives none. Raises Invalid."""
    payload = changes.get("payload")
    try:
        check_value(payload)
    except Hazard as hazard:
        path = pointer(["payload", *hazard.path])
        raise Invalid(f"{path} {hazard}", [(path, str(hazard))]) from None
    if len(json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()) > most_bytes:
        raise Invalid("/payload is over policy.max_payload", [("/payload", "is too large")])
    return payload


def check_schema(desk: Desk, names: Iterable[str], payload: Any) -> None:
    """Raise Invalid with everything that the schemas of these jobs, as they are in force, find wrong with a payload."""
    jobs = desk.jobs()
    wrong = [fault for name in names if name in jobs for fault in desk.payload_faults(jobs[name].job, payload)]
    if wrong:
        errors = [(pointer(["payload", *steps]), message) for steps, message in wrong]
        raise Invalid(f"{errors[0][0]} {errors[0][1]}", errors)


async def optional_object(request: web.Request, known: frozenset[str]) -> dict[str, Any]:
    """The body as an object with no keys but `known`; an empty body is an empty object."""
    body = await read(request)
    if not body.strip():
        return {}
    value = parse(decode(body))
    if type(value) is not dict:
        raise Invalid("the body must be an object", [("", "must be an object")])
    if unknown := value.keys() - known:
        raise Invalid("unknown keys", [(pointer([key]), "is not known here") for key in sorted(unknown)])
    return value
