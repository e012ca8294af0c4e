"""One request and its answer: redirects followed within bounds, the body cut at a limit, connections kept for the next.

http.client of the standard library speaks the protocol: in a worker, which does one thing at a time, a pool is a
dictionary, and what a larger library would add (its own retries, proxies of the environment, decoding) is what a job
with limits must not have.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http.client import HTTPConnection, HTTPException, HTTPResponse
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from jobd import __version__
from jobd.core.executors import Failed
from jobd.work.web import words
from jobd.work.web.connect import Network, Stream, Trust, Until, connected, secured, trusted

_MOST_KEPT = 16
_LONGEST_IDLE_SECONDS = 30.0
_PIECE = 64 * 1024
_FOLLOWED = frozenset({301, 302, 303, 307, 308})
_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
_FOR_ANYONE = frozenset({"accept", "accept-language", "content-type", "user-agent"})
_IN_URLS = "%/:?#[]@!$&'()*+,;=~"
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a whole exchange, redirects included, has to keep to."""

    seconds: float
    redirects: int
    body_bytes: int
    deny: tuple[Network, ...]


@dataclass(frozen=True, slots=True)
class Response:
    url: str
    status: int
    reason: str
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes
    is_whole: bool
    """False where the body went on beyond the limit."""


@dataclass(slots=True)
class _Kept:
    connection: HTTPConnection
    stream: Stream
    trust: Trust
    """Whom the job trusted that had it opened: another may not."""
    since: float = 0.0


_kept: dict[tuple[str, str, int], _Kept] = {}
_owner = os.getpid()


def exchange(request: Request, bounds: Bounds) -> Response:
    """The final answer. Raises Failed, with a sentence, where there is none."""
    deadline = Until(bounds.seconds)
    place = request.url
    try:
        for _ in range(bounds.redirects + 1):
            place = request.url
            response = _answered(request, bounds, deadline)
            location = response.headers.get("location")
            if response.status not in _FOLLOWED or location is None or not bounds.redirects:
                return response
            request = _redirected(request, response.status, location)
    except TimeoutError:
        raise Failed(f"{_origin_text(place)} did not answer in full within {bounds.seconds:g} s") from None
    except (OSError, HTTPException) as error:
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise Failed(f"{_origin_text(place)} gave no answer: {said}") from None
    raise Failed(f"{_origin_text(place)} redirected more than {bounds.redirects} times", retryable=False)


def _redirected(request: Request, status: int, location: str) -> Request:
    """The request that follows a redirect; another server does not get to see what was meant for the first."""
    url = quote(urljoin(request.url, location), safe=_IN_URLS)
    try:
        words.url(url)
    except ValueError as error:
        raise Failed(
            f"{_origin_text(request.url)} redirected to what is not followed: {error}", retryable=False
        ) from None
    before, now = urlsplit(request.url), urlsplit(url)
    if (before.scheme, now.scheme) == ("https", "http"):
        raise Failed(f"{_origin_text(request.url)} redirected from https to http: not followed", retryable=False)
    request = replace(request, url=url)
    if status == 303 or (status in (301, 302) and request.method == "POST"):
        method = "HEAD" if request.method == "HEAD" else "GET"
        kept = tuple(one for one in request.headers if not one[0].lower().startswith("content-"))
        request = replace(request, method=method, body=None, headers=kept)
    if _origin(before) != _origin(now):
        harmless = tuple(one for one in request.headers if one[0].lower() in _FOR_ANYONE)
        request = replace(request, headers=harmless)
    return request


def _answered(request: Request, bounds: Bounds, deadline: Until) -> Response:
    """The answer of one server, once more over a new connection where an old one turns out to have ended."""
    origin = _origin(urlsplit(request.url))
    kept = _taken(origin)
    if kept is not None:
        try:
            return _over(kept, origin, request, bounds, deadline)
        except (ConnectionError, HTTPException):
            if request.method not in _REPEATABLE:
                raise
    return _over(_opened(origin, bounds, deadline), origin, request, bounds, deadline)


def _over(kept: _Kept, origin: tuple[str, str, int], request: Request, bounds: Bounds, deadline: Until) -> Response:
    kept.stream.deadline = deadline
    try:
        _send(kept.connection, request)
        answer = kept.connection.getresponse()
        body, is_whole = _body(answer, bounds.body_bytes)
    except BaseException:
        # Also where the job's time is up: a connection in the middle of an answer is of no use to the next one.
        kept.stream.end()
        raise
    answer.close()
    if is_whole and not answer.will_close:
        _keep(origin, kept)
    else:
        kept.stream.end()
    headers = {name.lower(): value for name, value in answer.getheaders()}
    return Response(request.url, answer.status, answer.reason, headers, body, is_whole)


def _send(connection: HTTPConnection, request: Request) -> None:
    parts = urlsplit(request.url)
    given = {name.lower() for name, _ in request.headers}
    connection.putrequest(
        request.method,
        parts._replace(scheme="", netloc="", fragment="", path=parts.path or "/").geturl(),
        skip_host="host" in given,
        skip_accept_encoding=True,
    )
    for name, value in request.headers:
        connection.putheader(name, value)
    if "user-agent" not in given:
        connection.putheader("User-Agent", f"jobd/{__version__}")
    if request.body is not None or request.method in ("POST", "PUT", "PATCH"):
        connection.putheader("Content-Length", str(len(request.body or b"")))
    connection.endheaders(request.body)


def _body(answer: HTTPResponse, most: int) -> tuple[bytes, bool]:
    """Up to `most` bytes of the body, and whether that is all of it."""
    pieces, size = [], 0
    while size <= most and (piece := answer.read1(min(_PIECE, most + 1 - size))):
        pieces.append(piece)
        size += len(piece)
    if size > most:
        return b"".join(pieces)[:most], False
    if answer.length:
        raise HTTPException("the connection ended in the middle of the answer")
    return b"".join(pieces), True


def _opened(origin: tuple[str, str, int], bounds: Bounds, deadline: Until) -> _Kept:
    scheme, host, port = origin
    sock = connected(host, port, bounds.deny, deadline)
    if scheme == "https":
        sock = secured(sock, host, deadline)
    connection = HTTPConnection(host, port)
    connection.default_port = _PORTS[scheme]
    connection.auto_open = 0
    stream = Stream(sock)
    connection.sock = stream
    return _Kept(connection, stream, trusted())


def _taken(origin: tuple[str, str, int]) -> _Kept | None:
    """A connection of an earlier exchange that still stands."""
    _forget_before_a_fork()
    kept = _kept.pop(origin, None)
    if kept is None:
        return None
    is_fresh = time.monotonic() - kept.since < _LONGEST_IDLE_SECONDS and kept.stream.is_quiet
    if is_fresh and (origin[0] == "http" or kept.trust == trusted()):
        return kept
    kept.stream.end()
    return None


def _keep(origin: tuple[str, str, int], kept: _Kept) -> None:
    kept.since = time.monotonic()
    _kept[origin] = kept
    if len(_kept) > _MOST_KEPT:
        _kept.pop(next(iter(_kept))).stream.end()


def _forget_before_a_fork() -> None:
    global _owner  # noqa: PLW0603 - it says whose the dictionary beside it is
    if _owner != os.getpid():
        for kept in _kept.values():
            kept.stream.forget()
        _kept.clear()
        _owner = os.getpid()


def _origin(parts: SplitResult) -> tuple[str, str, int]:
    return parts.scheme, parts.hostname or "", parts.port or _PORTS[parts.scheme]


def _origin_text(url: str) -> str:
    """Scheme and host of a URL: what follows may hold what nobody is to read in an error."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
