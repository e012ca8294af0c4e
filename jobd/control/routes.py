"""What a path of the API is made of, and how its handlers reach the rest of jobd."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from jobd.control.authorise import Deed
from jobd.control.ports import Desk
from jobd.control.problems import Malformed
from jobd.control.shapes import encode
from jobd.core.errors import Invalid, NotFound
from jobd.core.names import is_name

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
DESK: web.AppKey[Desk] = web.AppKey("desk", Desk)
_TRUE = frozenset({"1", "true", "yes", ""})
_FALSE = frozenset({"0", "false", "no"})


@dataclass(frozen=True, slots=True)
class Route:
    """One method on one path; `deed` is what everybody who calls it must be allowed."""

    method: str
    path: str
    handler: Handler
    summary: str
    deed: Deed = Deed.VIEW
    query: tuple[str, ...] = ()
    answers: str = "object"


def answer(value: object, status: int = 200) -> web.Response:
    return web.Response(status=status, body=encode(value), content_type="application/json")


def run_id(request: web.Request) -> int:
    """The run that the path names. Raises NotFound for what cannot be an id."""
    text = request.match_info["id"]
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise NotFound(f"there is no run {text[:40]!r}")
    return int(text)


def name(request: web.Request, kind: str) -> str:
    """The job or queue that the path names. Raises NotFound for what cannot be a name."""
    text = request.match_info["name"]
    if not is_name(text):
        raise NotFound(f"there is no {kind} {text[:40]!r}")
    return text


def check_query(request: web.Request, known: tuple[str, ...]) -> Mapping[str, str]:
    """The query of a request, by name. Raises Invalid for a parameter that is unknown or there twice."""
    query = request.query
    if not query:
        return {}
    unknown = [key for key in query if key not in known]
    if unknown:
        allowed = ", ".join(known) or "none"
        raise Invalid(f"unknown query parameter {unknown[0]!r} (known: {allowed})")
    if len(set(query)) != len(query):
        raise Malformed("a query parameter is there twice (lists are written with commas)")
    return dict(query)


def number(query: Mapping[str, str], key: str, default: int, low: int, high: int) -> int:
    """A whole number of the query. Raises Invalid outside of low..high."""
    text = query.get(key)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()) or len(text) > 18 or not low <= int(text) <= high:
        raise Invalid(f"{key} must be a whole number from {low} to {high}", [(key, "is out of range")])
    return int(text)


def flag(query: Mapping[str, str], key: str) -> bool:
    """A yes or no of the query, no where it is absent. Raises Invalid for anything else."""
    text = query.get(key)
    if text is None or text in _FALSE:
        return False
    if text in _TRUE:
        return True
    raise Invalid(f"{key} must be 0 or 1", [(key, "must be 0 or 1")])
