"""Reading what the system has written: topics with an ordinary consumer, tables with an ordinary session."""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC
from typing import Any, TypeVar

from cassandra.cluster import Session
from confluent_kafka import Consumer, Message, TopicPartition

from schemas.avro_codec import Decoder
from schemas.cassandra_session import connect
from schemas.events import Candle, Correction, DeadLetter, Event, Trade
from schemas.intervals import INTERVALS
from schemas.registry import RegistryLookup
from schemas.settings import CassandraSettings, KafkaSettings
from schemas.tables import GOLD_TABLES

EventType = TypeVar("EventType", bound=Event)


@contextmanager
def consumer_of(settings: KafkaSettings, group: str) -> Iterator[Consumer]:
    """A consumer that only looks: it joins no group and commits nothing."""
    consumer = Consumer(
        {
            "bootstrap.servers": settings.kafka_bootstrap_servers,
            "group.id": group,
            "enable.auto.commit": False,
            "log_level": 0,
        }
    )
    try:
        yield consumer
    finally:
        consumer.close()


def records(settings: KafkaSettings, topic: str) -> Iterator[Message]:
    """Every record that is in the topic now, partition after partition, with the heartbeats."""
    with consumer_of(settings, f"test-{uuid.uuid4().hex}") as consumer:
        for number in sorted(consumer.list_topics(topic, 10).topics[topic].partitions):
            position, end = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=10)
            consumer.assign([TopicPartition(topic, number, position)])
            while position < end:
                messages = consumer.consume(min(10_000, end - position), 10)
                assert messages, f"{topic} did not answer"
                for message in messages:
                    assert message.error() is None, message.error()
                    position = message.offset() + 1
                    yield message


def read_topic(settings: KafkaSettings, topic: str, event_type: type[EventType]) -> list[EventType]:
    """Every event of the type that is in the topic now; heartbeats are left out, and of a topic with trades
    and corrections those of the other type."""
    types = (Trade, Correction) if event_type in (Trade, Correction) else event_type
    decoder = Decoder(types, RegistryLookup(settings.schema_registry_url))
    payloads = (message.value() for message in records(settings, topic))
    events = (decoder.decode(payload) for payload in payloads if payload is not None)
    return [event for event in events if isinstance(event, event_type)]


def last_candles(settings: KafkaSettings) -> dict[tuple[str, str, int], Candle]:
    """``(symbol, interval, start)`` -> the greatest version on the topic."""
    last: dict[tuple[str, str, int], Candle] = {}
    for candle in read_topic(settings, f"{settings.topic_prefix}.candles", Candle):
        key = (candle.symbol, candle.interval, candle.start)
        if key not in last or last[key].version <= candle.version:
            last[key] = candle
    return last


def dead_letters(settings: KafkaSettings) -> list[DeadLetter]:
    """Every dead letter of the topics."""
    return read_topic(settings, f"{settings.topic_prefix}.dead-letter", DeadLetter)


@contextmanager
def session_of(settings: CassandraSettings) -> Iterator[Session]:
    """A session on the keyspace."""
    session = connect(settings)
    try:
        yield session
    finally:
        session.cluster.shutdown()


def stored_bars(session: Session, symbols: set[str]) -> dict[tuple[str, str, int], tuple[Any, ...]]:
    """``(symbol, interval, start)`` -> (open, high, low, close, volume, notional, vwap, trades, final,
    version, sources) of every bar in the gold tables. Start in us; the driver gives naive UTC."""
    bars = {}
    for interval in INTERVALS:
        for row in session.execute(f"SELECT * FROM {GOLD_TABLES[interval]}"):  # noqa: S608
            if row.symbol in symbols:
                start = round(row.start.replace(tzinfo=UTC).timestamp()) * 1_000_000
                bars[row.symbol, interval, start] = (
                    row.open, row.high, row.low, row.close, row.volume, row.notional, row.vwap, row.trades,
                    row.final, row.version, tuple(row.sources),
                )  # fmt: skip
    return bars


def stored_trades(session: Session, table: str, symbols: set[str]) -> list[Any]:
    """Every row of a tick table that belongs to the symbols."""
    rows = session.execute(f"SELECT * FROM {table}")  # noqa: S608
    return [row for row in rows if row.symbol in symbols]


def eventually(check: Callable[[], bool], seconds: float, what: str) -> None:
    """Waits until ``check`` holds; fails saying what was waited for."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.5)
