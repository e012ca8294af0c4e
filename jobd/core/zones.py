"""Time zones as spans of constant offset, and which names of zones are accepted; the host's files are read elsewhere.

`zoneinfo` tells offsets but not when they change, so a zone is probed once per year looked at and remembered.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from jobd.core.names import closest

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9][A-Za-z0-9_+-]*){0,3}", re.ASCII)
_NOT_ZONES = frozenset({"localtime", "posixrules", "factory"})
_NOT_FOLDERS = frozenset({"right", "posix"})
_LINK = re.compile(r"(?:^|/)zoneinfo/(?:posix/)?(.+)$", re.ASCII)

_DAY = 86400
_PROBE = 2 * _DAY
"""No zone has had two changes of its offset within so short a time since 1970."""
_MARGIN = 2 * _DAY
"""Longer than any gap or repeated time: a day was skipped or repeated where the date line was moved."""
_EARLIEST = int(datetime(1900, 1, 1, tzinfo=UTC).timestamp())
_LATEST = int(datetime(9990, 1, 1, tzinfo=UTC).timestamp())
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Span(NamedTuple):
    """A time in which a zone keeps one offset. Seconds since 1970 UTC; `end` is the first second after it."""

    start: int
    end: int
    offset: int
    """Local time minus UTC."""
    before: int
    """The offset just before `start`."""
    after: int
    """The offset from `end` on."""


class Zone:
    """An IANA time zone. It learns the changes of its offset as they are asked for, so threads may not share it."""

    __slots__ = ("_at", "_high", "_info", "_low", "_offsets", "name")

    def __init__(self, name: str, info: ZoneInfo) -> None:
        self.name = name
        self._info = info
        self._at: list[int] = []
        self._offsets: list[int] = []
        self._low = self._high = 0

    def span(self, second: int) -> Span:
        """The span that holds a second. Its ends may be cut short where no change of the offset is near.

        Raises OverflowError outside the years 1900 to 9990.
        """
        if not self._low + _MARGIN <= second < self._high - _MARGIN:
            self._explore(second)
        i = bisect_right(self._at, second)
        offset = self._offsets[i]
        is_last = i == len(self._at)
        return Span(
            self._at[i - 1] if i else self._low,
            self._high - _MARGIN if is_last else self._at[i],
            offset,
            self._offsets[i - 1] if i else offset,
            offset if is_last else self._offsets[i + 1],
        )

    def local(self, second: int) -> datetime:
        """The local time of an instant, aware."""
        return datetime.fromtimestamp(second, self._info)

    def _explore(self, second: int) -> None:
        if not _EARLIEST <= second < _LATEST:
            raise OverflowError(f"no calendar for {second} seconds after 1970: it is outside the years 1900 to 9990")
        year = (_EPOCH + timedelta(seconds=second)).year
        low, high = _new_year(year) - 2 * _MARGIN, _new_year(year + 1) + 2 * _MARGIN
        if not self._offsets:
            self._low = self._high = low
            self._offsets = [self._offset(low)]
        if low < self._low:
            changes = self._changes(low, self._low)
            self._offsets[:0] = [self._offset(low), *(after for _, after in changes)][: len(changes)]
            self._at[:0] = [at for at, _ in changes]
            self._low = low
        if high > self._high:
            changes = self._changes(self._high, high)
            self._offsets += [after for _, after in changes]
            self._at += [at for at, _ in changes]
            self._high = high

    def _changes(self, low: int, high: int) -> list[tuple[int, int]]:
        """Every (second, new offset) at which the offset changes after `low`, up to and including `high`."""
        found, left, before = [], low, self._offset(low)
        while left < high:
            right = min(left + _PROBE, high)
            after = self._offset(right)
            if after != before:
                found.append((self._change(left, right, before), after))
            left, before = right, after
        return found

    def _change(self, left: int, right: int, before: int) -> int:
        while right - left > 1:
            middle = (left + right) // 2
            if self._offset(middle) == before:
                left = middle
            else:
                right = middle
        return right

    def _offset(self, second: int) -> int:
        offset = datetime.fromtimestamp(second, self._info).utcoffset()
        assert offset is not None
        return offset.days * _DAY + offset.seconds


@cache
def zone(name: str) -> Zone:
    """The zone of an IANA name, one object for each.

    Raises ValueError for what is no name of a zone: also for `localtime`, `posixrules`, `Factory`, `right/…` and
    `posix/…`, which mean something else on every host or count leap seconds.
    """
    if not _is_plausible(name):
        raise ValueError(_unknown(name))
    try:
        return Zone(name, ZoneInfo(name))
    # What a name that is a folder, no zone file, or too long raises differs with the Python version and the host.
    except Exception as error:
        raise ValueError(_unknown(name)) from error


def forget() -> None:
    """Drop every zone, so that a changed zone database is read; timetables made before keep what they know."""
    zone.cache_clear()
    ZoneInfo.clear_cache()


def name_in_link(target: str) -> str | None:
    """The zone's name in the target of a link such as `/usr/share/zoneinfo/Europe/Madrid`; None if there is none."""
    match = _LINK.search(target)
    return match.group(1) if match else None


def host_name(candidates: Iterable[str | None]) -> str:
    """The first of some names that is a zone, else `UTC`.

    Candidates are in the order of trust: the target of `/etc/localtime` by `name_in_link`, the text of `/etc/timezone`.
    """
    for candidate in candidates:
        name = (candidate or "").strip()
        try:
            return zone(name).name
        except ValueError:
            continue
    return "UTC"


def _is_plausible(name: str) -> bool:
    if not isinstance(name, str) or len(name) > 64 or not _NAME.fullmatch(name):
        return False
    return name.lower() not in _NOT_ZONES and name.partition("/")[0].lower() not in _NOT_FOLDERS


def _unknown(name: str) -> str:
    shown = str(name)[:64]
    guess = closest(shown, (known for known in available_timezones() if known.lower() not in _NOT_ZONES))
    hint = f"did you mean {guess}?" if guess else "use an IANA name such as Europe/Madrid or UTC"
    return f'"{shown}" is not a time zone ({hint})'


def _new_year(year: int) -> int:
    return (date(year, 1, 1).toordinal() - _EPOCH.toordinal()) * _DAY
