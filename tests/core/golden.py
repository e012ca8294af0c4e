"""The next 50 slots of 2,000 expressions, as they were when last looked at: `golden.txt`, written by `make golden`.

A line is the zone, the job's name, the expression and a hash of the slots, between tabs; the first lines have the first
slots in clear. A new croniter, tzdata or parser that moves a schedule makes another line of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from hashlib import sha256
from itertools import islice
from pathlib import Path

from tests.core import sweep

PATH = Path(__file__).with_name("golden.txt")
_LINES, _IN_CLEAR, _SLOTS, _SHOWN = 2000, 60, 50, 6
_START = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp())
_END = int(datetime(2400, 1, 1, tzinfo=UTC).timestamp())
_ZONES = (
    *("UTC", "America/New_York", "America/Havana", "Antarctica/Troll"),
    *("Asia/Kathmandu", "Australia/Lord_Howe", "Europe/Berlin", "Pacific/Chatham"),
)
"""Zones whose rules have stood for long: a change of them is worth a look."""


def lines(stored: Iterable[str]) -> Iterator[str]:
    """These lines as they would be written today."""
    for number, line in enumerate(stored):
        zone, name, text, *_ = line.split("\t")
        slots = list(islice(sweep.due(text, name, zone, _START, _END), _SLOTS))
        digest = sha256(" ".join(map(str, slots)).encode()).hexdigest()[:16]
        shown = [f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%SZ}" for second in slots[:_SHOWN]]
        yield "\t".join((zone, name, text, digest, *(shown if number < _IN_CLEAR else ())))


def stored() -> list[str]:
    """The lines of golden.txt; where there is none, new expressions."""
    if PATH.exists():
        return PATH.read_text(encoding="utf-8").splitlines()
    texts = sweep.drawn("golden", _LINES)
    return [f"{_ZONES[number % len(_ZONES)]}\tjob-{number}\t{text}" for number, text in enumerate(texts)]


if __name__ == "__main__":
    PATH.write_text("".join([f"{line}\n" for line in lines(stored())]), encoding="utf-8")
