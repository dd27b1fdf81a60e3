"""What Kafka has brought, as events: trades and quotes by the batch, the others one by one.

The same rules as in the jobs, which write the dead letters: what they would refuse is not shown here, either.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from api.live.messages import Incoming, Ticks, from_event
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

    def read(self, records: Sequence[Any]) -> list[Incoming | Ticks]:
        """The events of records without errors; heartbeats and what is refused left out. Those of a partition
        are in their order; trades or quotes of a batch stand together where the first of them was."""
        found: list[Incoming | Ticks | None] = [None] * len(records)
        positions: dict[str, list[int]] = defaultdict(list)
        for position, record in enumerate(records):
            positions[record.topic()].append(position)
        for topic, places in positions.items():
            of_topic = [records[place] for place in places]
            events = self._batch(topic, of_topic) if topic in self._ticks else self._each(topic, of_topic)
            for number, incoming in events:
                found[places[number]] = incoming
        batch = [arrived for arrived in found if arrived is not None]
        counts: Counter[str] = Counter()
        for arrived in batch:
            if isinstance(arrived, Ticks):
                counts[arrived.channel] += len(arrived)
            else:
                counts[arrived.key[0]] += 1
        for channel, count in counts.items():
            self._metrics.feed_events.labels(channel).inc(count)
            self._metrics.events.add(channel, count)
        return batch

    def _batch(self, topic: str, records: Sequence[Any]) -> Iterator[tuple[int, Incoming | Ticks]]:
        """Trades with their corrections, or quotes; with where each stood. All together, where a correction
        or what must not be shown is not among them."""
        event_type, reader = self._ticks[topic]
        times_ms = np.fromiter((record.timestamp()[1] for record in records), np.int64, len(records))
        batch = reader.read([record.value() for record in records], times_ms)
        for error in batch.poison.values():
            self._refuse(topic, error)
        received = batch.integers["received_at"]
        dated = (received >= EARLIEST_US) & (received < LATEST_US)
        ticks = Ticks(event_type, _shaped(batch))
        if dated.all() and not batch.corrections:
            if ticks:
                yield batch.positions[0], ticks
            return
        for row, (position, has_date) in enumerate(zip(batch.positions, dated.tolist(), strict=True)):
            if has_date:
                yield position, ticks.incoming(row)
            else:
                self._refuse(topic, PoisonError("implausible_time", f"received at {received[row]} us"))
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


def _shaped(batch: RecordBatch) -> Mapping[str, Sequence[Any]]:
    """The columns of a batch as the fields of events have them."""
    if "conditions" not in batch.columns:
        return batch.columns
    return {**batch.columns, "conditions": list(map(tuple, batch.columns["conditions"]))}
