"""Which crontabs there are on a host, and in which form each is to be read."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from jobd.definitions.importers import cronjobs, crontab
from jobd.definitions.importers.cronjobs import Circumstances, Dialect
from jobd.definitions.importers.drafts import Batch, Draft
from jobd.definitions.problems import Place, Problem

SYSTEM = "/etc/crontab"
SYSTEM_FOLDER = "/etc/cron.d"
SPOOLS = ("/var/spool/cron/crontabs", "/var/spool/cron")
_READ = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Source:
    """One crontab, and what it does not say itself."""

    path: str
    content: bytes
    is_system: bool
    owner: str | None = None
    """Whose crontab it is, where its jobs have to be told."""

    @property
    def stem(self) -> str:
        """What the names of its jobs begin with."""
        if not self.is_system:
            return self.owner or ""
        return "" if self.path == SYSTEM else os.path.basename(self.path)

    @property
    def file(self) -> str:
        """The name of a file of definitions for it."""
        base = "crontab" if self.path.startswith("crontab -l") else os.path.basename(self.path)
        stem = (
            f"crontab-{self.owner}"
            if self.owner
            else re.sub(r"[^A-Za-z0-9._@+-]+|^[^A-Za-z0-9]+", "-", base).strip("-.")
        )
        return f"{stem.removesuffix('.yaml') or 'crontab'}.yaml"


def is_system_file(path: str) -> bool:
    """Whether a file is in the form with user names by where it lies."""
    real = os.path.abspath(path)
    return real == SYSTEM or os.path.dirname(real) == SYSTEM_FOLDER


def owner_by_place(path: str) -> str | None:
    """Whose crontab a file of cron's spool is."""
    folder, name = os.path.split(os.path.abspath(path))
    return name if folder in SPOOLS else None


def of_host(crontab_file: str = SYSTEM, folder: str = SYSTEM_FOLDER) -> tuple[list[Source], list[Problem]]:
    """The crontabs of the system, and which are there but cron does not read."""
    sources: list[Source] = []
    problems: list[Problem] = []
    listed = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    for path in (crontab_file, *(os.path.join(folder, name) for name in listed)):
        name = os.path.basename(path)
        if os.path.isdir(path) or (path == crontab_file and not os.path.exists(path)):
            continue
        if path != crontab_file and not _READ.fullmatch(name):
            if not name.startswith("."):
                problems.append(
                    Problem(Place(path), "", "is not imported: Debian's cron does not read a file of this name")
                )
            continue
        try:
            sources.append(Source(path, read(path), is_system=True))
        except OSError as error:
            problems.append(Problem(Place(path), "", f"cannot be read: {error.strerror}"))
    return sources, problems


def read(path: str) -> bytes:
    """The bytes of a file, one more than a crontab may have at most. Never blocks on a FIFO."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    with os.fdopen(descriptor, "rb") as file:
        return file.read(crontab.MAX_BYTES + 1)


def batch(source: Source, zone: str, dialect: Dialect, *, splits: bool = False) -> Batch:
    """The drafts of one crontab."""
    found = crontab.read(source.content, source.path, is_system=source.is_system)
    about = Circumstances(source.stem, zone, dialect, source.owner)
    drafts: list[Draft] = []
    for entry in found.entries:
        drafts += cronjobs.drafts(entry, about, splits=splits)
    return Batch(tuple(drafts), found.problems)
