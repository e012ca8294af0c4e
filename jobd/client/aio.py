"""The client for asyncio: the same calls as `Client`, any number of them at a time, each safe to cancel."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Literal, TypeVar

from jobd.client import calls, wire
from jobd.client.calls import ABSENT, Call, SubmittedRun
from jobd.client.places import default_socket
from jobd.client.wire import Answer, Broken, quote

T = TypeVar("T")
_CALLS_AT_ONCE, _WAITS_AT_ONCE = 8, 32
"""Connections for calls, and for waiting on runs; the daemon lets a user have 64."""
_LEAST_SILENCE_SECONDS = 45.0
"""The stream of events says something every 15 s."""


class AsyncClient:
    """Connections to jobd for one event loop, made when needed and kept for the next call.

    Tasks may share it: a call takes a connection that is free or opens one, and the calls beyond eight wait for their
    turn (waiting for runs has turns of its own). A call that is cancelled or fails half way drops its connection;
    whether a submit that was cancelled was carried out is not known, and with a `key` it can be sent again safely.
    Raises what `Client` raises. `timeout_seconds` bounds each wait for bytes of an answer.
    """

    def __init__(self, socket_path: str | None = None, *, timeout_seconds: float = 60.0) -> None:
        self.socket_path = socket_path or default_socket()
        self._timeout = timeout_seconds
        self._idle: list[_Wire] = []
        self._calls = asyncio.Semaphore(_CALLS_AT_ONCE)
        self._waits = asyncio.Semaphore(_WAITS_AT_ONCE)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections that no call is using; the next call makes a new one."""
        while self._idle:
            self._idle.pop().close()

    async def submit(self, job: str, payload: Any = ABSENT, **options: Any) -> SubmittedRun:
        """Submit a run of a job; without `payload` it gets the job's own.

        Options are those of the API: queue, priority, run_at (aware datetime or RFC 3339 text), delay, key,
        max_attempts, timeout and expires (seconds, timedelta or text like "5m"), depends_on, traceparent and
        tracestate (W3C Trace Context; the environment's by default). A known `key` gives its run, marked `duplicate`.
        """
        return await self._ask(calls.submit(job, payload, options))

    async def submit_command(self, command: Sequence[str] | str, **options: Any) -> SubmittedRun:
        """Submit a command of one's own: an argument vector, or text that is split like a shell would."""
        return await self._ask(calls.submit_command(command, options))

    async def submit_many(self, submissions: Iterable[Mapping[str, Any]]) -> list[int]:
        """Submit all of these (each like the arguments of `submit`, with `job` or `command`), or none; their ids."""
        return await self._ask(calls.submit_many(submissions))

    async def run(self, run: int) -> dict[str, Any]:
        return await self._ask(calls.get(f"/v1/runs/{run:d}"))

    async def runs(self, *, limit: int = 50, **filters: Any) -> list[dict[str, Any]]:
        """The newest `limit` runs; filters: job, state (one or comma-separated), queue, since."""
        return await self._listed("/v1/runs", limit, filters)

    async def tree(self, run: int) -> dict[str, Any]:
        """The runs that hang together with a run (`items`), and what waits for what (`edges`)."""
        return await self._ask(calls.get(f"/v1/runs/{run:d}/tree"))

    async def attempts(self, run: int) -> list[dict[str, Any]]:
        return await self._ask(calls.items(f"/v1/runs/{run:d}/attempts"))

    async def wait(self, run: int, timeout: float | None = None) -> dict[str, Any]:  # noqa: ASYNC109 - as in Client
        """The run when it is final, or as it is after `timeout` seconds (`final` tells which); None waits for ever."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = calls.POLL_SECONDS if deadline is None else max(0.0, deadline - time.monotonic())
            found = await self._ask(calls.wait(run, left), self._waits)
            if found["final"] or (deadline is not None and time.monotonic() >= deadline):
                return found

    async def result(self, run: int, timeout: float | None = None) -> Any:  # noqa: ASYNC109 - as in Client
        """What a run returned. Raises RunFailed if it does not succeed, TimeoutError after `timeout` seconds."""
        return calls.result_of(await self.wait(run, timeout))

    async def cancel(self, run: int) -> str:
        """End a run; the state it has now."""
        return await self._ask(calls.cancel(run))

    async def kill(self, run: int, signal: str | int = "TERM") -> dict[str, Any]:
        """Send a signal to every process of a running run: `{id, attempt, signal, number, pids}`."""
        return await self._ask(calls.kill(run, signal))

    async def retry(self, run: int, payload: Any = ABSENT) -> str:
        """Queue a failed or cancelled run again, with another payload if one is given; the state it has now."""
        return await self._ask(calls.retry(run, payload))

    async def dead_letters(self, *, limit: int = 50, **filters: Any) -> list[dict[str, Any]]:
        """Runs that failed for good and that nobody has acted on, the latest first; filters: job, queue."""
        return await self._listed("/v1/dead-letters", limit, filters)

    async def retry_dead(
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
        return await self._ask(calls.retry_dead(runs, job, queue, payload, dry_run))

    async def drop_dead(self, *runs: int, job: str | None = None, queue: str | None = None) -> list[int]:
        """Put dead letters away: these runs, or those of a job or queue, or all. The runs that were."""
        return await self._ask(calls.drop_dead(runs, job, queue))

    async def pause(
        self, job: str | None = None, *, queue: str | None = None, until: Any = None, note: str | None = None
    ) -> dict[str, Any]:
        """Let nothing of a job start, or of a queue, or (without either) nothing at all; `until` an instant or "2h"."""
        return await self._ask(calls.pause(job, queue, until, note))

    async def resume(self, job: str | None = None, *, queue: str | None = None) -> dict[str, Any]:
        """End the pause of a job, a queue or everything."""
        return await self._ask(calls.resume(job, queue))

    async def status(self, *, jobs: int | Literal["all"] | None = None) -> dict[str, Any]:
        """The daemon at a glance, with the first so many of its jobs (a hundred) or all of them."""
        return await self._ask(calls.get("/v1/status", jobs=jobs))

    async def health(self, queue: str | None = None) -> dict[str, Any]:
        return await self._ask(calls.get("/v1/health", queue=queue))

    async def version(self) -> dict[str, Any]:
        return await self._ask(calls.get("/v1/version"))

    async def jobs(self) -> list[dict[str, Any]]:
        return await self._ask(calls.items("/v1/jobs"))

    async def job(self, name: str) -> dict[str, Any]:
        return await self._ask(calls.get(f"/v1/jobs/{quote(name)}"))

    async def next(self, job: str, n: int = 5) -> list[dict[str, Any]]:
        """The coming `n` slots of a job."""
        return await self._ask(calls.items(f"/v1/jobs/{quote(job)}/next", n=n))

    async def why(self, job_or_run: str | int, at: str | None = None) -> dict[str, Any]:
        """Why a job is not running or a run waits; with `at`, what became of the job's slot there.

        `at` is RFC 3339, or a local time of the job's zone like `2026-12-24T18:00` or `02:30`.
        """
        return await self._ask(calls.why(job_or_run, at))

    async def slots(self, **filters: Any) -> list[dict[str, Any]]:
        """What became of due slots, newest first; filters: job, from, to, disposition, limit."""
        return await self._ask(calls.items("/v1/slots", **filters))

    async def queues(self) -> list[dict[str, Any]]:
        return await self._ask(calls.items("/v1/queues"))

    async def reload(self, *, dry_run: bool = False) -> dict[str, Any]:
        """Have the definitions read again; what changed, and the problems."""
        return await self._ask(calls.post("/v1/reload", dry_run=int(dry_run)))

    async def request(
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
        return await self._ask(calls.any_request(method, path, query, body, lines, headers))

    async def output(
        self,
        run: int,
        stream: str = "both",
        *,
        attempt: int | None = None,
        follow: bool = False,
        offset: int = 0,
        lines: int | None = None,
        raw: bool = False,
    ) -> AsyncGenerator[bytes]:
        """What an attempt (the latest by default) wrote, over a connection of its own; `follow` goes on to its end.

        It begins at `offset` of the one stream, or with the last `lines` of what there is. Secrets are masked (`***`)
        unless `raw` asks for the bytes as they are.
        """
        call = calls.output(run, stream, attempt, follow, offset, lines, raw)
        async with aclosing(self._stream(call, None if follow else self._timeout)) as pieces:
            async for piece in pieces:
                yield piece

    async def events(
        self, *, since: int | None = None, follow: bool = True, **filters: Any
    ) -> AsyncGenerator[dict[str, Any]]:
        """What happens, over a connection of its own; filters: job, run, queue, kind (one or several).

        Begins behind the event with the id `since`, by default with the next one; an event of the kind `gap` stands for
        those that jobd has no more. Without `follow` it ends with what there is, and begins with the oldest of that.
        """
        told = wire.EventLines()
        timeout = max(self._timeout, _LEAST_SILENCE_SECONDS)
        async with aclosing(self._stream(calls.events(since, follow, filters), timeout)) as pieces:
            async for piece in pieces:
                for event in told.feed(piece):
                    yield event

    async def backup(self) -> AsyncGenerator[bytes]:
        """A copy of the database, piece by piece, over a connection of its own; for administrators."""
        async with aclosing(self._stream(calls.backup(), None)) as pieces:
            async for piece in pieces:
                yield piece

    async def _listed(self, path: str, limit: int, filters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The first `limit` items of a list, over as many pages as it takes."""
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while len(found) < limit:
            page = await self._ask(calls.page(path, limit - len(found), cursor, filters))
            found += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        return found

    async def _ask(self, call: Call[T], turns: asyncio.Semaphore | None = None) -> T:
        """The answer to a call. One that cannot have arrived is sent again once, and so is a lost question."""
        async with turns or self._calls:
            for is_last in (False, True):
                connection, is_new = await self._connected()
                try:
                    status, body = await self._over(connection, call)
                except Broken as broken:
                    if is_last or is_new or not (broken.unsent or call.method == "GET"):
                        raise wire.lost(self.socket_path) from None
                    continue
                return call.read(wire.answered(status, body))
            raise AssertionError("the second try returns or raises")

    async def _over(self, connection: _Wire, call: Call[Any]) -> tuple[int, bytes]:
        """Ask over a connection, which is kept only after a whole answer."""
        is_whole = False
        try:
            answer, body = await connection.ask(call.data)
            async for piece in connection.rest(answer):
                body += piece
            is_whole = not answer.closes
        finally:
            if is_whole:
                self._idle.append(connection)
            else:
                connection.close()
        return answer.status, body

    async def _stream(self, call: Call[Any], patience: float | None) -> AsyncGenerator[bytes]:
        """The body of an answer as it comes, over a connection of its own."""
        connection = await _Wire.open(self.socket_path, patience)
        try:
            answer, first = await connection.ask(call.data)
            if answer.status >= 400:
                raise wire.refusal(answer.status, first + b"".join([piece async for piece in connection.rest(answer)]))
            if first:
                yield first
            async for piece in connection.rest(answer):
                yield piece
        except Broken:
            raise wire.lost(self.socket_path) from None
        finally:
            connection.close()

    async def _connected(self) -> tuple[_Wire, bool]:
        if self._idle:
            await asyncio.sleep(0)  # the loop learns of the connections that jobd has closed
        while self._idle:
            connection = self._idle.pop()
            if connection.is_fresh():
                return connection, False
            connection.close()
        return await _Wire.open(self.socket_path, self._timeout), True


