"""systemd's unit files: where they lie, what lies over them, their settings with file and line (systemd.unit(5))."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from jobd.definitions.problems import Malformed, Place, Problem

SEARCH = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
_MAX_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Setting:
    key: str
    value: str
    place: Place


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit with its drop-ins: for each section the settings in order, those that were reset left out."""

    name: str
    path: str
    sections: dict[str, list[Setting]] = field(default_factory=dict)

    @property
    def place(self) -> Place:
        return Place(self.path, 1, 1)

    @property
    def prefix(self) -> str:
        return self.name.rpartition(".")[0].partition("@")[0]

    @property
    def instance(self) -> str:
        return self.name.rpartition(".")[0].partition("@")[2]

    def all(self, section: str, key: str) -> list[Setting]:
        return [one for one in self.sections.get(section, ()) if one.key == key]

    def last(self, section: str, key: str) -> Setting | None:
        found = self.all(section, key)
        return found[-1] if found else None

    def text(self, section: str, key: str, otherwise: str = "") -> str:
        found = self.last(section, key)
        return found.value if found is not None else otherwise


def load(name: str, search: Sequence[str] = SEARCH) -> Unit:
    """The unit of a name. Raises Malformed where there is none, or it is masked or unreadable."""
    path = _find(name, search)
    if path is None:
        raise Malformed(Problem(Place(name), "", f"there is no such unit in {', '.join(search)}"))
    content = _read(path)
    if not content and os.path.realpath(path) == os.devnull:
        raise Malformed(Problem(Place(path), "", "is masked: it runs nothing"))
    unit = Unit(name, path)
    for file in (path, *_drop_ins(name, search)):
        _take_in(unit, content if file == path else _read(file), file)
    return unit


def timers(search: Sequence[str] = SEARCH, *, enabled: bool = True) -> list[str]:
    """The names of timers: those that a target wants, or all there are; templates are left out."""
    found: set[str] = set()
    for folder in search:
        for inner in (folder, *_wants(folder)) if enabled else (folder,):
            if inner != folder or not enabled:
                found |= {name for name in _listed(inner) if name.endswith(".timer") and "@." not in name}
    return sorted(found)


def _wants(folder: str) -> list[str]:
    return [os.path.join(folder, name) for name in _listed(folder) if name.endswith((".wants", ".requires"))]


def _listed(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _names(name: str) -> list[str]:
    """The name, and behind it the template it may be an instance of."""
    stem, _, kind = name.rpartition(".")
    prefix, at, instance = stem.partition("@")
    return [name, f"{prefix}@.{kind}"] if at and instance else [name]


def _find(name: str, search: Sequence[str]) -> str | None:
    for candidate in _names(name):
        for folder in search:
            path = os.path.join(folder, candidate)
            if os.path.lexists(path) and (os.path.isfile(path) or os.path.realpath(path) == os.devnull):
                return path
    return None


def _drop_ins(name: str, search: Sequence[str]) -> list[str]:
    """The paths of a unit's drop-ins, in the order they apply; of one name the earlier folder's counts."""
    stem, _, kind = name.rpartition(".")
    parts = stem.partition("@")[0].split("-")
    dashed = ["-".join(parts[:count]) + f"-.{kind}" for count in range(len(parts) - 1, 0, -1)]
    found: dict[str, str] = {}
    for owner in (*_names(name), *dashed, kind):
        for folder in search:
            for file in _listed(os.path.join(folder, f"{owner}.d")):
                if file.endswith(".conf"):
                    found.setdefault(file, os.path.join(folder, f"{owner}.d", file))
    return [found[file] for file in sorted(found) if os.path.realpath(found[file]) != os.devnull]


def _read(path: str) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        with os.fdopen(descriptor, "rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise Malformed(Problem(Place(path), "", f"cannot be read: {error.strerror}")) from None
    if len(content) > _MAX_BYTES or b"\0" in content:
        raise Malformed(Problem(Place(path), "", "is no unit file: too large, or not text"))
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed(Problem(Place(path), "", "is no unit file: not UTF-8")) from None


def _take_in(unit: Unit, text: str, path: str) -> None:
    section = ""
    for number, line in _lines(text):
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
            continue
        key, equals, value = line.partition("=")
        if not equals or not section:
            continue
        settings = unit.sections.setdefault(section, [])
        key, value = key.strip(), value.strip()
        if not value:
            _reset(settings, key)
        else:
            settings.append(Setting(key, value, Place(path, number, 1)))


def _reset(settings: list[Setting], key: str) -> None:
    """An empty value takes back all that was set before; for a timer, an empty time takes back every time."""
    gone = {key}
    if key in _TIMES:
        gone = set(_TIMES)
    settings[:] = [one for one in settings if one.key not in gone]


_TIMES = ("OnActiveSec", "OnBootSec", "OnStartupSec", "OnUnitActiveSec", "OnUnitInactiveSec", "OnCalendar")


def _lines(text: str) -> Iterable[tuple[int, str]]:
    """The logical lines with their numbers: comments gone, continuations joined."""
    held, start = "", 0
    for number, row in enumerate(text.split("\n"), 1):
        line = row.strip(" \t\r")
        if line.startswith(("#", ";")):
            continue
        if not held:
            start = number
        if line.endswith("\\"):
            held += line[:-1] + " "
            continue
        whole, held = (held + line).strip(), ""
        if whole:
            yield start, whole
    if held.strip():
        yield start, held.strip()
