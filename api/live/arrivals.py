"""What Kafka has brought, as events: trades and quotes by the batch, the others one by one.

The same rules as in the jobs, which write the dead letters: what they would refuse is not shown here, either.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from api.live.messages import Incoming, from_event
from api.metrics import LiveMetrics
from schemas.avro_codec import Decoder
from schemas.errors import PoisonError
from schemas.events import Alert, Candle, Correction, Event, Quote, Trade
from schemas.record_batch import EventReader, QuoteReader, RecordBatch, TradeReader
from schemas.topics import Topics
from schemas.validation import EARLIEST_US, LATEST_US, check_alert, check_candle

DATES: Mapping[type[Event], tuple[str, ...]] = {
    Correction: ("event_time", "received_at", "trade_time"),
    Candle: ("start", "end", "updated_at"),
    Alert: ("event_time", "updated_at", "bar_start"),
}
"""Of the events that are taken one by one: the times that clients get as dates, 0 or None for none."""

Refused = Callable[[str, PoisonError], None]
"""Hears of a topic and why a record of it is not shown."""


class Arrivals:
    """Turns records into events; for the feed's thread alone."""

    def __init__(
        self,
        topics: Topics,
        decoder: Callable[[tuple[type[Event], ...]], Decoder],
        metrics: LiveMetrics,
        refused: Refused,
    ) -> None:
        self._metrics = metrics
        self._refused = refused
        self._ticks = {
            topics.trades: (Trade, TradeReader(decoder((Trade, Correction)))),
            topics.quotes: (Quote, QuoteReader(decoder((Quote,)))),
        }
        self._single = {
            topics.candles: EventReader(decoder((Candle,)), check_candle),
            topics.alerts: EventReader(decoder((Alert,)), check_alert),
        }

    def read(self, records: Sequence[Any]) -> list[Incoming]:
        """The events of records without errors, in their order; heartbeats and what is refused left out."""
        found: list[Incoming | None] = [None] * len(records)
        positions: dict[str, list[int]] = defaultdict(list)
        for position, record in enumerate(records):
            positions[record.topic()].append(position)
        for topic, places in positions.items():
            of_topic = [records[place] for place in places]
            events = self._batch(topic, of_topic) if topic in self._ticks else self._each(topic, of_topic)
            for number, incoming in events:
                found[places[number]] = incoming
        batch = [incoming for incoming in found if incoming is not None]
        for channel, count in Counter(incoming.key[0] for incoming in batch).items():
            self._metrics.feed_events.labels(channel).inc(count)
            self._metrics.events.add(channel, count)
        return batch

    def _batch(self, topic: str, records: Sequence[Any]) -> Iterator[tuple[int, Incoming]]:
        """Trades with their corrections, or quotes; with where each stood."""
        event_type, reader = self._ticks[topic]
        times_ms = np.fromiter((record.timestamp()[1] for record in records), np.int64, len(records))
        batch = reader.read([record.value() for record in records], times_ms)
        for error in batch.poison.values():
            self._refuse(topic, error)
        received = batch.integers["received_at"]
        dated = ((received >= EARLIEST_US) & (received < LATEST_US)).tolist()
        for position, event, has_date in zip(batch.positions, _events(event_type, batch), dated, strict=True):
            if has_date:
                yield position, from_event(event)
            else:
                self._refuse(topic, PoisonError("implausible_time", f"received at {event.received_at} us"))
        for position, fields in batch.corrections.items():
            correction = Correction(**fields | {"conditions": tuple(fields["conditions"])})
            if (incoming := self._shown(topic, correction)) is not None:
                yield position, incoming

    def _each(self, topic: str, records: Sequence[Any]) -> Iterator[tuple[int, Incoming]]:
        """Candles or alerts; with where each stood."""
        poison: dict[int, PoisonError] = {}
        for position, event in self._single[topic].read([record.value() for record in records], poison):
            if (incoming := self._shown(topic, event)) is not None:
                yield position, incoming
        for error in poison.values():
            self._refuse(topic, error)

    def _shown(self, topic: str, event: Event) -> Incoming | None:
        """The event, where its times are dates."""
        for name in DATES[type(event)]:
            time = getattr(event, name)
            if time and not EARLIEST_US <= time < LATEST_US:
                self._refuse(topic, PoisonError("implausible_time", f"{name} is {time} us"))
                return None
        return from_event(event)

    def _refuse(self, topic: str, error: PoisonError) -> None:
        self._metrics.feed_refused.labels(error.reason).inc()
        self._refused(topic, error)


def _events(event_type: type[Trade] | type[Quote], batch: RecordBatch) -> Iterator[Trade | Quote]:
    """The valid rows of a batch."""
    columns = dict(batch.columns)
    if "conditions" in columns:
        columns["conditions"] = list(map(tuple, columns["conditions"]))
    names = event_type.__dataclass_fields__
    return map(event_type, *(columns[name] for name in names))
