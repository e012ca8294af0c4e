"""A disk below SQLite that fails when told to, and loses at a power cut what was not forced out of its cache."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path

import apsw


@dataclass
class Platter:
    """One file: what is safe on it, and the writes since that a power cut may lose, tear or keep."""

    safe: bytearray
    cached: list[tuple[int, bytes]] = field(default_factory=list)

    def flush(self) -> None:
        for offset, data in self.cached:
            _put(self.safe, offset, data)
        self.cached.clear()

    def after_a_cut(self, dice: random.Random) -> bytes:
        """Each write that was not flushed is lost, torn or there, whatever became of the others."""
        found = bytearray(self.safe)
        for offset, data in self.cached:
            _put(found, offset, data[: dice.choice([0, len(data) // 2, len(data)])])
        return bytes(found)


def _put(content: bytearray, offset: int, data: bytes) -> None:
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


class Disk(apsw.VFS):
    """Every database that is opened while it is in use lies on it. `fails_at` is the write or sync that fails."""

    def __init__(self) -> None:
        super().__init__("failing", "unix", makedefault=True)
        self.platters: dict[str, Platter] = {}
        self.done = 0
        self.fails_at: int | None = None
        self.is_cut = False
        """After its failure nothing works any more: the power is gone."""
        self.error: type[Exception] = apsw.IOError

    def xOpen(self, name: apsw.URIFilename | str | None, flags: list[int]) -> DiskFile:
        return DiskFile(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        self.platters.pop(filename, None)
        super().xDelete(filename, syncdir)

    def step(self) -> None:
        """One write or sync. Raises where it is to fail."""
        self.done += 1
        if self.fails_at is not None and (self.done == self.fails_at or (self.is_cut and self.done > self.fails_at)):
            raise self.error("as it should")

    def remains(self, directory: Path, seed: int) -> None:
        """Lay out what is found once the power is back."""
        dice = random.Random(seed)
        for name, platter in self.platters.items():
            (directory / Path(name).name).write_bytes(platter.after_a_cut(dice))


class DiskFile(apsw.VFSFile):
    """A file as SQLite sees it, with its platter beside it."""

    def __init__(self, disk: Disk, name: apsw.URIFilename | str | None, flags: list[int]) -> None:
        super().__init__("unix", name, flags)
        self._disk = disk
        path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        there = Path(path).read_bytes() if Path(path).exists() else b""
        self._platter = disk.platters.setdefault(path, Platter(bytearray(there)))

    def xWrite(self, data: bytes, offset: int) -> None:
        self._disk.step()
        self._platter.cached.append((offset, bytes(data)))
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:
        self._disk.step()
        super().xSync(flags)
        self._platter.flush()

    def xTruncate(self, newsize: int) -> None:
        self._disk.step()
        self._platter.flush()
        del self._platter.safe[newsize:]
        super().xTruncate(newsize)
