"""The client for plain calls: one connection, one call after the other."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeVar

from jobd.client import calls, wire
from jobd.client.calls import ABSENT, Call, SubmittedRun
from jobd.client.places import default_socket
from jobd.client.wire import Answer, Broken, quote
from jobd.core.errors import JobdError

T = TypeVar("T")
_LEAST_SILENCE_SECONDS = 45.0
"""The stream of events says something every 15 s."""


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

    def submit(self, job: str, payload: Any = ABSENT, **options: Any) -> SubmittedRun:
        """Submit a run of a job; without `payload` it gets the job's own.

        Options are those of the API: queue, priority, run_at (aware datetime or RFC 3339 text), delay, key,
        max_attempts, timeout and expires (seconds, timedelta or text like "5m"), depends_on, traceparent and
        tracestate (W3C Trace Context; the environment's by default). A known `key` gives its run, marked `duplicate`.
        """
        return self._ask(calls.submit(job, payload, options))

    def submit_command(self, command: Sequence[str] | str, **options: Any) -> SubmittedRun:
        """Submit a command of one's own: an argument vector, or text that is split like a shell would."""
        return self._ask(calls.submit_command(command, options))

    def submit_many(self, submissions: Iterable[Mapping[str, Any]]) -> list[int]:
        """Submit all of these (each like the arguments of `submit`, with `job` or `command`), or none; their ids."""
        return self._ask(calls.submit_many(submissions))

    def run(self, run: int) -> dict[str, Any]:
        return self._ask(calls.get(f"/v1/runs/{run:d}"))

    def runs(self, *, limit: int = 50, **filters: Any) -> list[dict[str, Any]]:
        """The newest `limit` runs; filters: job, state (one or comma-separated), queue, since."""
        return self._listed("/v1/runs", limit, filters)

    def tree(self, run: int) -> dict[str, Any]:
        """The runs that hang together with a run (`items`), and what waits for what (`edges`)."""
        return self._ask(calls.get(f"/v1/runs/{run:d}/tree"))

    def attempts(self, run: int) -> list[dict[str, Any]]:
        return self._ask(calls.items(f"/v1/runs/{run:d}/attempts"))

    def wait(self, run: int, timeout: float | None = None) -> dict[str, Any]:
        """The run when it is final, or as it is after `timeout` seconds (`final` tells which); None waits for ever."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = calls.POLL_SECONDS if deadline is None else max(0.0, deadline - time.monotonic())
            found = self._ask(calls.wait(run, left))
            if found["final"] or (deadline is not None and time.monotonic() >= deadline):
                return found

    def result(self, run: int, timeout: float | None = None) -> Any:
        """What a run returned. Raises RunFailed if it does not succeed, TimeoutError after `timeout` seconds."""
        return calls.result_of(self.wait(run, timeout))

    def cancel(self, run: int) -> str:
        """End a run; the state it has now."""
        return self._ask(calls.cancel(run))

    def kill(self, run: int, signal: str | int = "TERM") -> dict[str, Any]:
        """Send a signal to every process of a running run: `{id, attempt, signal, number, pids}`."""
        return self._ask(calls.kill(run, signal))

    def retry(self, run: int, payload: Any = ABSENT) -> str:
        """Queue a failed or cancelled run again, with another payload if one is given; the state it has now."""
        return self._ask(calls.retry(run, payload))

    def dead_letters(self, *, limit: int = 50, **filters: Any) -> list[dict[str, Any]]:
        """Runs that failed for good and that nobody has acted on, the latest first; filters: job, queue."""
        return self._listed("/v1/dead-letters", limit, filters)

    def retry_dead(
        self,
        *runs: int,
        job: str | None = None,
        queue: str | None = None,
        payload: Any = ABSENT,
        dry_run: bool = False,
    ) -> list[int]:
        """Queue dead letters again: these runs, or those of a job or queue, or all; the runs that were.

        At most a thousand at a time: call again until nothing is left. With `dry_run` nothing is done.
        """
        return self._ask(calls.retry_dead(runs, job, queue, payload, dry_run))

    def drop_dead(self, *runs: int, job: str | None = None, queue: str | None = None) -> list[int]:
        """Put dead letters away: these runs, or those of a job or queue, or all. The runs that were."""
        return self._ask(calls.drop_dead(runs, job, queue))

    def pause(
        self, job: str | None = None, *, queue: str | None = None, until: Any = None, note: str | None = None
    ) -> dict[str, Any]:
        """Let nothing of a job start, or of a queue, or (without either) nothing at all; `until` an instant or "2h"."""
        return self._ask(calls.pause(job, queue, until, note))

    def resume(self, job: str | None = None, *, queue: str | None = None) -> dict[str, Any]:
        """End the pause of a job, a queue or everything."""
        return self._ask(calls.resume(job, queue))

    def status(self, *, jobs: int | Literal["all"] | None = None) -> dict[str, Any]:
        """The daemon at a glance, with the first so many of its jobs (a hundred) or all of them."""
        return self._ask(calls.get("/v1/status", jobs=jobs))

    def health(self, queue: str | None = None) -> dict[str, Any]:
        return self._ask(calls.get("/v1/health", queue=queue))

    def version(self) -> dict[str, Any]:
        return self._ask(calls.get("/v1/version"))

    def jobs(self) -> list[dict[str, Any]]:
        return self._ask(calls.items("/v1/jobs"))

    def job(self, name: str) -> dict[str, Any]:
        return self._ask(calls.get(f"/v1/jobs/{quote(name)}"))

    def next(self, job: str, n: int = 5) -> list[dict[str, Any]]:
        """The coming `n` slots of a job."""
        return self._ask(calls.items(f"/v1/jobs/{quote(job)}/next", n=n))

    def why(self, job_or_run: str | int, at: str | None = None) -> dict[str, Any]:
        """Why a job is not running or a run waits; with `at`, what became of the job's slot there.

        `at` is RFC 3339, or a local time of the job's zone like `2026-12-24T18:00` or `02:30`.
        """
        return self._ask(calls.why(job_or_run, at))

    def slots(self, **filters: Any) -> list[dict[str, Any]]:
        """What became of due slots, newest first; filters: job, from, to, disposition, limit."""
        return self._ask(calls.items("/v1/slots", **filters))

    def queues(self) -> list[dict[str, Any]]:
        return self._ask(calls.items("/v1/queues"))

    def reload(self, *, dry_run: bool = False) -> dict[str, Any]:
        """Have the definitions read again; what changed, and the problems."""
        return self._ask(calls.post("/v1/reload", dry_run=int(dry_run)))

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        lines: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Any request of the control API and its JSON answer; `lines` are sent as JSON lines in place of `body`.

        A request that cannot have arrived is sent again over a new connection, and so is a lost GET.
        """
        return self._ask(calls.any_request(method, path, query, body, lines, headers))

    def output(
        self,
        run: int,
        stream: str = "both",
        *,
        attempt: int | None = None,
        follow: bool = False,
        offset: int = 0,
        lines: int | None = None,
        raw: bool = False,
    ) -> Iterator[bytes]:
        """What an attempt (the latest by default) wrote, over a connection of its own; `follow` goes on to its end.

        It begins at `offset` of the one stream, or with the last `lines` of what there is. Secrets are masked (`***`)
        unless `raw` asks for the bytes as they are.
        """
        call = calls.output(run, stream, attempt, follow, offset, lines, raw)
        return self._stream(call, None if follow else self._timeout)

    def events(self, *, since: int | None = None, follow: bool = True, **filters: Any) -> Iterator[dict[str, Any]]:
        """What happens, over a connection of its own; filters: job, run, queue, kind (one or several).

        Begins behind the event with the id `since`, by default with the next one; an event of the kind `gap` stands for
        those that jobd has no more. Without `follow` it ends with what there is, and begins with the oldest of that.
        """
        told = wire.EventLines()
        for piece in self._stream(calls.events(since, follow, filters), max(self._timeout, _LEAST_SILENCE_SECONDS)):
            yield from told.feed(piece)

    def backup(self) -> Iterator[bytes]:
        """A copy of the database, piece by piece, over a connection of its own; for administrators."""
        return self._stream(calls.backup(), None)

    def _listed(self, path: str, limit: int, filters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The first `limit` items of a list, over as many pages as it takes."""
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while len(found) < limit:
            page = self._ask(calls.page(path, limit - len(found), cursor, filters))
            found += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        return found

    def _ask(self, call: Call[T]) -> T:
        """The answer to a call. One that cannot have arrived is sent again once, and so is a lost question."""
        for is_last in (False, True):
            connection, is_new = self._connected()
            try:
                answer, first = connection.ask(call.data)
            except Broken as broken:
                self.close()
                if is_last or is_new or not (broken.unsent or call.method == "GET"):
                    raise wire.lost(self.socket_path) from None
                continue
            except JobdError:
                self.close()  # what comes too late must not be taken for the next answer
                raise
            try:
                body = first + b"".join(connection.rest(answer))
            except JobdError:
                self.close()
                raise
            if answer.closes:
                self.close()
            return call.read(wire.answered(answer.status, body))
        raise AssertionError("the second try returns or raises")

    def _stream(self, call: Call[Any], timeout: float | None) -> Iterator[bytes]:
        """The body of an answer as it comes, over a connection of its own."""
        connection = _Wire(self.socket_path, timeout)
        try:
            answer, first = connection.ask(call.data)
            if answer.status >= 400:
                raise wire.refusal(answer.status, first + b"".join(connection.rest(answer)))
            if first:
                yield first
            yield from connection.rest(answer)
        except Broken:
            raise wire.lost(self.socket_path) from None
        finally:
            connection.close()

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
            raise wire.absent(path, error) from None
        self._used_at = time.monotonic()

    def is_fresh(self) -> bool:
        """Whether the daemon has kept its end open, as far as can be known without asking."""
        if time.monotonic() - self._used_at > wire.FRESH_SECONDS:
            return False
        # Not recv(MSG_DONTWAIT): on a socket with a timeout Python waits before it ever calls recv.
        silence = select.poll()
        silence.register(self._socket, select.POLLIN)
        return not silence.poll(0)

    def close(self) -> None:
        self._socket.close()

    def ask(self, data: bytes) -> tuple[Answer, bytes]:
        """Send a request; its answer, and what came of the body with the head.

        Raises Broken where no answer came, Unreachable at the timeout.
        """
        unsent = False
        try:
            self._socket.sendall(data)
        except TimeoutError:
            raise self._late() from None
        except OSError:
            unsent = True  # there may still be an answer that says why: too large, too many connections
        answer, first = Answer(), b""
        try:
            while not answer.status:
                first = answer.feed(self._socket.recv(wire.READ_AT_ONCE))
        except TimeoutError:
            raise self._late() from None
        except (OSError, ValueError):
            raise Broken(unsent) from None
        self._used_at = time.monotonic()
        return answer, first

    def rest(self, answer: Answer) -> Iterator[bytes]:
        """The body in pieces, as far as it is still to come. Raises Unreachable where it breaks off."""
        try:
            while not answer.is_complete:
                if piece := answer.feed(self._socket.recv(wire.READ_AT_ONCE)):
                    yield piece
        except TimeoutError:
            raise self._late() from None
        except (OSError, ValueError) as error:
            raise wire.broken_off(error) from None

    def _late(self) -> wire.Unreachable:
        return wire.late(self._path, self._socket.gettimeout() or 0.0)
