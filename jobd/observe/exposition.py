"""Metrics as text, in the format of Prometheus (0.0.4) and in OpenMetrics (1.0.0), which here differ in heads alone.

It is written here and by no library because a scrape of some ten thousand series has to be done in milliseconds, on the
loop that also serves everybody else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from jobd.observe.declared import Kind, Metric

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"
END = b"# EOF\n"
"""How OpenMetrics ends."""


def head(metric: Metric, *, is_open: bool) -> str:
    """The two lines before a metric's samples."""
    name, kind = (metric.stem, metric.kind.value) if is_open else (metric.name, _plain_kind(metric.kind))
    return f"# HELP {name} {metric.text}\n# TYPE {name} {kind}\n"


def _plain_kind(kind: Kind) -> str:
    return "gauge" if kind is Kind.INFO else kind.value


def front(name: str, labels: Sequence[str], values: Sequence[str]) -> str:
    """All of a sample's line but the number. The values hold no quote, backslash or line end: they are states, or names
    as `names.is_name` has them."""
    if not labels:
        return f"{name} "
    pairs = ",".join(f'{label}="{value}"' for label, value in zip(labels, values, strict=True))
    return f"{name}{{{pairs}}} "


def samples(metric: Metric, numbers: Iterable[tuple[tuple[str, ...], float | None]]) -> str:
    """The lines of (label values, number); one without a number is left out."""
    if len(metric.labels) == 1:  # as nearly all of the many have it
        before = f'{metric.name}{{{metric.labels[0]}="'
        return "".join([f'{before}{key}"}} {number!r}\n' for (key,), number in numbers if number is not None])
    return "".join(
        [f"{front(metric.name, metric.labels, key)}{number!r}\n" for key, number in numbers if number is not None]
    )
