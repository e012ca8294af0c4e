"""The metrics of jobd as it declares them: name, kind, labels and sentence of each."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from forms import Form
from prometheus_client.metrics_core import Metric

from jobd.observe.figures import Figures
from jobd.observe.metrics import Metrics

_NOW = datetime(2026, 1, 1, tzinfo=UTC)


def page(form: Form) -> str:
    """The page on metrics."""
    return form.page(
        "jobd-metrics", 7, "the metrics of jobd",
        form.part("DESCRIPTION", form.paragraph(
            "GET /metrics on the address that metrics.listen in jobd.yaml(5) names, as Prometheus's text or, for who "
            "accepts it, OpenMetrics. A metric has at most 2,000 series; what goes beyond is counted as `other`, runs "
            "of commands that no file defines as `adhoc`. Histograms have _bucket, _sum and _count.")),
        form.part("METRICS", form.listed(sorted(_told()))),
    )  # fmt: skip


def _told() -> Iterator[tuple[str, str]]:
    made = Metrics("", _NOW, lambda: Figures(now=_NOW, last_reload_at=_NOW))
    labels = {
        name: collector._labelnames
        for collector, names in made._registry._collector_to_names.items()
        for name in names
        if hasattr(collector, "_labelnames")
    }
    for metric in made._registry.collect():
        name = metric.name + {"counter": "_total", "info": "_info"}.get(metric.type, "")
        own = labels.get(metric.name) or getattr(metric, "_labelnames", None) or ()
        yield name + (f"{{{','.join(own)}}}" if own else ""), f"{metric.documentation} ({_kind(metric)})."


def _kind(metric: Metric) -> str:
    return "gauge" if metric.type == "info" else str(metric.type)
