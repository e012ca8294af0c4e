"""Raw HTTP over a Unix socket, so that tests decide about every byte."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.control.desk import MemoryDesk, Reception, serving


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Talk:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def open(cls, path: str) -> Talk:
        return cls(*await asyncio.open_unix_connection(path))

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    def ask(self, method: str, target: str, body: bytes | None = None, **headers: str) -> None:
        lines = [
            f"{method} {target} HTTP/1.1",
            "Host: jobd",
            *(f"{k.replace('_', '-')}: {v}" for k, v in headers.items()),
        ]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b""))

    async def head(self) -> Answer:
        async with asyncio.timeout(60):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:-2])}
        return Answer(int(head[0].split()[1]), headers, b"")

    async def answer(self) -> Answer:
        answer = await self.head()
        async with asyncio.timeout(60):
            if answer.headers.get("transfer-encoding") == "chunked":
                while chunk := await self.chunk():
                    answer.body += chunk
            else:
                answer.body = await self.reader.readexactly(int(answer.headers.get("content-length", 0)))
        return answer

    async def chunk(self) -> bytes:
        """The next chunk of a chunked answer; empty at its end."""
        async with asyncio.timeout(60):
            size = int(await self.reader.readline(), 16)
            data = await self.reader.readexactly(size)
            await self.reader.readline()
        return data

    async def ended(self, seconds: float = 10) -> bool:
        """Whether the server hangs up, after whatever it still says."""
        try:
            async with asyncio.timeout(seconds):
                while await self.reader.read(65536):
                    pass
        except ConnectionError:
            return True
        except TimeoutError:
            return False
        return True


@dataclass
class Served:
    """A desk that is served, and how to talk to it."""

    desk: MemoryDesk
    path: str
    reception: Reception

    async def open(self) -> Talk:
        return await Talk.open(self.path)

    async def ask(self, method: str, target: str, body: Any = None, **headers: str) -> Answer:
        talk = await self.open()
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        talk.ask(method, target, data, **headers)
        try:
            return await talk.answer()
        finally:
            talk.writer.close()

    async def get(self, target: str) -> Any:
        answer = await self.ask("GET", target)
        assert answer.status == 200, answer.body
        return answer.json


def served(
    tmp_path: Path, check: Callable[[Served], Awaitable[None]], desk: MemoryDesk | None = None, **limits: Any
) -> None:
    """Run a check against a server of its own."""

    async def run() -> None:
        made = desk or MemoryDesk()
        path = str(tmp_path / "jobd.sock")
        async with serving(made, path, **limits) as reception:
            await check(Served(made, path, reception))

    asyncio.run(run())
