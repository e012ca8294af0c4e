"""One class for each failure that a caller treats differently."""

from __future__ import annotations


class JobdError(Exception):
    """Something went wrong that an operator or a client can act on; the message says what and what to do next."""

    problem: dict[str, object] | None = None
    """The problem document, on a client's side of the API."""


class Invalid(JobdError):
    """The request or the value makes no sense as it stands.

    `errors` lists every problem as (path, message), path being a JSON pointer or a dotted key, possibly empty.
    """

    def __init__(self, message: str, errors: list[tuple[str, str]] | None = None) -> None:
        super().__init__(message)
        self.errors = errors or []


class NotFound(JobdError):
    """There is no such job, run or queue, or the asker may not know of it: both answers are the same."""


class NotPermitted(JobdError):
    """The asker is known and may not do this."""


class Conflict(JobdError):
    """The thing is there but in a state in which this cannot be done."""


class Unavailable(JobdError):
    """jobd cannot do this now (storage full, shutting down); trying again later may work."""


class TooLarge(JobdError):
    """The request is over a limit of size or number."""
