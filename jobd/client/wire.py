"""What goes over the wire, without any I/O: requests as bytes, answers as they come in, refusals as exceptions.

It speaks HTTP itself, because importing http.client takes longer than everything else `jobd-ctl status` does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from jobd.core.errors import Conflict, Invalid, JobdError, NotFound, NotPermitted, TooLarge, Unavailable

FRESH_SECONDS = 20.0
"""The daemon drops a silent connection after 30 s; one that is older than this is not used again."""
READ_AT_ONCE = 65536
_LONGEST_HEAD = 65536
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:,")
_ERRORS: dict[int, type[JobdError]] = {
    400: Invalid,
    403: NotPermitted,
    404: NotFound,
    409: Conflict,
    413: TooLarge,
    422: Invalid,
    503: Unavailable,
}


class Unreachable(JobdError):
    """Nobody answers on the socket, or the connection broke before the answer was complete."""


class Broken(Exception):
    """The connection ended before the first byte of an answer; `unsent` says that the request cannot have arrived."""

    def __init__(self, unsent: bool) -> None:
        super().__init__()
        self.unsent = unsent


class RunFailed(JobdError):
    """A run whose result was asked for did not succeed; `run` is how it ended."""

    def __init__(self, run: Mapping[str, Any]) -> None:
        how = run["error"] or run["outcome"] or run["state"]
        super().__init__(f"run {run['id']} of {run['job']} {run['state']} ({how})")
        self.run = run


def request(
    method: str, target: str, kind: str, content: bytes | None, headers: Mapping[str, str] | None = None
) -> bytes:
    """One request; `target` is quoted already, and so are `headers` of one's own."""
    head = [f"{method} {target} HTTP/1.1", "Host: jobd", *(f"{name}: {text}" for name, text in (headers or {}).items())]
    if content is not None:
        head += [f"Content-Type: {kind}", f"Content-Length: {len(content)}"]
    elif method != "GET":
        head.append("Content-Length: 0")
    return "\r\n".join([*head, "", ""]).encode("ascii") + (content or b"")


class Answer:
    """An answer as it comes in: fed with what was read, it gives what there is of the body."""

    def __init__(self) -> None:
        self.status = 0
        """0 until the head is complete."""
        self.is_complete = False
        self.closes = False
        self._kept = bytearray()
        self._left: int | None = None
        """Bytes of the body that are still to come; None where the connection's end ends it."""
        self._is_chunked = False
        self._chunk_left = 0
        """Bytes of the chunk that are still to come, its line end included."""
        self._is_last = False

    def feed(self, data: bytes) -> bytes:
        """What `data` (empty at the end of the connection) adds to the body. Raises ValueError for what is no HTTP."""
        if not data and not (self.status and self._left is None and not self._is_chunked):
            raise ValueError("end of connection")
        self._kept += data
        if not self.status and not self._take_head():
            return b""
        return self._chunks() if self._is_chunked else self._plain(is_end=not data)

    def _take_head(self) -> bool:
        end = self._kept.find(b"\r\n\r\n")
        if end < 0:
            if len(self._kept) > _LONGEST_HEAD or not b"HTTP/1.".startswith(self._kept[:7]):
                raise ValueError("no HTTP")
            return False
        first, *lines = bytes(self._kept[:end]).split(b"\r\n")
        del self._kept[: end + 4]
        words = first.split(None, 2)
        if len(words) < 2 or not words[0].startswith(b"HTTP/1."):
            raise ValueError("no HTTP")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        self.status = int(words[1])
        self._is_chunked = headers.get(b"transfer-encoding", b"").lower() == b"chunked"
        length = headers.get(b"content-length")
        self._left = None if length is None else int(length)
        self.closes = headers.get(b"connection", b"").lower() == b"close" or (length is None and not self._is_chunked)
        return True

    def _plain(self, *, is_end: bool) -> bytes:
        piece = self._take(len(self._kept) if self._left is None else self._left)
        if self._left is not None:
            self._left -= len(piece)
        self.is_complete = is_end if self._left is None else self._left == 0
        return piece

    def _chunks(self) -> bytes:
        """The data of chunks as far as they are there; a chunk counts with the line end behind it."""
        pieces = []
        while not self.is_complete:
            if not self._chunk_left and not self._next_chunk():
                break
            piece = self._take(self._chunk_left)
            if not piece:
                break
            pieces.append(piece[: max(0, self._chunk_left - 2)])
            self._chunk_left -= len(piece)
            self.is_complete = self._chunk_left == 0 and self._is_last  # jobd sends no trailers
        return b"".join(pieces)

    def _next_chunk(self) -> bool:
        end = self._kept.find(b"\r\n")
        if end < 0:
            return False
        size = int(self._take(end + 2).split(b";")[0], 16)
        self._chunk_left, self._is_last = size + 2, size == 0
        return True

    def _take(self, count: int) -> bytes:
        piece = bytes(self._kept[:count])
        del self._kept[:count]
        return piece


class EventLines:
    """Server-sent events as they come in: fed with bytes, it gives the events that are complete."""

    def __init__(self) -> None:
        self._kept = b""

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        *records, self._kept = (self._kept + data).split(b"\n\n")
        lines = [line for record in records for line in record.split(b"\n") if line.startswith(b"data: ")]
        return [json.loads(line[6:]) for line in lines]


def answered(status: int, body: bytes) -> Any:
    """The JSON of an answer. Raises the JobdError that fits a refusal."""
    if status >= 400:
        raise refusal(status, body)
    return json.loads(body)


def late(path: str, seconds: float) -> Unreachable:
    return Unreachable(f"the jobd on {path} did not answer within {seconds:g} s")


def absent(path: str, error: OSError) -> Unreachable:
    return Unreachable(f"no jobd answers on {path}: {error.strerror or error} (is it running?)")


def broken_off(error: Exception) -> Unreachable:
    return Unreachable(f"the answer of jobd broke off ({error})")


def lost(path: str) -> Unreachable:
    return Unreachable(
        f"the jobd on {path} hung up without an answer: whether the request was carried out is not known "
        "(a submit with a key can be sent again safely)"
    )


def refusal(status: int, body: bytes) -> JobdError:
    """The exception for a problem document."""
    try:
        problem = json.loads(body)
        detail = str(problem["detail"])
    except (ValueError, KeyError, TypeError):
        problem, detail = {"status": status}, f"jobd answered with status {status}"
    kind = _ERRORS.get(status, JobdError)
    if issubclass(kind, Invalid):
        made: JobdError = kind(detail, [(one["path"], one["message"]) for one in problem.get("errors", ())])
    else:
        made = kind(detail)
    made.problem = problem
    return made


def encode(value: Any) -> bytes:
    return json.dumps(value, default=_plain, allow_nan=False, separators=(",", ":")).encode()


def _plain(value: Any) -> Any:
    """A datetime as RFC 3339 and a timedelta as seconds. Raises TypeError for anything else JSON does not have."""
    if hasattr(value, "isoformat") and getattr(value, "tzinfo", None) is not None:
        return value.isoformat()
    if hasattr(value, "total_seconds"):
        return value.total_seconds()
    raise TypeError(f"{value!r} cannot be sent as JSON (an instant needs its time zone)")


def target(path: str, query: Mapping[str, Any]) -> str:
    """A path that is already quoted, with the parameters that are not None."""
    pairs = [f"{quote(key)}={quote(str(value))}" for key, value in query.items() if value is not None]
    return path + ("&" if "?" in path else "?") + "&".join(pairs) if pairs else path


def quote(text: str) -> str:
    return "".join(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in text.encode())
