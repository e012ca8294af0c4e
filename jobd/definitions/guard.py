"""Who is asked before a definition is worked on, since that may end the process that does it."""

from __future__ import annotations

from typing import Protocol

from jobd.definitions.defined import Defined


class Guard(Protocol):
    """Remembers what was begun, and knows what ended badly before."""

    def reads(self, file: str, digest: str) -> str | None:
        """A file of this content is about to be read. Returns why it must not be."""

    def objects(self, one: Defined) -> str | None:
        """Why a job that was read is not worked with as it says; None where it is."""

    def clear(self) -> None:
        """What was begun has been done."""
