"""Tracing of trades, where it is on: a span from the trade to Kafka's acknowledgement, for one of many."""

from collections.abc import Callable

from confluent_kafka import KafkaError, Message
from opentelemetry.trace import Span, SpanKind

from schemas.avro_codec import Decoder
from schemas.tracing import RecordHeaders, Tracing, failed, headers_of

Report = Callable[[KafkaError | None, Message], None]


class TradeSpans:
    """Picks trades and follows each of them to its acknowledgement; what becomes of it then, others tell by
    the headers of its record."""

    def __init__(self, tracing: Tracing, ratio: float, decoder: Decoder, *, live: bool) -> None:
        """``ratio``: share of the trades, above 0. ``live``: whether event times are of now; else a span
        begins when its trade is handed over."""
        self._tracing = tracing
        self._step = max(1, round(1 / ratio))
        self._next = 0
        self._decoder = decoder
        self._live = live

    def picked(self, count: int) -> range:
        """The positions of the trades to trace among the next ``count``."""
        positions = range(self._next, count, self._step)
        self._next += len(positions) * self._step - count
        return positions

    def begin(self, topic: str, value: bytes) -> tuple[Span, RecordHeaders]:
        """The span of the trade that is published as ``value``, and the headers of its record."""
        trade = self._decoder.decode_fields(value)
        span = self._tracing.begin(
            "publish",
            SpanKind.PRODUCER,
            {
                "messaging.system": "kafka",
                "messaging.destination.name": topic,
                "tickstream.symbol": trade["symbol"],
                "tickstream.source": trade["source"],
                "tickstream.trade_id": trade["trade_id"],
                "tickstream.received_at_us": trade["received_at"],
            },
            start_us=trade["event_time"] if self._live else None,
        )
        return span, headers_of(span)


def ended_by(report: Report, span: Span) -> Report:
    """The delivery report of a traced trade: like ``report``, and ends the span."""

    def traced(error: KafkaError | None, message: Message) -> None:
        if error is None:
            span.set_attribute("messaging.destination.partition.id", str(message.partition()))
            span.set_attribute("messaging.kafka.offset", message.offset())
        else:
            failed(span, error.str())
        span.end()
        report(error, message)

    return traced
