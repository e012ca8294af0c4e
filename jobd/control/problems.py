"""How refusals look: RFC 9457 problem documents, one status for each class of error."""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import Any

from aiohttp import web

from jobd.control.shapes import encode
from jobd.control.tempo import TooFast
from jobd.core.errors import Conflict, Invalid, JobdError, NotFound, NotPermitted, TooLarge, Unavailable

MOST_ERRORS = 100
_TYPE = "application/problem+json"


class Malformed(Invalid):
    """The body is not what it says it is: no JSON, or JSON that two readers would understand differently."""


class TooSlow(JobdError):
    """The request did not arrive within its deadline."""


_STATUS: tuple[tuple[type[JobdError], int, str], ...] = (
    (Malformed, 400, "malformed"),
    (Invalid, 422, "invalid"),
    (NotFound, 404, "not-found"),
    (NotPermitted, 403, "not-permitted"),
    (Conflict, 409, "conflict"),
    (TooLarge, 413, "too-large"),
    (Unavailable, 503, "unavailable"),
    (TooFast, 429, "too-fast"),
    (TooSlow, 408, "too-slow"),
)


def document(status: int, word: str, detail: str, errors: list[tuple[str, str]] | None = None) -> dict[str, Any]:
    """A problem document; `errors` are (JSON pointer, message), the first hundred of them."""
    shown = [{"path": path, "message": message} for path, message in (errors or [])[:MOST_ERRORS]]
    return {
        "type": f"urn:jobd:problem:{word}",
        "title": _title(status),
        "status": status,
        "detail": detail,
        "errors": shown,
    }


def response(status: int, word: str, detail: str, errors: list[tuple[str, str]] | None = None) -> web.Response:
    return web.Response(status=status, body=encode(document(status, word, detail, errors)), content_type=_TYPE)


def of(error: JobdError) -> web.Response:
    """The answer to a request that was refused."""
    status, word = next(
        ((status, word) for kind, status, word in _STATUS if isinstance(error, kind)), (500, "internal")
    )
    answer = response(status, word, str(error), error.errors if isinstance(error, Invalid) else None)
    if status == 503:
        answer.headers["Retry-After"] = "1"
    if isinstance(error, TooFast):
        answer.headers["Retry-After"] = str(math.ceil(error.wait_seconds))
    if status in (408, 413):
        answer.force_close()
    return answer


def of_http(error: web.HTTPException) -> web.Response:
    """The answer where the server's own routing refused: no such path, or no such method on it."""
    match error:
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(error.allowed_methods))
            answer = response(405, "no-such-method", f"{error.method} is not served here (try {allowed})")
            answer.headers["Allow"] = allowed
            return answer
        case web.HTTPNotFound():
            return response(404, "not-found", "there is no such path (GET /v1/openapi.json lists them)")
        case _:
            return response(error.status, "refused", error.reason)


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
