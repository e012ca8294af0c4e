"""What files said when they were read last, by their very content: a start reads anew only what changed meanwhile.

A file is opened, judged and hashed at every start all the same: what is spared is parsing it. What is kept is text, of
this jobd and these settings, in a file that nobody else can write; whatever is odd about it makes it no cache at all.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress

from jobd.core import executors, spec
from jobd.definitions.defined import Defined
from jobd.definitions.interpret import Rules

_KEY = 64
_AT_ONCE = 20
"""Entries written in one go."""
_PARTS = ("core", "definitions", "definitions/schema", "work/executors")
"""Of jobd, what has a say in what a file means."""


class Cache:
    """Jobs by the digest of what they were read from. For one start: `write` keeps what that met, and nothing else."""

    def __init__(self, path: str, fingerprint: str) -> None:
        self._path, self._first = path, f"jobd definitions {fingerprint}\n".encode()
        self._kept: Mapping[str, tuple[int, int]] = {}
        """Where in the file an entry is."""
        self._met: dict[str, tuple[Defined, ...] | None] = {}
        """What this start read; None for what is in the file as it is."""
        self._text = self._load()

    @property
    def is_behind(self) -> bool:
        """Whether there is something to write: entries that are not in the file, or are and were not met."""
        return any(jobs is not None for jobs in self._met.values()) or len(self._met) < len(self._kept)

    def get(self, key: str) -> tuple[Defined, ...] | None:
        """The jobs that this content amounted to; None where that is not known."""
        place = self._kept.get(key)
        if place is None:
            return None
        try:
            found = _jobs(self._text[slice(*place)])
        except (ValueError, KeyError, TypeError):
            return None
        self._met[key] = None
        return found

    def put(self, key: str, jobs: tuple[Defined, ...]) -> None:
        """Remember what content amounts to; where a package of others had a say, that is not for us to know."""
        if all(one.job.action.kind in executors.BUILT_IN for one in jobs):
            self._met[key] = jobs

    def write(self) -> Iterator[None]:
        """Put the file in place, in steps of a few milliseconds each. Raises OSError; then what was there stays."""
        draft, digest = f"{self._path}.new", hashlib.sha256()
        with suppress(FileNotFoundError):
            os.unlink(draft)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            digest.update(self._first)
            file.write(self._first)
            for number, (key, jobs) in enumerate(self._met.items()):
                entry = self._raw(key) if jobs is None else _entry(jobs)
                # What does not come back as it was is none of ours to keep.
                if jobs is None or _jobs(entry) == jobs:
                    line = b"%s %s\n" % (key.encode(), entry)
                    digest.update(line)
                    file.write(line)
                if number % _AT_ONCE == 0:
                    yield
            file.write(digest.hexdigest().encode())
        os.replace(draft, self._path)

    def _raw(self, key: str) -> bytes:
        return bytes(self._text[slice(*self._kept[key])])

    def _load(self) -> mmap.mmap | bytes:
        """The file, where it is ours, whole, and of this fingerprint; else nothing."""
        try:
            text = self._opened()
        except (OSError, ValueError):
            return b""
        end = len(text) - _KEY
        is_whole = hashlib.sha256(memoryview(text)[:end]).hexdigest().encode() == text[end:] if end > 0 else False
        if not is_whole or text[: len(self._first)] != self._first:
            return b""
        self._kept = dict(_places(text, len(self._first), end))
        return text

    def _opened(self) -> mmap.mmap:
        descriptor = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
            if status.st_uid != os.geteuid() or not stat.S_ISREG(status.st_mode) or status.st_mode & 0o077:
                raise PermissionError(f"{self._path} is not ours alone")
            return mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
        finally:
            os.close(descriptor)


def fingerprint(rules: Rules, *others: str) -> str | None:
    """What beside its content decides what a file means; None where that is not all known: programs on a path."""
    if rules.allowlist:
        return None
    bounds = (rules.allow_shell, rules.run_as_allowed, rules.max_payload_bytes, sorted(rules.resources.items()))
    queues = None if rules.queues is None else sorted(rules.queues)
    said = repr((rules.defaults, bounds, queues, rules.calendars, sys.version, others, list(_code())))
    return hashlib.sha256(said.encode(errors="surrogateescape")).hexdigest()


def _code() -> Iterator[tuple[str, int, int]]:
    """How the files of jobd look: a checkout has no version that tells."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    for part in _PARTS:
        with os.scandir(os.path.join(root, part)) as entries:
            for entry in sorted(entries, key=lambda one: one.name):
                if entry.name.endswith(".py"):
                    status = entry.stat()
                    yield f"{part}/{entry.name}", status.st_size, status.st_mtime_ns


def _places(text: mmap.mmap, start: int, end: int) -> Iterator[tuple[str, tuple[int, int]]]:
    while start < end:
        stop = text.find(b"\n", start, end)
        yield text[start : start + _KEY].decode(), (start + _KEY + 1, stop)
        start = stop + 1


def _entry(jobs: tuple[Defined, ...]) -> bytes:
    parts = [
        (spec.to_text(one.job), one.file, one.line, one.column, one.document_text, one.sources_text) for one in jobs
    ]
    return json.dumps(parts, separators=(",", ":")).encode()


def _jobs(entry: bytes) -> tuple[Defined, ...]:
    return tuple(_job(*parts) for parts in json.loads(entry))


def _job(text: str, file: str, line: int, column: int, document: str, sources: str) -> Defined:
    return Defined(spec.from_text(text), file, line, column, document, sys.intern(sources))
