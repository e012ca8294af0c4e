"""The time fields of a crontab line as Vixie's cron and its heirs in Debian and Fedora read them.

This is the old scheduler's reading, on purpose apart from jobd's own grammar: the two are compared with each other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_ITEM = re.compile(r"(\*|\d+|[a-z]+)(?:-(\d+|[a-z]+))?(?:/(\d+))?", re.ASCII)
_RANDOM = re.compile(r"(\d*)~(\d*)", re.ASCII)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 7, _WEEKDAYS),
)
MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
BOOT = "@reboot"


@dataclass(frozen=True, slots=True)
class Times:
    """When a line is due. Bit n of a mask stands for the value n; Sunday is bit 0 of `weekdays`."""

    expression: str
    """The same in jobd's grammar."""
    minutes: int = 0
    hours: int = 0
    days: int = 0
    months: int = 0
    weekdays: int = 0
    is_wildcard: bool = False
    """Minute or hour begins with a star: what Vixie's cron calls a wildcard job."""
    needs_both_days: bool = False
    at_boot: bool = False
    is_random: bool = False
    """cronie's `~`: drawn anew at each start of cron, so that nobody can say when it is due."""

    @property
    def is_possible(self) -> bool:
        """Whether any day of any year can match."""
        if not (self.minutes and self.hours and self.months and (self.days or self.weekdays)):
            return False
        longest = max(
            (29 if m == 2 else 30 if m in (4, 6, 9, 11) else 31) for m in range(1, 13) if self.months >> m & 1
        )
        by_day = bool(self.days & (2 << longest) - 2)
        return by_day and bool(self.weekdays) if self.needs_both_days else by_day or bool(self.weekdays)


def read(words: list[str]) -> Times:
    """The times in five fields or one `@` word. Raises ValueError with what is wrong and what to write."""
    if len(words) == 1:
        return _macro(words[0])
    masks: list[int] = []
    texts: list[str] = []
    is_random = False
    for index, word in enumerate(words):
        mask, text, drawn = _field(index, word)
        masks.append(mask)
        texts.append(text)
        is_random |= drawn
    minutes, hours, days, months, weekdays = masks
    return Times(
        " ".join(texts),
        minutes,
        hours,
        days,
        months,
        (weekdays | weekdays >> 7) & 127,
        is_wildcard=words[0].startswith("*") or words[1].startswith("*"),
        needs_both_days=words[2].startswith("*") or words[4].startswith("*"),
        is_random=is_random,
    )


def _macro(word: str) -> Times:
    if word == BOOT:
        return Times("@boot", at_boot=True)
    if word not in MACROS:
        meant = f" (cron takes it in lower case: {word.lower()})" if word.lower() in (*MACROS, BOOT) else ""
        raise ValueError(f'"{word[:40]}" is no time that cron knows{meant}')
    times = read(MACROS[word].split())
    return Times(word, times.minutes, times.hours, times.days, times.months, times.weekdays, times.is_wildcard, True)


def _field(index: int, text: str) -> tuple[int, str, bool]:
    """A field's values as bits, as jobd is to read it, and whether any are drawn at random."""
    name, low, high, _ = _FIELDS[index]
    mask, is_plain = 0, True
    for item in text.lower().split(","):
        if (match := _RANDOM.fullmatch(item)) is not None:
            if text != item:
                raise ValueError(f'"{text[:40]}" in the {name}: a random time in a list has no counterpart')
            first, last = _number(index, match[1] or str(low)), _number(index, match[2] or str(high))
            return 0, f"H({first}-{last})", True
        bits, plain = _item(index, item)
        mask |= bits
        is_plain &= plain
    return mask, text if is_plain else _listed(index, mask, starred=text.startswith("*")), False


def _item(index: int, item: str) -> tuple[int, bool]:
    """The values of one item of a list, and whether jobd reads it the same as it stands."""
    name, low, high, _ = _FIELDS[index]
    match = _ITEM.fullmatch(item)
    if match is None or (match[1] == "*" and match[2]):
        raise ValueError(f'"{item[:40]}" is not a {name} to cron')
    if match[1] == "*":
        first, last = low, high
    else:
        first = _number(index, match[1])
        if match[2] is None and match[3] is not None:
            raise ValueError(f'"{item[:40]}" in the {name} is refused by cron (write {first}-{high}/{match[3]})')
        last = first if match[2] is None else _number(index, match[2])
    if first > last:
        raise ValueError(f'"{item[:40]}" in the {name} is reversed: Debian\'s cron takes it and never runs the line')
    step = int(match[3] or 1) if len(match[3] or "") < 10 else 10**9
    if step == 0:
        raise ValueError(f'the step of "{item[:40]}" in the {name} is 0')
    bits = sum(1 << value for value in range(first, last + 1, step))
    size = 7 if index == 4 else high - low + 1
    return bits, step <= size and (first < last or match[2] is None)


def _number(index: int, text: str) -> int:
    name, low, high, names = _FIELDS[index]
    if text in names:
        return names.index(text) + low
    if not text.isdecimal() or len(text) > 9 or not low <= int(text) <= high:
        raise ValueError(f'"{text[:40]}" is out of range for the {name} ({low} to {high})')
    return int(text)


def _listed(index: int, mask: int, *, starred: bool) -> str:
    """The values one by one, behind a star that keeps its meaning where the field began with one."""
    _, low, high, _ = _FIELDS[index]
    size = 7 if index == 4 else high - low + 1
    if index == 4:
        mask = (mask | mask >> 7) & 127
    if not starred:
        return ",".join(str(value) for value in range(high + 1) if mask >> value & 1)
    # Only a star with a step keeps the star's meaning; a step as long as the field leaves its first value alone.
    rest = [str(value) for value in range(low + 1, high + 1) if mask >> value & 1]
    return ",".join([f"*/{size}", *rest])
