"""Which files define jobs, and their bytes: directories in order of precedence, drop-ins, masks, ownership.

What the bytes mean, and what is kept while a file is bad, is decided elsewhere.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from jobd.definitions import ownership
from jobd.definitions.characters import MAX_BYTES
from jobd.definitions.problems import Malformed, Place, Problem

_READ = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}\.ya?ml", re.ASCII)
_LEFTOVER = re.compile(r"^[._#]|[~#]$|\.(?:dpkg|rpm|ucf)-?\w*|\.(?:sw.|bak|orig|rej|tmp)$", re.ASCII)
_LOOKS_LIKE_YAML = re.compile(r"\.ya?ml$", re.IGNORECASE | re.ASCII)


class Stamp(NamedTuple):
    """What changes when a file changes. A link to /dev/null has its own; so has a file that is no regular one."""

    inode: int
    size: int
    modified_ns: int
    changed_ns: int
    mode: int


class Found(NamedTuple):
    """A file as a directory lists it."""

    path: str
    stamp: Stamp


@dataclass(frozen=True, slots=True)
class Source:
    """All the files that make up one file of definitions: the one in force by precedence, and its drop-ins in order."""

    main: Found
    drop_ins: tuple[Found, ...] = ()
    problems: tuple[Problem, ...] = ()
    """Why the drop-ins cannot be listed, if they cannot."""

    @property
    def stamps(self) -> tuple[Found, ...]:
        return (self.main, *self.drop_ins)

    @property
    def modified_ns(self) -> int:
        """When the youngest of the files was last written; a link is whole from the start, and has no age."""
        return max((one.stamp.modified_ns for one in self.stamps if stat.S_ISREG(one.stamp.mode)), default=0)


@dataclass(frozen=True, slots=True)
class Shelf:
    """What one directory holds, by file name."""

    files: Mapping[str, Found] = field(default_factory=dict)
    drop_ins: Mapping[str, Mapping[str, Found]] = field(default_factory=dict)
    """Name of the main file → name of the drop-in → file."""
    problems: Mapping[str, Problem] = field(default_factory=dict)
    """Name of the main file → why its drop-ins cannot be listed."""
    ignored: tuple[str, ...] = ()
    """Paths that look like definitions and are not read because of their names."""


def is_read(name: str) -> bool:
    """Whether a file of this name is read; what editors and package tools leave behind is not."""
    return _READ.fullmatch(name) is not None and not _LEFTOVER.search(name)


def shelf(directory: str, before: Shelf | None = None) -> Shelf:
    """List one directory; one that does not exist holds nothing. `before` lends its values for files that are the same.

    Raises Malformed where it cannot be read or others may write it: that says nothing about what it holds.
    """
    try:
        with os.scandir(directory) as entries:
            listed = list(entries)
        if fault := ownership.fault_of_directory(directory):
            raise Malformed(Problem(Place(directory), "", fault))
        return _sorted_out(listed, before.files if before else {})
    except FileNotFoundError:
        return Shelf()
    except OSError as error:
        raise Malformed(Problem(Place(directory), "", f"cannot be read: {error.strerror}")) from None


def _sorted_out(entries: Sequence[os.DirEntry[str]], before: Mapping[str, Found]) -> Shelf:
    files: dict[str, Found] = {}
    drop_ins: dict[str, Mapping[str, Found]] = {}
    problems: dict[str, Problem] = {}
    ignored: list[str] = []
    for entry in entries:
        name = entry.name
        if (known := before.get(name)) is not None:
            if (found := _as_before(entry, known)) is not None:
                files[name] = found
            continue
        main = name.removesuffix(".d")
        if main != name and _READ.fullmatch(main):
            try:
                drop_ins[main] = _drop_ins(entry.path)
            except Malformed as malformed:
                problems[main] = malformed.problems[0]
        elif (found := _found(entry)) is not None:
            files[name] = found
        elif _LOOKS_LIKE_YAML.search(name) and not _LEFTOVER.search(name):
            ignored.append(entry.path)
    return Shelf(files, drop_ins, problems, tuple(ignored))


def _drop_ins(directory: str) -> dict[str, Found]:
    try:
        with os.scandir(directory) as entries:
            found = {entry.name: one for entry in entries if (one := _found(entry)) is not None}
        if fault := ownership.fault_of_directory(directory):
            raise Malformed(Problem(Place(directory), "", fault))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise Malformed(Problem(Place(directory), "", f"cannot be read: {error.strerror}")) from None
    return found


def _as_before(entry: os.DirEntry[str], known: Found) -> Found | None:
    """A file that was listed before: the same object where nothing of it changed; None where it went away just now."""
    try:
        status = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    stamp = _stamp(status)
    return known if known.stamp == stamp else Found(entry.path, stamp)


def _found(entry: os.DirEntry[str]) -> Found | None:
    """The file of an entry, if its name is one that is read and it is still there."""
    if not is_read(entry.name):
        return None
    try:
        status = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    return Found(entry.path, _stamp(status))


def sources(shelves: Sequence[Shelf], before: Mapping[str, Source] | None = None) -> dict[str, Source]:
    """The sources of several directories by file name; the later directory wins, for drop-ins one by one.

    `before` lends its values for those that are the same.
    """
    found: dict[str, Source] = {}
    mains = {name: file for one in shelves for name, file in one.files.items()}
    dressed = {name for one in shelves for name in (*one.drop_ins, *one.problems)}
    for name in sorted(mains):
        known = before.get(name) if before else None
        if name not in dressed:
            is_same = known is not None and known.main is mains[name] and not known.drop_ins and not known.problems
            found[name] = known if known is not None and is_same else Source(mains[name])
            continue
        drop_ins = {inner: file for one in shelves for inner, file in one.drop_ins.get(name, {}).items()}
        problems = tuple(one.problems[name] for one in shelves if name in one.problems)
        found[name] = Source(mains[name], tuple(drop_ins[inner] for inner in sorted(drop_ins)), problems)
    return found


class Changed(Exception):
    """The file was replaced or written while it was looked at; the next scan will see it settled."""


def read(found: Found) -> bytes:
    """The bytes of a listed file; none for a link to /dev/null.

    Raises Malformed for a file that others may write or that is no regular file, Changed for one that is not the file
    that was listed any more. Never blocks, also on a FIFO.
    """
    if stat.S_ISLNK(found.stamp.mode):
        return _mask(found)
    if not stat.S_ISREG(found.stamp.mode):
        raise Malformed(Problem(Place(found.path, 1, 1), "", "is not a regular file"))
    try:
        descriptor = os.open(found.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP):
            raise Changed from None
        raise Malformed(Problem(Place(found.path, 1, 1), "", f"cannot be read: {error.strerror}")) from None
    try:
        return _checked(descriptor, found)
    except OSError as error:
        raise Malformed(Problem(Place(found.path, 1, 1), "", f"cannot be read: {error.strerror}")) from None
    finally:
        os.close(descriptor)


def _checked(descriptor: int, found: Found) -> bytes:
    """What is read and what is judged is the open file, so that nobody can swap it in between."""
    status = os.fstat(descriptor)
    if fault := ownership.fault_of_file(status):
        raise Malformed(Problem(Place(found.path, 1, 1), "", fault))
    if _stamp(status) != found.stamp:
        raise Changed
    content = b""
    while len(content) <= MAX_BYTES and (part := os.read(descriptor, MAX_BYTES + 1 - len(content))):
        content += part
    if _stamp(os.fstat(descriptor)) != found.stamp:
        raise Changed
    return content


def _mask(found: Found) -> bytes:
    try:
        target = os.path.realpath(found.path, strict=True)
    except OSError:
        target = ""
    if target == os.devnull:
        return b""
    raise Malformed(
        Problem(
            Place(found.path, 1, 1),
            "",
            "is a symbolic link (copy the file here; only a link to /dev/null means something: it masks)",
        )
    )


def _stamp(status: os.stat_result) -> Stamp:
    return Stamp(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_mode)
