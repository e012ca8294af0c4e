"""The metrics of jobd as it declares them: name, kind, labels and sentence of each."""

from __future__ import annotations

from collections.abc import Iterator

from forms import Form

from jobd.observe.declared import METRICS, Kind


def page(form: Form) -> str:
    """The page on metrics."""
    return form.page(
        "jobd-metrics", 7, "the metrics of jobd",
        form.part("DESCRIPTION", form.paragraph(
            "GET /metrics on the address that metrics.listen in jobd.yaml(5) names, as Prometheus's text or, for who "
            "accepts it, OpenMetrics. A metric has at most 2,000 series; what goes beyond is counted as `other`, runs "
            "of commands that no file defines as `adhoc`. Of more jobs than that, the first by name are shown. "
            "Histograms have _bucket, _sum and _count.")),
        form.part("METRICS", form.listed(sorted(_told()))),
    )  # fmt: skip


def _told() -> Iterator[tuple[str, str]]:
    for metric in METRICS:
        labels = f"{{{','.join(metric.labels)}}}" if metric.labels else ""
        kind = Kind.GAUGE if metric.kind is Kind.INFO else metric.kind
        yield metric.name + labels, f"{metric.text} ({kind})."
