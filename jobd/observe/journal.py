"""Brings log entries to where they are kept, and never waits for it."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from jobd.core.events import Event
from jobd.observe.destinations import Destination, Journald, JsonLines, Stream
from jobd.observe.sentences import Entry, Priority, entries

_MOST_WAITING = 10_000


class Journal:
    """Logs events and entries up to a level. What cannot be written now waits; beyond 10,000 records it is dropped."""

    def __init__(self, destination: Destination, level: Priority = Priority.INFO) -> None:
        self.level = level
        self.masked: Callable[[str], str] = str
        """Takes secrets out of words that somebody else chose."""
        self.dropped = 0
        self._told = 0
        self._destination = destination
        self._waiting: deque[bytes] = deque()
        self._watched = False

    def take(self, event: Event) -> None:
        """Log what there is to say about an event."""
        for entry in entries(event, self.level):
            # That a run succeeded is told in words of our own alone, and often.
            is_plain = entry.priority >= Priority.INFO
            self._put(entry if is_plain else replace(entry, message=self.masked(entry.message)))

    def note(self, message: str, priority: Priority = Priority.INFO, **fields: str) -> None:
        """Log a sentence that belongs to no event: starting, listening, stopping."""
        if priority <= self.level:
            self._put(Entry(self.masked(message), priority, fields))

    def flush(self) -> bool:
        """Write what waits, as far as it is taken; whether nothing is left."""
        while self._waiting:
            if not self._try(self._waiting[0]):
                self._watch()
                return False
            self._waiting.popleft()
        self._unwatch()
        self._tell_dropped()
        return not self._waiting

    def _put(self, entry: Entry) -> None:
        record, before = self._destination.format(entry), self.dropped
        if not self._waiting and self._try(record):
            if self.dropped == before:
                self._tell_dropped()
            return
        if len(self._waiting) >= _MOST_WAITING:
            self.dropped += 1
            return
        self._waiting.append(record)
        self._watch()

    def _tell_dropped(self) -> None:
        if self.dropped > self._told:
            missing, self._told = self.dropped - self._told, self.dropped
            self._put(Entry(f"{missing} log records were dropped: nobody took them in time", Priority.WARNING))

    def _try(self, record: bytes) -> bool:
        try:
            return self._destination.write(record)
        except OSError:
            self.dropped += 1
            return True

    def _watch(self) -> None:
        """Have the loop call `flush` once the destination takes something; without a loop the next entry tries."""
        if not self._watched:
            self._watched = _with_loop(lambda loop: loop.add_writer(self._destination.fileno(), self.flush))

    def _unwatch(self) -> None:
        if self._watched:
            self._watched = not _with_loop(lambda loop: loop.remove_writer(self._destination.fileno()))


def _with_loop(act: Callable[[asyncio.AbstractEventLoop], object]) -> bool:
    try:
        act(asyncio.get_running_loop())
    except (RuntimeError, OSError):
        return False
    return True


class Records(logging.Handler):
    """Takes the records of Python's logging, as libraries write them; a traceback stays one entry."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(logging.WARNING)
        self._journal = journal

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info:
            text += ": " + " | ".join("".join(traceback.format_exception(*record.exc_info)).split("\n"))
        priority = Priority.ERROR if record.levelno >= logging.ERROR else Priority.WARNING
        self._journal.note(text, priority, JOBD_LOGGER=record.name)


def open_journal(level: Priority = Priority.INFO, form: Literal["text", "json"] = "text") -> Journal:
    """The journal that suits how jobd was started: journald's own protocol under systemd, else stderr.

    Those who want JSON get it on stderr in either case.
    """
    under_systemd = _is_journal(sys.stderr.fileno())
    if form == "json":
        return Journal(JsonLines(sys.stderr.fileno(), has_prefix=under_systemd), level)
    if under_systemd:
        try:
            return Journal(Journald(), level)
        except OSError:
            pass  # stderr still reaches journald, without the fields
    return Journal(Stream(sys.stderr.fileno(), has_prefix=under_systemd), level)


def _is_journal(descriptor: int) -> bool:
    """Whether a descriptor is the stream to journald that systemd named (systemd.exec(5), JOURNAL_STREAM)."""
    try:
        found = os.fstat(descriptor)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"
