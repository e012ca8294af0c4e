"""What a shell completes with what the daemon knows: names of jobs and queues, ids of runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from click import Context, Parameter
    from click.shell_completion import CompletionItem

    from jobd.client import Client

_PATIENCE_SECONDS = 1.0
"""A person waits: no answer is better than a late one."""
_MOST_RUNS = 50
Items = Iterable[tuple[str, str]]
Complete = Callable[["Context", "Parameter", str], "list[CompletionItem]"]


def _completes(known: Callable[[Client], Items]) -> Complete:
    def complete(context: Context, _parameter: Parameter, begun: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        from jobd.client import Client, default_socket
        from jobd.core.errors import JobdError

        socket = context.find_root().params.get("socket") or default_socket()
        try:
            found = list(known(Client(socket, timeout_seconds=_PATIENCE_SECONDS)))
        except (JobdError, OSError):
            return []
        return [CompletionItem(value, help=text or None) for value, text in found if value.startswith(begun)]

    return complete


def _jobs(client: Client) -> Iterator[tuple[str, str]]:
    for one in _items(client, "/v1/jobs"):
        yield one["name"], one.get("description") or ""


def _runs(client: Client) -> Iterator[tuple[str, str]]:
    for one in _items(client, "/v1/runs", limit=str(_MOST_RUNS)):
        yield str(one["id"]), f"{one['job']} {one['state']}"


def _jobs_and_runs(client: Client) -> Iterator[tuple[str, str]]:
    yield from _jobs(client)
    yield from _runs(client)


def _queues(client: Client) -> Iterator[tuple[str, str]]:
    for one in _items(client, "/v1/queues"):
        yield one["name"], ""


def _items(client: Client, path: str, **query: str | None) -> list[Any]:
    found: list[Any] = client.request("GET", path, query=query)["items"]
    return found


def _channels(client: Client) -> Iterator[tuple[str, str]]:
    for one in _items(client, "/v1/channels"):
        yield one["name"], one["kind"]


jobs = _completes(_jobs)
runs = _completes(_runs)
jobs_and_runs = _completes(_jobs_and_runs)
queues = _completes(_queues)
channels = _completes(_channels)
