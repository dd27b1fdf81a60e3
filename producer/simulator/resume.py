"""Where the simulator stopped, read from the log itself: there is no state file that could be wrong."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import structlog
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from producer.log_reader import reading
from producer.simulator.columns import SOURCE
from schemas.avro_codec import Decoder, schema_text
from schemas.errors import PoisonError, UnavailableError
from schemas.events import Correction, Trade
from schemas.registry import RegistryLookup
from schemas.settings import KafkaSettings
from schemas.topics import Topics

log = structlog.get_logger()

RECORDS_PER_SYMBOL = 100
LEAST_RECORDS = 2_000
MOST_RECORDS_FOR_PRICES = 200_000
"""Of a partition: a symbol whose last trade is further back begins at its listed price again."""

SETTLED_MS = 600_000
"""A trade that is older than another by this much was numbered before it."""

TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Resume:
    """The number that the next simulated trade gets, and where each symbol's price was."""

    next_sequence: int = 0
    last_prices: Mapping[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class _Tail:
    """What has been read of one partition, from its end backwards: offsets [start, ..)."""

    partition: int
    low: int
    start: int
    newest: Trade | None = None
    oldest_ms: int | None = None


def find_resume(settings: KafkaSettings, schema_ids: Mapping[str, int], symbols: tuple[str, ...]) -> Resume:
    """The greatest number among the simulator's trades in the log, plus one, and each symbol's last price.

    Reads every partition backwards in growing steps, until it has found a simulated trade in it, or has read
    past anything that could have been numbered later than the ones found elsewhere, or there is no more.
    Numbers, and so trade ids, are never used twice for different trades. ``schema_ids`` are those of
    ``Topics.record_types``. Raises UnavailableError.
    """
    topics = Topics(settings.topic_prefix)
    topic = topics.trades
    known = {
        schema_ids[topic]: json.loads(schema_text(Trade)),
        schema_ids[topics.corrections]: json.loads(schema_text(Correction)),
    }
    options = {
        "enable.partition.eof": False,
        "auto.offset.reset": "error",
        "fetch.wait.max.ms": 10,  # partitions are read one after the other
    }
    with reading(settings, topic, "where the simulator stopped from", options) as consumer:
        decoder = Decoder((Trade, Correction), RegistryLookup(settings.schema_registry_url), known)
        return _Scan(consumer, topic, decoder, symbols).run()


class _Scan:
    def __init__(self, consumer: Consumer, topic: str, decoder: Decoder, symbols: tuple[str, ...]) -> None:
        self._consumer = consumer
        self._topic = topic
        self._decoder = decoder
        self._symbols = set(symbols)
        self._prices: dict[str, tuple[int, float]] = {}  # symbol -> (sequence, price) of its last trade
        self._greatest: Trade | None = None

    def run(self) -> Resume:
        metadata = self._consumer.list_topics(self._topic, timeout=TIMEOUT_S).topics[self._topic]
        tails = []
        for partition in metadata.partitions:
            low, high = self._consumer.get_watermark_offsets(
                TopicPartition(self._topic, partition), timeout=TIMEOUT_S
            )
            tails.append(_Tail(partition, low, high))
        step = max(LEAST_RECORDS, RECORDS_PER_SYMBOL * len(self._symbols))
        read = 0
        while unfinished := [tail for tail in tails if not self._finished(tail, read)]:
            for tail in unfinished:
                self._read_back(tail, step)
            read += step
            step *= 2
            if read > MOST_RECORDS_FOR_PRICES:
                log.info("resume_reads_on", topic=self._topic, records_per_partition=read)
        if self._greatest is None:
            return Resume()
        prices = {symbol: price for symbol, (_, price) in self._prices.items()}
        log.info("simulator_resumes", after_sequence=self._greatest.sequence, prices=len(prices))
        return Resume(self._greatest.sequence + 1, prices)

    def _finished(self, tail: _Tail, read: int) -> bool:
        if tail.start <= tail.low:
            return True
        if self._greatest is None:
            return False
        if read < MOST_RECORDS_FOR_PRICES and not self._symbols <= self._prices.keys():
            return False
        settled_ms = self._greatest.event_time // 1000 - SETTLED_MS
        return tail.newest is not None or (tail.oldest_ms is not None and tail.oldest_ms < settled_ms)

    def _read_back(self, tail: _Tail, count: int) -> None:
        start = max(tail.low, tail.start - count)
        for message in self._messages(tail.partition, start, tail.start):
            if message.value() is None:
                if tail.oldest_ms is None or message.timestamp()[1] < tail.oldest_ms:
                    tail.oldest_ms = message.timestamp()[1]
                continue
            trade = self._simulated(message)
            if trade is None:
                continue
            if tail.newest is None or trade.sequence > tail.newest.sequence:
                tail.newest = trade
            if self._greatest is None or trade.sequence > self._greatest.sequence:
                self._greatest = trade
            if trade.sequence > self._prices.get(trade.symbol, (-1, 0.0))[0]:
                self._prices[trade.symbol] = (trade.sequence, trade.price)
        tail.start = start

    def _messages(self, partition: int, start: int, end: int) -> Iterator[Message]:
        """The records with offsets in [start, end)."""
        place = TopicPartition(self._topic, partition, start)
        self._consumer.assign([place])
        position = start
        while position < end:
            messages = self._consumer.consume(min(10_000, end - position), timeout=TIMEOUT_S)
            if not messages:
                raise UnavailableError(
                    f"{self._topic} partition {partition} cannot be read at offset {position}"
                )
            for message in messages:
                if message.error() is not None:
                    raise KafkaException(message.error())
                position = message.offset() + 1
                if position <= end:
                    yield message

    def _simulated(self, message: Message) -> Trade | None:
        """The simulator's trade, if it is one. A correction has no number of its own."""
        try:
            event = self._decoder.decode(message.value())
        except PoisonError:
            return None  # somebody else's; the jobs deal with it
        return event if isinstance(event, Trade) and event.source == SOURCE else None