class _Wire:
    """One connection: requests out, answers in, one after the other."""

    def __init__(
        self, path: str, patience: float | None, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._path, self._timeout = path, patience
        self._reader, self._writer = reader, writer
        self._used_at = time.monotonic()

    @classmethod
    async def open(cls, path: str, patience: float | None) -> _Wire:
        try:
            reader, writer = await asyncio.open_unix_connection(path)
        except OSError as error:
            raise wire.absent(path, error) from None
        return cls(path, patience, reader, writer)

    def is_fresh(self) -> bool:
        """Whether the daemon has kept its end open, as far as can be known without asking."""
        return time.monotonic() - self._used_at <= wire.FRESH_SECONDS and not self._reader.at_eof()

    def close(self) -> None:
        self._writer.close()

    async def ask(self, data: bytes) -> tuple[Answer, bytes]:
        """Send a request; its answer, and what came of the body with the head.

        Raises Broken where no answer came, Unreachable at the timeout.
        """
        unsent = False
        try:
            self._writer.write(data)
            async with asyncio.timeout(self._timeout):
                await self._writer.drain()
        except TimeoutError:
            raise self._late() from None
        except OSError:
            unsent = True  # there may still be an answer that says why: too large, too many connections
        answer, first = Answer(), b""
        try:
            while not answer.status:
                first = answer.feed(await self._read())
        except (OSError, ValueError):
            raise Broken(unsent) from None
        self._used_at = time.monotonic()
        return answer, first

    async def rest(self, answer: Answer) -> AsyncGenerator[bytes]:
        """The body in pieces, as far as it is still to come. Raises Unreachable where it breaks off."""
        try:
            while not answer.is_complete:
                if piece := answer.feed(await self._read()):
                    yield piece
        except (OSError, ValueError) as error:
            raise wire.broken_off(error) from None

    async def _read(self) -> bytes:
        try:
            async with asyncio.timeout(self._timeout):
                return await self._reader.read(wire.READ_AT_ONCE)
        except TimeoutError:
            raise self._late() from None

    def _late(self) -> wire.Unreachable:
        return wire.late(self._path, self._timeout or 0.0)
