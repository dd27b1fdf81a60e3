"""Where an earlier run stopped, from a real Kafka."""

import time
from dataclasses import replace

import pytest
from confluent_kafka import Producer

from producer.failover.before import Before, find_before
from producer.failover.last_heard import last_heard_us
from schemas.create import create_topics
from schemas.errors import UnavailableError
from schemas.events import Gap
from schemas.settings import KafkaSettings, TopicSettings
from tests.support.live import Market

pytestmark = pytest.mark.servers


def test_the_last_record_of_the_partition_furthest_behind_says_when(topics: TopicSettings) -> None:
    """Heartbeats are records, too. An empty topic says nothing, nor does a partition that was added."""
    assert patiently(topics) is None
    recent_ms = time.time_ns() // 1_000_000 - 60_000  # Kafka deletes what is older than its retention
    client = Producer({"bootstrap.servers": topics.kafka_bootstrap_servers})
    for number in range(topics.topic_partitions):
        client.produce(f"{topics.topic_prefix}.trades", None, partition=number, timestamp=recent_ms)
    client.flush()
    assert patiently(topics) == recent_ms * 1000
    for number in range(topics.topic_partitions):
        later_ms = recent_ms + 5_000 + number
        client.produce(f"{topics.topic_prefix}.trades", None, partition=number, timestamp=later_ms)
    client.flush()
    assert patiently(topics) == (recent_ms + 5_000) * 1000
    create_topics(topics.model_copy(update={"topic_partitions": topics.topic_partitions + 1}))
    assert patiently(topics) == (recent_ms + 5_000) * 1000


def test_gaps_that_were_open_then_are_found(topics: TopicSettings) -> None:
    """Those that have ended since, long ago, or by an order, are not among them."""
    patiently(topics)
    now_us = time.time_ns() // 1000
    heard_us = (now_us - 60_000_000) // 1000 * 1000
    start = max(heard_us - 30_000_000, heard_us - heard_us % 3_600_000_000)
    gap = Gap("open", "AAPL", "polygon", start, start, False, "disconnect", "", now_us)
    ended = replace(gap, gap_id="ended", symbol="MSFT")
    old = replace(gap, gap_id="old", start=heard_us - 600_000_000, end=heard_us - 599_000_000)
    stopped = replace(gap, gap_id="stopped", symbol="TSLA", reason="stopped")
    told = [old, gap, stopped, ended, replace(ended, end=heard_us, closed=True), replace(gap, end=heard_us)]
    Market(topics).publish(*told)
    client = Producer({"bootstrap.servers": topics.kafka_bootstrap_servers})
    for number in range(topics.topic_partitions):
        client.produce(f"{topics.topic_prefix}.trades", None, partition=number, timestamp=heard_us // 1000)
    client.flush()
    assert find_before(topics) == Before(heard_us, [replace(gap, end=heard_us)])


def patiently(topics: TopicSettings) -> int | None:
    """As the producer asks: a topic that has just been made may have no leader yet."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return last_heard_us(topics)
        except UnavailableError:
            assert time.monotonic() < deadline
            time.sleep(0.2)


def test_without_kafka_it_can_be_asked_again() -> None:
    """The producer waits for it, as for all servers."""
    with pytest.raises(UnavailableError, match="cannot read what was heard last"):
        last_heard_us(KafkaSettings(kafka_bootstrap_servers="127.0.0.1:1"))
