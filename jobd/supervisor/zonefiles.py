"""The files that time zones are read from: which release they are, and whether they changed since they were read."""

from __future__ import annotations

import os
import zoneinfo
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import metadata, resources

_Stamp = tuple[int, int, int] | None


def versions(host_zone: str) -> dict[str, str]:
    """The releases of what next slots are worked out by, and the zone of jobs that name none."""
    return {"tzdata": _tzdata(), "croniter": _package("croniter"), "time zone of the host": host_zone}


def difference(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """What changed between two states of things, in words."""
    changed = [f"{what} {before[what]} → {new}" for what, new in now.items() if before.get(what, new) != new]
    return ", ".join(changed) or "jobd itself or the files of its time zone changed"


def _tzdata() -> str:
    """The release of the files that come first, as zoneinfo looks for them."""
    for directory in zoneinfo.TZPATH:
        if os.path.isdir(directory):
            return _written(directory) or f"of {directory}"
    return _package("tzdata")


def _written(directory: str) -> str | None:
    with suppress(OSError), open(os.path.join(directory, "tzdata.zi"), encoding="ascii", errors="replace") as file:
        words = file.readline(100).split()
        if words[:2] == ["#", "version"] and len(words) == 3:
            return words[2]
    with suppress(OSError), open(os.path.join(directory, "+VERSION"), encoding="ascii", errors="replace") as file:
        return file.read(20).strip() or None
    return None


def _package(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "unknown"


@dataclass(slots=True)
class ZoneFiles:
    """Remembers how the files of the zones in use looked."""

    _stamps: dict[str, _Stamp] = field(default_factory=dict)

    def changed(self, names: Iterable[str]) -> bool:
        """Whether the file of a zone is another than when this was last asked; of a zone that is new here it is not."""
        stamps = {name: _stamp(name) for name in names}
        found = any(self._stamps.get(name, stamp) != stamp for name, stamp in stamps.items())
        self._stamps |= stamps
        return found


def _stamp(name: str) -> _Stamp:
    for directory in (*zoneinfo.TZPATH, _packaged()):
        with suppress(OSError):
            status = os.stat(os.path.join(directory, name))
            return status.st_mtime_ns, status.st_size, status.st_ino
    return None


def _packaged() -> str:
    """Where the zones of the Python package lie, which are read last."""
    with suppress(ModuleNotFoundError):
        return str(resources.files("tzdata") / "zoneinfo")
    return ""
