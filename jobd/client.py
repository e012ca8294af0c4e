"""The Python client of a jobd on this host: plain calls over its Unix socket, on nothing but the standard library.

It speaks HTTP itself, because importing http.client takes longer than everything else `jobd-ctl status` does.
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

from jobd.core.errors import Conflict, Invalid, JobdError, NotFound, NotPermitted, TooLarge, Unavailable

SYSTEM_SOCKET = "/run/jobd/jobd.sock"
_ABSENT: Any = object()
_FRESH_SECONDS = 20.0
"""The daemon drops a silent connection after 30 s; one that is older than this is not used again."""
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


class _Broken(Exception):
    """The connection ended before the first byte of an answer; `unsent` says that the request cannot have arrived."""

    def __init__(self, unsent: bool) -> None:
        super().__init__()
        self.unsent = unsent


class SubmittedRun(int):
    """The id of a run that jobd has durably accepted, with the state it has and whether it was there already."""

    state: str
    duplicate: bool

    def __new__(cls, answer: Mapping[str, Any]) -> SubmittedRun:
        made = super().__new__(cls, answer["id"])
        made.state = answer["state"]
        made.duplicate = bool(answer.get("duplicate"))
        return made


def default_socket() -> str:
    """JOBD_SOCKET; else that of the jobd of this virtual environment, of this user's own jobd, of the system.

    A virtual environment's is named by the file `jobd-socket` in it, which `make run` leaves there.
    """
    if named := os.environ.get("JOBD_SOCKET") or _named_by_environment():
        return named
    own = os.path.join(os.environ.get("XDG_RUNTIME_DIR", "/nonexistent"), "jobd", "jobd.sock")
    return own if os.path.exists(own) else SYSTEM_SOCKET


def _named_by_environment() -> str:
    if sys.prefix == sys.base_prefix:
        return ""
    try:
        with open(os.path.join(sys.prefix, "jobd-socket"), encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return ""  # there is none: the usual places follow


class Client:
    """One connection to jobd, made at the first call and again when it is lost. Not for use by two threads at once.

    Every call raises the JobdError that fits the refusal (`error.problem` is its RFC 9457 document), or Unreachable.
    `timeout_seconds` bounds each wait for bytes of an answer.
    """

    def __init__(self, socket_path: str | None = None, *, timeout_seconds: float = 60.0) -> None:
        self.socket_path = socket_path or default_socket()
        self._timeout = timeout_seconds
        self._wire: _Wire | None = None

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next call makes a new one."""
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    def submit(self, job: str, payload: Any = _ABSENT, **options: Any) -> SubmittedRun:
        """Submit a run of a job; without `payload` it gets the job's own.

        Options are those of the API: queue, priority, run_at (aware datetime or RFC 3339 text), delay, key,
        max_attempts, timeout and expires (seconds, timedelta or text like "5m"). A known `key` gives its run, marked
        `duplicate`.
        """
        return self._submit({"job": job} | ({} if payload is _ABSENT else {"payload": payload}) | options)

    def submit_command(self, command: Sequence[str] | str, **options: Any) -> SubmittedRun:
        """Submit a command of one's own: an argument vector, or text that is split like a shell would."""
        return self._submit({"command": command if isinstance(command, str) else list(command)} | options)

    def _submit(self, submission: dict[str, Any]) -> SubmittedRun:
        return SubmittedRun(self.request("POST", "/v1/runs", body=submission))

    def submit_many(self, submissions: Iterable[Mapping[str, Any]]) -> list[int]:
        """Submit all of these (each like the arguments of `submit`, with `job` or `command`), or none; their ids."""
        lines = b"\n".join(_json(one) for one in submissions)
        ids: list[int] = self.request("POST", "/v1/runs", lines=lines)["ids"]
        return ids

    def run(self, run: int) -> dict[str, Any]:
        return self._get(f"/v1/runs/{run:d}")

    def runs(self, *, limit: int = 50, **filters: Any) -> list[dict[str, Any]]:
        """The newest `limit` runs; filters: job, state (one or comma-separated), queue, since."""
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while len(found) < limit:
            page = self._get("/v1/runs", **filters, limit=min(1000, limit - len(found)), cursor=cursor)
            found += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        return found

    def tree(self, run: int) -> dict[str, Any]:
        """The runs that hang together with a run (`items`), and what waits for what (`edges`)."""
        return self._get(f"/v1/runs/{run:d}/tree")

    def attempts(self, run: int) -> list[dict[str, Any]]:
        return self._items(f"/v1/runs/{run:d}/attempts")

    def wait(self, run: int, timeout: float | None = None) -> dict[str, Any]:
        """The run when it is final, or as it is after `timeout` seconds (`final` tells which); None waits for ever."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = 30.0 if deadline is None else max(0.0, deadline - time.monotonic())
            found = self._get(f"/v1/runs/{run:d}/wait", timeout=f"{min(left, 30.0):.3f}")
            if found["final"] or (deadline is not None and time.monotonic() >= deadline):
                return found

    def cancel(self, run: int) -> str:
        """End a run; the state it has now."""
        return str(self.request("POST", f"/v1/runs/{run:d}/cancel")["state"])

    def retry(self, run: int, payload: Any = _ABSENT) -> str:
        """Queue a failed or cancelled run again, with another payload if one is given; the state it has now."""
        body = None if payload is _ABSENT else {"payload": payload}
        return str(self.request("POST", f"/v1/runs/{run:d}/retry", body=body)["state"])

    def output(
        self, run: int, stream: str = "both", *, attempt: int | None = None, follow: bool = False, offset: int = 0
    ) -> Iterator[bytes]:
        """What an attempt (the latest by default) wrote, over a connection of its own; `follow` goes on to its end."""
        query = {"stream": stream, "attempt": attempt, "follow": int(follow), "offset": offset or None}
        wire = _Wire(self.socket_path, None if follow else self._timeout)
        try:
            answer = wire.ask("GET", _target(f"/v1/runs/{run:d}/output", query), None, None)
            if answer.status >= 400:
                raise _refusal(answer.status, answer.read())
            yield from answer.chunks()
        except _Broken:
            raise _lost(self.socket_path) from None
        finally:
            wire.close()

    def status(self) -> dict[str, Any]:
        return self._get("/v1/status")

    def health(self, queue: str | None = None) -> dict[str, Any]:
        return self._get("/v1/health", queue=queue)

    def version(self) -> dict[str, Any]:
        return self._get("/v1/version")

    def jobs(self) -> list[dict[str, Any]]:
        return self._items("/v1/jobs")

    def job(self, name: str) -> dict[str, Any]:
        return self._get(f"/v1/jobs/{_quote(name)}")

    def next(self, job: str, n: int = 5) -> list[dict[str, Any]]:
        """The coming `n` slots of a job."""
        return self._items(f"/v1/jobs/{_quote(job)}/next", n=n)

    def why(self, job_or_run: str | int, at: str | None = None) -> dict[str, Any]:
        """Why a job is not running or a run waits; with `at`, what became of the job's slot there.

        `at` is RFC 3339, or a local time of the job's zone like `2026-12-24T18:00` or `02:30`.
        """
        if isinstance(job_or_run, int):
            return self._get(f"/v1/runs/{job_or_run:d}/why")
        return self._get(f"/v1/jobs/{_quote(job_or_run)}/why", at=at)

    def slots(self, **filters: Any) -> list[dict[str, Any]]:
        """What became of due slots, newest first; filters: job, from, to, disposition, limit."""
        return self._items("/v1/slots", **filters)

    def queues(self) -> list[dict[str, Any]]:
        return self._items("/v1/queues")

    def reload(self, *, dry_run: bool = False) -> dict[str, Any]:
        """Have the definitions read again; what changed, and the problems."""
        changed: dict[str, Any] = self.request("POST", "/v1/reload", query={"dry_run": int(dry_run)})
        return changed

    def _get(self, path: str, **query: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.request("GET", path, query=query)
        return found

    def _items(self, path: str, **query: Any) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self._get(path, **query)["items"]
        return items

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        lines: bytes | None = None,
    ) -> Any:
        """Any request of the control API and its JSON answer; `lines` are sent as JSON lines in place of `body`.

        A request that cannot have arrived is sent again over a new connection, and so is a lost GET.
        """
        kind = "application/x-ndjson" if lines is not None else "application/json"
        content = lines if lines is not None else None if body is None else _json(body)
        target = _target(path, query or {})
        for is_last in (False, True):
            wire, is_new = self._connected()
            try:
                answer = wire.ask(method, target, kind, content)
                data = answer.read()
            except _Broken as broken:
                self.close()
                if is_last or is_new or not (broken.unsent or method == "GET"):
                    raise _lost(self.socket_path) from None
                continue
            if answer.closes:
                self.close()
            if answer.status >= 400:
                raise _refusal(answer.status, data)
            return json.loads(data)
        raise AssertionError("the second try returns or raises")

    def _connected(self) -> tuple[_Wire, bool]:
        if self._wire is not None and self._wire.is_fresh():
            return self._wire, False
        self.close()
        self._wire = _Wire(self.socket_path, self._timeout)
        return self._wire, True


class _Wire:
    """One connection: requests out, answers in, one after the other."""

    def __init__(self, path: str, timeout: float | None) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout)
        try:
            self._socket.connect(path)
        except OSError as error:
            self._socket.close()
            raise Unreachable(f"no jobd answers on {path}: {error.strerror or error} (is it running?)") from None
        self._file: BinaryIO = self._socket.makefile("rb")
        self._used_at = time.monotonic()

    def is_fresh(self) -> bool:
        """Whether the daemon has kept its end open, as far as can be known without asking."""
        if time.monotonic() - self._used_at > _FRESH_SECONDS:
            return False
        # Not recv(MSG_DONTWAIT): on a socket with a timeout Python waits before it ever calls recv.
        silence = select.poll()
        silence.register(self._socket, select.POLLIN)
        return not silence.poll(0)

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def ask(self, method: str, target: str, kind: str | None, content: bytes | None) -> _Answer:
        """Send a request; the head of its answer. Raises _Broken where none came, Unreachable at the timeout."""
        head = [f"{method} {target} HTTP/1.1", "Host: jobd"]
        if content is not None:
            head += [f"Content-Type: {kind}", f"Content-Length: {len(content)}"]
        elif method != "GET":
            head.append("Content-Length: 0")
        unsent = False
        try:
            self._socket.sendall("\r\n".join([*head, "", ""]).encode("ascii") + (content or b""))
        except TimeoutError:
            raise self._late() from None
        except OSError:
            unsent = True  # there may still be an answer that says why: too large, too many connections
        try:
            answer = _Answer(self._file)
        except TimeoutError:
            raise self._late() from None
        except (OSError, ValueError):
            raise _Broken(unsent) from None
        self._used_at = time.monotonic()
        return answer

    def _late(self) -> Unreachable:
        return Unreachable(f"the jobd on {self._path} did not answer within {self._socket.gettimeout():g} s")


class _Answer:
    """The head of an answer, and its body as it comes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        words = file.readline(8192).split(None, 2)
        if len(words) < 2 or not words[0].startswith(b"HTTP/1."):
            raise ValueError("no HTTP")
        self.status = int(words[1])
        headers: dict[bytes, bytes] = {}
        while line := file.readline(8192).strip():
            name, _, value = line.partition(b":")
            headers[name.lower()] = value.strip()
        self._length = int(headers.get(b"content-length", b"-1"))
        self._is_chunked = headers.get(b"transfer-encoding", b"").lower() == b"chunked"
        self.closes = headers.get(b"connection", b"").lower() == b"close" or (self._length < 0 and not self._is_chunked)

    def read(self) -> bytes:
        return b"".join(self.chunks())

    def chunks(self) -> Iterator[bytes]:
        """The body in pieces. Raises Unreachable where it breaks off."""
        try:
            yield from self._chunked() if self._is_chunked else self._plain()
        except (OSError, ValueError) as error:
            raise Unreachable(f"the answer of jobd broke off ({error})") from None

    def _plain(self) -> Iterator[bytes]:
        left = self._length
        while left != 0:
            piece = self._file.read(min(65536, left) if left > 0 else 65536)
            if not piece and left < 0:
                return
            if not piece:
                raise ValueError("end of connection")
            left -= len(piece) if left > 0 else 0
            yield piece

    def _chunked(self) -> Iterator[bytes]:
        while size := int(self._file.readline(64).split(b";")[0], 16):
            piece = self._file.read(size)
            if len(piece) < size or self._file.read(2) != b"\r\n":
                raise ValueError("end of connection")
            yield piece
        while self._file.readline(8192).strip():
            pass  # trailers, of which jobd sends none


def _lost(path: str) -> Unreachable:
    return Unreachable(
        f"the jobd on {path} hung up without an answer: whether the request was carried out is not known "
        "(a submit with a key can be sent again safely)"
    )


def _refusal(status: int, body: bytes) -> JobdError:
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


def _json(value: Any) -> bytes:
    return json.dumps(value, default=_plain, allow_nan=False, separators=(",", ":")).encode()


def _plain(value: Any) -> Any:
    """A datetime as RFC 3339 and a timedelta as seconds. Raises TypeError for anything else JSON does not have."""
    if hasattr(value, "isoformat") and getattr(value, "tzinfo", None) is not None:
        return value.isoformat()
    if hasattr(value, "total_seconds"):
        return value.total_seconds()
    raise TypeError(f"{value!r} cannot be sent as JSON (an instant needs its time zone)")


def _target(path: str, query: Mapping[str, Any]) -> str:
    """A path that is already quoted, with the parameters that are not None."""
    pairs = [f"{_quote(key)}={_quote(str(value))}" for key, value in query.items() if value is not None]
    return path + ("&" if "?" in path else "?") + "&".join(pairs) if pairs else path


def _quote(text: str) -> str:
    return "".join(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in text.encode())
