"""The Python clients of jobd, on nothing but the standard library: `Client` for plain calls, `AsyncClient`
for asyncio.

What is said is in `wire` (HTTP, without any I/O) and `calls` (each call as a value); `sync` and `aio` only carry it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jobd.client.calls import SubmittedRun
from jobd.client.places import SYSTEM_SOCKET, default_socket
from jobd.client.sync import Client
from jobd.client.wire import RunFailed, Unreachable

if TYPE_CHECKING:
    from jobd.client.aio import AsyncClient

__all__ = [
    "SYSTEM_SOCKET",
    "AsyncClient",
    "Client",
    "RunFailed",
    "SubmittedRun",
    "Unreachable",
    "default_socket",
]


def __getattr__(name: str) -> Any:
    if name == "AsyncClient":  # importing asyncio takes longer than everything else jobd-ctl does
        from jobd.client.aio import AsyncClient

        return AsyncClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
