"""What was measured, as lines of a table: rate, reference, ratio and the aim it is held to."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from bench.paired import Spread, ratio, spread


@dataclass(frozen=True, slots=True)
class Line:
    """One figure beside its raw limit; `met` is None where there is no aim."""

    name: str
    value: str
    reference: str = ""
    ratio: str = ""
    aim: str = ""
    met: bool | None = None


def compared(
    name: str,
    rates: Mapping[str, Sequence[float]],
    case: str,
    reference: str,
    aim: float | None = None,
    absolute: float | None = None,
) -> Line:
    """A rate beside the reference of the same rounds. `aim` is the least ratio, `absolute` the least rate."""
    own, other, times = spread(rates[case]), spread(rates[reference]), ratio(rates, case, reference)
    met = None
    if aim is not None:
        met = times.median >= aim
    elif absolute is not None:
        met = own.median >= absolute
    words = f">= {aim:g}x" if aim is not None else f">= {absolute:,.0f}/s" if absolute is not None else ""
    return Line(name, _rate(own), f"{reference} {other.median:,.0f}/s", _times(times), words, met)


def _rate(rate: Spread) -> str:
    return f"{rate.median:,.0f}/s [{rate.low:,.0f}..{rate.high:,.0f}]"


def _times(times: Spread) -> str:
    return f"{times.median:.2f} [{times.low:.2f}..{times.high:.2f}]"


def text(lines: Sequence[Line]) -> str:
    """The lines below one another, columns aligned, in Markdown."""
    verdicts = {None: "", True: "met", False: "missed"}
    rows = [("measured", "jobd", "reference", "ratio [quartiles]", "aim", "")]
    rows += [(line.name, line.value, line.reference, line.ratio, line.aim, verdicts[line.met]) for line in lines]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, tuple("-" * width for width in widths))  # type: ignore[arg-type]
    return "\n".join("| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows)


def as_json(lines: Sequence[Line]) -> str:
    return json.dumps([asdict(line) for line in lines], indent=1)
