"""Sending spans to a collector by OTLP over HTTP. Only ``schemas.tracing`` imports this, where it is on."""

import logging
from collections.abc import Sequence

import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_NAMESPACE, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio

log = structlog.get_logger()

SEND_EVERY_MS = 1_000
TIMEOUT_S = 3.0
"""For one batch of spans, retries included: longer than a collector takes, shorter than a stop may."""


class Reporting(SpanExporter):
    """An exporter that says once that the collector is away, and once that it is back; OpenTelemetry itself
    would say so for each attempt."""

    def __init__(self, exporter: SpanExporter, endpoint: str) -> None:
        self._exporter = exporter
        self._endpoint = endpoint
        self._away = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        away = result is not SpanExportResult.SUCCESS
        if away and not self._away:
            log.warning(
                "trace_collector_unavailable",
                endpoint=self._endpoint,
                detail="spans are lost until it is back; TRACING_OTLP_ENDPOINT names it, empty: no tracing",
            )
        elif self._away and not away:
            log.info("trace_collector_available_again", endpoint=self._endpoint)
        self._away = away
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def span_provider(endpoint: str, part: str, root_ratio: float, queued: int) -> TracerProvider:
    """A provider of tracers whose spans go to the collector at ``endpoint``; see ``tracing.open_tracing``."""
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # Reporting says it
    url = f"{endpoint.rstrip('/')}/v1/traces"
    exporter = Reporting(OTLPSpanExporter(url, timeout=TIMEOUT_S), endpoint)
    provider = TracerProvider(
        sampler=ParentBasedTraceIdRatio(root_ratio),
        resource=Resource.create({SERVICE_NAMESPACE: "tickstream", SERVICE_NAME: f"tickstream-{part}"}),
    )
    provider.add_span_processor(
        BatchSpanProcessor(exporter, max_queue_size=queued, schedule_delay_millis=SEND_EVERY_MS)
    )
    return provider
