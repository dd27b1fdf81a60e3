"""Tracing, which is off unless TRACING_OTLP_ENDPOINT names a collector.

A trace follows one trade of many: ``publish`` in the producer, from the trade to Kafka's acknowledgement, and
``deliver`` in the API, until it is in the outboxes of the WebSocket clients. The record's header
``traceparent`` (W3C Trace Context) ties them together. The API's requests are traces of their own, with the
queries to Cassandra inside.

The jobs take no part: Kafka's headers cannot go into their vectorised functions as they are, and taking them
apart before would change the graph of the store job, so that its state could not be restored when tracing is
switched on or off. ``publish`` names partition and offset, by which the trade is found in ``trades_bronze``.

Off, it costs nothing: OpenTelemetry's SDK is not even imported, and each part has None in place of a
``Tracing``. On, spans wait for the collector in a bounded queue (QUEUED_SPANS); what comes while that is full
is left out, and nothing ever waits for it.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from pydantic import Field

from schemas.settings import EnvironmentSettings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

QUEUED_SPANS = 4_096
TRACEPARENT = "traceparent"
"""Name of the header, of records as of requests."""

Attribute = str | int | float | bool
RecordHeaders = Sequence[tuple[str, bytes]]
PROPAGATOR = TraceContextTextMapPropagator()


class TracingSettings(EnvironmentSettings):
    tracing_otlp_endpoint: str = Field(
        "",
        pattern=r"^(https?://\S+)?$",
        description="where spans are sent to, a collector that takes OTLP over HTTP: http://127.0.0.1:4318;"
        " empty: no tracing",
    )
    tracing_trade_ratio: float = Field(
        0.001,
        ge=0,
        le=1,
        description="share of the trades that are traced, from producer to Cassandra and API",
    )
    tracing_request_ratio: float = Field(
        0.05,
        ge=0,
        le=1,
        description="share of the REST requests that are traced; one with a traceparent header is where that"
        " says so",
    )


class Tracing:
    """Begins spans; whoever began one ends it. Safe for threads."""

    def __init__(self, provider: "TracerProvider") -> None:
        self.provider = provider
        self._tracer = provider.get_tracer("tickstream")

    def begin(
        self,
        name: str,
        kind: SpanKind,
        attributes: Mapping[str, Attribute],
        *,
        follows: Context | None = None,
        start_us: int | None = None,
    ) -> Span:
        """A span that began at ``start_us`` (microseconds since 1970), or now. ``follows``: the span of
        another process that it belongs to; None: it begins a trace."""
        start_ns = None if start_us is None else start_us * 1000
        context = Context() if follows is None else follows
        return self._tracer.start_span(name, context, kind, attributes, start_time=start_ns)

    @contextmanager
    def inside(self, name: str, attributes: Mapping[str, Attribute]) -> Iterator[None]:
        """A span around a step of what is being traced here; none where nothing is."""
        if not trace.get_current_span().is_recording():
            yield
            return
        with self._tracer.start_as_current_span(name, kind=SpanKind.CLIENT, attributes=attributes):
            yield

    def close(self) -> None:
        """Sends what waits, for a few seconds at most."""
        self.provider.shutdown()


def open_tracing(settings: TracingSettings, part: str, root_ratio: float) -> Tracing | None:
    """The tracing of a process; None where it is off. ``root_ratio``: share of the spans that are recorded
    among those that begin a trace; all others follow the decision of who began it."""
    if not settings.tracing_otlp_endpoint:
        return None
    from schemas.otlp import span_provider  # noqa: PLC0415 -- the SDK, for those who want it

    return Tracing(span_provider(settings.tracing_otlp_endpoint, part, root_ratio, QUEUED_SPANS))


def headers_of(span: Span) -> RecordHeaders:
    """The headers of a record by which other processes follow this span."""
    carrier: dict[str, str] = {}
    PROPAGATOR.inject(carrier, trace.set_span_in_context(span, Context()))
    return [(name, value.encode()) for name, value in carrier.items()]


def followed(headers: Sequence[tuple[str, bytes | str | None]] | None) -> Context | None:
    """The span that a record's headers name; None where they name none that is traced."""
    for name, value in headers or ():
        if name == TRACEPARENT and value is not None:
            text = value if isinstance(value, str) else value.decode("ascii", "replace")
            context = PROPAGATOR.extract({TRACEPARENT: text}, Context())
            if trace.get_current_span(context).get_span_context().trace_flags.sampled:
                return context
    return None


def failed(span: Span, why: str) -> None:
    """Marks a span as gone wrong."""
    span.set_status(StatusCode.ERROR, why)


def identify_request(request_id: str) -> dict[str, str]:
    """Gives the span of the request that is answered here its id; returns what the lines of the log are to
    carry: the id of the trace, where there is one."""
    span = trace.get_current_span()
    if not span.is_recording():
        return {}
    span.set_attribute("tickstream.request_id", request_id)
    return {"trace_id": trace.format_trace_id(span.get_span_context().trace_id)}
