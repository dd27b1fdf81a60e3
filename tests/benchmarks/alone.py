"""The bars job by itself over a log that is there already: how many trades a second it can do."""

import random
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from confluent_kafka import Producer

from producer.settings import SimulatorSettings
from producer.simulator.market import Market
from schemas.create import create_topics
from schemas.registry import register_schemas
from schemas.settings import TopicSettings
from schemas.topics import Topics
from tests.benchmarks.market import names
from tests.benchmarks.usage import WORKERS, usage
from tests.support.faults_finish import has_read_all
from tests.support.jobs_run import running_jobs
from tests.support.reading import consumer_of, eventually
from tests.support.servers import LiveSystem

BATCH_US = 10_000
LATE_US = 3_000_000
"""A late trade lies so far behind its place in the log: well within the horizon, behind every watermark."""
HEARTBEAT_US = 100_000
CATCH_UP_SECONDS = 900
CHECKPOINT_MS = 5000
"""As a user has it; tests have them more often."""


def bars_alone(
    live: LiveSystem, folder: Path, name: str, *, symbols: int, trades: int, late: float, slice_ms: int
) -> dict[str, Any]:
    """Fills topics with trades of a market of 25,000 trades/s, of which a share is late, then runs the bars
    job over them; dedup, dead letters, indicators and anomalies on."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = TopicSettings(
        kafka_bootstrap_servers=live.settings.kafka_address,
        schema_registry_url=live.settings.registry_url,
        topic_prefix=name,
        topic_retention_hours=0,
    )
    topics = create_topics(settings, any_time=True)
    ids = register_schemas(settings.schema_registry_url, topics)
    written = _fill(settings, topics, ids[topics.trades], symbols=symbols, trades=trades, late=late)
    with consumer_of(settings, topics.job_name("bars")) as consumer:
        began = time.monotonic()
        changes = {"SLICE_MS": slice_ms, "CHECKPOINT_INTERVAL_MS": CHECKPOINT_MS}
        with running_jobs(live.environment, folder, name, jobs=("bars",), **changes) as run:
            before, started = usage(live, None), time.monotonic()
            eventually(lambda: has_read_all(consumer, topics), CATCH_UP_SECONDS, "the bars job has read all")
            passed = time.monotonic() - started
            after = usage(live, None)
            assert run.restarts("bars") == 0
    cpu = after.since(before)
    return {
        "symbols": symbols,
        "trades": written,
        "late_share": late,
        "slice_ms": slice_ms,
        "start_s": round(started - began, 1),
        "seconds": round(passed, 1),
        "trades_per_s": round(written / passed),
        "cpu_percent": {part: cpu.get(part, 0.0) for part in ("taskmanager", WORKERS, "kafka")},
    }


def _fill(
    settings: TopicSettings, topics: Topics, schema_id: int, *, symbols: int, trades: int, late: float
) -> int:
    rate = 25_000
    market = Market(SimulatorSettings(symbols=names(symbols), trades_per_second=rate, quotes_per_second=0))
    producer = Producer(
        {
            "bootstrap.servers": settings.kafka_bootstrap_servers,
            "queue.buffering.max.messages": 1_000_000,
            "compression.type": "lz4",
            "linger.ms": 20,
        }
    )
    begin_us = int((time.time() - trades / rate - 60) * 1e6)
    chance = random.Random(1)
    held: deque[tuple[int, Any]] = deque()

    def write(record: Any) -> None:
        producer.produce(topics.trades, record.value, record.key, timestamp=record.timestamp_ms)

    next_heartbeat, written = begin_us, 0
    for end_us, records in _batches(market, schema_id, begin_us, trades, rate):
        while held and held[0][0] <= end_us:
            write(held.popleft()[1])
        for record in records:
            if chance.random() < late:
                held.append((end_us + LATE_US, record))
            else:
                write(record)
        written += len(records)
        if end_us >= next_heartbeat:
            next_heartbeat = end_us + HEARTBEAT_US
            _beat(producer, topics, settings.topic_partitions, end_us - 50_000)
        producer.poll(0)
        while len(producer) > 500_000:
            producer.poll(0.1)
    for _, record in held:
        write(record)
    _beat(producer, topics, settings.topic_partitions, end_us + 60_000_000)
    assert producer.flush(120) == 0
    return written


def _batches(
    market: Market, schema_id: int, begin_us: int, trades: int, rate: int
) -> Iterator[tuple[int, Any]]:
    count = rate * BATCH_US // 1_000_000
    for number in range(trades // count):
        start = begin_us + number * BATCH_US
        times = start + BATCH_US * np.arange(1, count + 1, dtype=np.int64) // count
        yield start + BATCH_US, market.trades(times, start + BATCH_US).wire(schema_id)


def _beat(producer: Producer, topics: Topics, partitions: int, time_us: int) -> None:
    for topic in topics.inputs:
        for partition in range(partitions):
            producer.produce(topic, None, partition=partition, timestamp=time_us // 1000)
