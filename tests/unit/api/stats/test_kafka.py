"""Offsets as Kafka's admin client gives them."""

import asyncio
from concurrent.futures import Future
from typing import Any, NamedTuple

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import OffsetSpec

from api.stats.boxes import within
from api.stats.kafka import KafkaOffsets, behind, since
from schemas.topics import Topics

TRADES, CANDLES = "p.trades", "p.candles"
ENDS = {(TRADES, 0): 100, (TRADES, 1): 50, (CANDLES, 0): 30}


class Named(NamedTuple):
    """An object with one of the attributes that the client's have."""

    topics: Any = None
    partitions: Any = None
    offset: int = 0
    topic_partitions: Any = None


def done(value: Any) -> "Future[Any]":
    future: Future[Any] = Future()
    if isinstance(value, Exception):
        future.set_exception(value)
    else:
        future.set_result(value)
    return future


class Admin:
    """Two partitions of trades, one of candles; nothing in the second is as new as any time."""

    def list_topics(self, timeout: float) -> Named:
        assert timeout > 0
        return Named(topics={TRADES: Named(partitions={0: 0, 1: 0}), CANDLES: Named(partitions={0: 0})})

    def list_offsets(self, asked: dict[TopicPartition, OffsetSpec], request_timeout: float) -> Any:
        assert request_timeout > 0
        return {place: done(Named(offset=self._offset(place, spec))) for place, spec in asked.items()}

    def _offset(self, place: TopicPartition, spec: OffsetSpec) -> int:
        end = ENDS[place.topic, place.partition]
        if spec is OffsetSpec.latest():
            return end
        if spec is OffsetSpec.earliest():
            return 5
        return -1 if place.partition else end - 7

    def list_consumer_group_offsets(self, groups: list[Any], request_timeout: float) -> Any:
        assert request_timeout > 0
        (group,) = (each.group_id for each in groups)
        places = [TopicPartition(TRADES, 0, 90), TopicPartition(TRADES, 1, -1001)]
        return {group: done(Named(topic_partitions=places if group == "p.bars" else []))}


OFFSETS = KafkaOffsets(Admin(), Topics("p"))  # type: ignore[arg-type]


def test_offsets_are_asked_for_all_partitions_at_once() -> None:
    """Ends, starts, and by time; a partition without a newer record is absent."""

    async def scenario() -> None:
        places = await OFFSETS.places()
        assert sorted(places) == sorted(ENDS)
        assert await OFFSETS.ends(places) == ENDS
        assert await OFFSETS.starts(places) == dict.fromkeys(ENDS, 5)
        assert await OFFSETS.at(places, 1) == {(TRADES, 0): 93, (CANDLES, 0): 23}
        assert await OFFSETS.ends([]) == {}

    asyncio.run(scenario())


def test_committed_offsets_are_by_group_and_partition() -> None:
    """A partition that was never committed is absent."""
    assert asyncio.run(OFFSETS.committed()) == {"p.bars": {(TRADES, 0): 90}, "p.store": {}}


def test_lag_and_counts_follow_from_offsets() -> None:
    """By topic; a position ahead of an end that was read before it is no lag."""
    positions = {(TRADES, 0): 90, (TRADES, 1): 51, (CANDLES, 0): 30, ("gone", 0): 3}
    assert behind(positions, ENDS) == {TRADES: 10, CANDLES: 0}
    assert since({(TRADES, 0): 93, (CANDLES, 0): 23}, ENDS, TRADES) == 7


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (KafkaException(KafkaError(KafkaError._TRANSPORT)), "Kafka: "),
        (ValueError("a bug"), "a fault of ours: the log has it"),
    ],
)
def test_what_fails_is_null_with_a_reason(failure: Exception, reason: str) -> None:
    """And so is what takes too long."""

    async def fails() -> int:
        raise failure

    async def scenario() -> dict[str, str]:
        problems: dict[str, str] = {}
        assert await within(1, "this", fails(), problems) is None
        assert await within(0.01, "that", asyncio.sleep(5), problems) is None
        assert await within(1, "it", asyncio.sleep(0, 3), problems) == 3
        return problems

    problems = asyncio.run(scenario())
    assert problems["this"].startswith(reason)
    assert problems.keys() == {"this", "that"}
    assert problems["that"] == "no answer within 0.01 s"
