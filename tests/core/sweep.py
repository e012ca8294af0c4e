"""jobd against the oracle around the changes of many zones: `make oracle`, and the same in little as a test.

    python -m tests.core.sweep --expressions 50000 --years 1976-2035 --jobs 2 --seed 1 --skip 0

A round takes some expressions through every window, so that a run that is stopped has seen every zone; it says which
--skip goes on where it ended. Zones that show the same local times in a window share it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from multiprocessing.pool import Pool
from random import Random
from typing import Any, NamedTuple
from zoneinfo import available_timezones

from jobd.core import cron, dst, zones
from tests.core import expressions, oracle

ROUND = 100
"""Expressions of a round."""
_BEFORE, _AFTER = timedelta(hours=13), timedelta(hours=27)
_NEAR = 90 * 60
_MANY = 100
"""Of expressions due more often than this in a window, only what is near the change is compared."""
_SETTINGS: tuple[dict[str, Any], ...] = tuple(
    {"gap": gap, "overlap": overlap} for gap in ("run", "skip", "shift") for overlap in ("first", "second", "both")
)


class Change(NamedTuple):
    at: datetime
    zones: tuple[str, ...]
    """Those that show the same local times in a window around it."""


class Tally(NamedTuple):
    pairs: int
    """Expressions times windows."""
    instants: int
    """Due instants that were the same."""
    differences: list[str]


def changes(names: Iterable[str], first_year: int, last_year: int) -> list[Change]:
    """Every change of the offset of these zones in these years."""
    alike: dict[tuple[Any, ...], list[str]] = {}
    for name in names:
        zone = zones.zone(name)
        for at in oracle.transitions(name, first_year, last_year):
            start, end = (int((at + side).timestamp()) for side in (-_BEFORE, _AFTER))
            spans, second = [], start
            while second < end:
                span = zone.span(second)
                spans.append((max(span.start, start), min(span.end, end), span.offset, span.before, span.after))
                second = span.end
            alike.setdefault((at, *spans), []).append(name)
    return [Change(key[0], tuple(found)) for key, found in alike.items()]


def drawn(seed: object, number: int) -> list[str]:
    """So many expressions that are ever due: of five and six fields, some with L, # and H."""
    draw, found = Random(f"expressions {seed}"), []
    while len(found) < number:
        kind = draw.random()
        if kind < 0.15:
            text = expressions.six(draw)
        else:
            text = expressions.five(draw, special=kind < 0.35, hashed=0.3 < kind < 0.5)
        try:
            cron.parse(text)
        except ValueError as error:
            if "never be due" not in str(error):
                raise
        else:
            found.append(text)
    return found


def compare(change: Change, texts: Iterable[str], draw: Random) -> Tally:
    """Each expression around a change: by the default rule, and every fourth with settings of its own."""
    start, pairs, instants, differences = change.at - _BEFORE, 0, 0, []
    window = oracle.Window(change.zones[0], start, (_BEFORE + _AFTER) // oracle.MINUTE)
    for text in texts:
        name = f"job-{draw.randrange(1000)}"
        settings = draw.choice(_SETTINGS) if draw.random() < 0.25 else {}
        expected = window.fires(text, name, **settings)
        low, high = window.start, window.start + 60 * window.minutes
        if len(expected) > _MANY:
            low, high = (int(change.at.timestamp()) + side for side in (-_NEAR, _NEAR))
            expected = [second for second in expected if low <= second < high]
        found = list(due(text, name, change.zones[0], low, high, **settings))
        pairs, instants = pairs + 1, instants + len(found)
        if found != expected:
            differences.append(f"{text!r} {name} {change.zones[0]} {change.at} {settings}: {_first(found, expected)}")
    return Tally(pairs, instants, differences)


def due(
    text: str, name: str, zone: str, low: int, high: int, gap: dst.Gap | None = None, overlap: dst.Overlap | None = None
) -> Iterator[int]:
    """What jobd says is due from one second until before another."""
    parsed = cron.parse(text, name)
    gap = gap or ("skip" if parsed.is_wildcard else "run")
    overlap = overlap or ("both" if parsed.is_wildcard else "first")
    clockwork = dst.Clockwork(parsed, zones.zone(zone), gap, overlap)
    second = clockwork.next_from(low)
    while second is not None and second < high:
        yield second
        second = clockwork.next_from(second + 1)


def _first(found: list[int], expected: list[int]) -> str:
    odd = min(set(found) ^ set(expected))
    return f"{datetime.fromtimestamp(odd, UTC)} is due by {'jobd' if odd in found else 'the oracle'} alone"


def main() -> int:
    args = _arguments()
    first, last = (int(year) for year in args.years.split("-"))
    names = sorted(args.zones.split(",") if args.zones else available_timezones() - {"localtime", "Factory"})
    windows = changes(names, first, last)
    Random(args.seed).shuffle(windows)
    texts, began, total = drawn(args.seed, args.expressions), time.monotonic(), Tally(0, 0, [])
    shown = sum(len(window.zones) for window in windows)
    print(f"{len(names)} zones, {shown} changes in {len(windows)} windows, {len(texts)} expressions", flush=True)
    with multiprocessing.Pool(args.jobs) as pool:
        for done in range(args.skip, len(texts), ROUND):
            total = _round(pool, windows, texts[done : done + ROUND], f"{args.seed} {done}", total)
            took, goes_on = time.monotonic() - began, min(done + ROUND, len(texts))
            if total.differences:
                print(*total.differences, sep="\n")
                return 1
            print(
                f"\r{goes_on}/{len(texts)} expressions, {total.pairs} pairs, {total.instants} instants, no difference,"
                f" {took:.0f} s; --seed {args.seed} --skip {goes_on} goes on here",
                flush=True,
            )
            if args.seconds and took > args.seconds:
                break
    return 0


def _round(pool: Pool, windows: list[Change], texts: list[str], seed: str, total: Tally) -> Tally:
    """Take these expressions through every window; the answer counts on from `total`."""
    size = 20
    work = [(windows[n : n + size], texts, seed) for n in range(0, len(windows), size)]
    for number, tally in enumerate(pool.imap_unordered(_through, work)):
        print(f"\r{number * size}/{len(windows)} windows", end="", file=sys.stderr, flush=True)
        total = _sum([total, tally])
    return total


def _through(work: tuple[list[Change], list[str], str]) -> Tally:
    windows, texts, seed = work
    return _sum([compare(change, texts, Random(f"{seed} {change.at} {change.zones[0]}")) for change in windows])


def _sum(tallies: list[Tally]) -> Tally:
    return Tally(
        sum(tally.pairs for tally in tallies),
        sum(tally.instants for tally in tallies),
        [difference for tally in tallies for difference in tally.differences],
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--expressions", type=int, default=50_000)
    parser.add_argument("--years", default="1976-2035")
    parser.add_argument("--zones", default="", help="separated by commas (all)")
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count(), help="processes")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--skip", type=int, default=0, help="expressions that an earlier run has seen")
    parser.add_argument("--seconds", type=float, default=0, help="end after the round that takes it beyond this")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
