"""Tracing of what the feed delivers, where it is on: the traces that the producer has begun go on here."""

from collections.abc import Sequence
from typing import Any

from opentelemetry.trace import Span, SpanKind

from schemas.tracing import Tracing, followed


class Deliveries:
    """Follows the records that carry a traceparent from Kafka's client to the outboxes of who listens."""

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing

    def begin(self, records: Sequence[Any]) -> list[Span]:
        """A span for each traced record of a batch that has just been read; all of them end when the whole
        batch is in the outboxes."""
        return [
            self._tracing.begin(
                "deliver",
                SpanKind.CONSUMER,
                {
                    "messaging.system": "kafka",
                    "messaging.destination.name": record.topic(),
                    "messaging.destination.partition.id": str(record.partition()),
                    "messaging.kafka.offset": record.offset(),
                    "messaging.batch.message_count": len(records),
                },
                follows=follows,
            )
            for record in records
            if not record.error() and (follows := followed(record.headers())) is not None
        ]
