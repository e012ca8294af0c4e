"""Exports spans to a collector by OTLP over HTTP, with the OpenTelemetry SDK: an event sink in a process of its own.

Only that process imports the SDK, and only where `tracing` is set.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from jobd import __version__
from jobd.core.model import Json
from jobd.core.sinks import Sink
from jobd.observe.spans import KIND

_MOST_IN_BATCH = 512
_LONGEST_WAIT_SECONDS = 1.0
_PATIENCE_SECONDS = 5
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_STATUS = {"ok": StatusCode.OK, "error": StatusCode.ERROR, "unset": StatusCode.UNSET}


class Exporter(Sink):
    """Gathers spans for up to a second, and sends them.

    While one batch is under way the daemon's queue fills and is cut, so that a collector which does not answer holds up
    nothing.
    """

    def __init__(self, options: Json) -> None:
        assert isinstance(options, dict)
        self._endpoint = str(options["endpoint"])
        self._exporter = OTLPSpanExporter(
            endpoint=self._endpoint.rstrip("/") + "/v1/traces",
            headers=_headers(options["headers_file"]),
            certificate_file=options["ca_file"],
            timeout=_PATIENCE_SECONDS,
        )
        self._resource = Resource.create({"service.name": options["service_name"], "service.version": __version__})
        self._scope = InstrumentationScope("jobd", __version__)
        self._waiting: list[ReadableSpan] = []
        self._since = 0.0
        self._lost = 0
        self._reason = ""
        # What fails is told by `lost`, once; the SDK would write it to stderr each time.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)

    def take(self, event: dict[str, Any]) -> None:
        if event["kind"] != KIND:
            return
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting.append(self._span(event))
        if len(self._waiting) >= _MOST_IN_BATCH or time.monotonic() - self._since >= _LONGEST_WAIT_SECONDS:
            self.flush()

    def flush(self) -> None:
        if not self._waiting:
            return
        batch, self._waiting = self._waiting, []
        try:
            is_taken = self._exporter.export(batch) is SpanExportResult.SUCCESS
            reason = "" if is_taken else f"the collector at {self._endpoint} takes no spans"
        except Exception as error:  # whatever a library raises here, the next batch is another chance
            is_taken, reason = False, f"the collector at {self._endpoint} takes no spans ({type(error).__name__})"
        self._reason = reason
        self._lost += 0 if is_taken else len(batch)

    def lost(self) -> tuple[int, str]:
        lost, self._lost = self._lost, 0
        return lost, self._reason

    def close(self) -> None:
        self.flush()
        self._exporter.shutdown()  # type: ignore[no-untyped-call]

    def _span(self, told: dict[str, Any]) -> ReadableSpan:
        return ReadableSpan(
            name=told["name"],
            context=_context(told["trace"], told["span"], told["state"]),
            parent=_context(told["trace"], told["parent"], told["state"], is_remote=True) if told["parent"] else None,
            resource=self._resource,
            attributes=told["attributes"],
            links=[Link(_context(one["trace"], one["span"], "")) for one in told["links"]],
            kind=SpanKind.INTERNAL,
            status=Status(_STATUS[told["status"]], told["description"] or None),
            start_time=told["start"] * 1000,
            end_time=told["end"] * 1000,
            instrumentation_scope=self._scope,
        )


def _context(trace: str, span: str, state: str, *, is_remote: bool = False) -> SpanContext:
    return SpanContext(int(trace, 16), int(span, 16), is_remote, _SAMPLED, TraceState.from_header([state]))


def _headers(path: str | None) -> dict[str, str]:
    """`NAME: VALUE` a line, as for a key of the collector; read here, so that no command line ever shows it."""
    if path is None:
        return {}
    with open(path, encoding="utf-8") as file:
        pairs = [line.partition(":") for line in file.read().splitlines() if line.strip()]
    return {name.strip().lower(): value.strip() for name, _, value in pairs}
