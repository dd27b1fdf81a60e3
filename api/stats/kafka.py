"""Offsets of our topics and of who reads them, asked without reading a record."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from api.live.continuity import Place
from schemas.topics import Topics

JOBS = ("bars", "store")
REQUEST_SECONDS = 2.0


class KafkaOffsets:
    """Raises KafkaException. Every call takes REQUEST_SECONDS at most."""

    def __init__(self, admin: AdminClient, topics: Topics) -> None:
        self._admin = admin
        self.topics = topics

    async def places(self) -> list[Place]:
        """Every partition of our topics; a topic that is not there yet has none."""
        listing = await asyncio.to_thread(self._admin.list_topics, timeout=REQUEST_SECONDS)
        return [
            (topic, partition)
            for topic in self.topics.event_types
            if topic in listing.topics
            for partition in listing.topics[topic].partitions
        ]

    async def ends(self, places: list[Place]) -> dict[Place, int]:
        """The offset that comes next."""
        return await self._offsets(dict.fromkeys(places, OffsetSpec.latest()))

    async def starts(self, places: list[Place]) -> dict[Place, int]:
        """The oldest that is kept."""
        return await self._offsets(dict.fromkeys(places, OffsetSpec.earliest()))

    async def at(self, places: list[Place], time_ms: int) -> dict[Place, int]:
        """The first record dated at ``time_ms`` or later; absent where there is none."""
        found = await self._offsets(dict.fromkeys(places, OffsetSpec.for_timestamp(time_ms)))
        return {place: offset for place, offset in found.items() if offset >= 0}

    async def committed(self) -> dict[str, dict[Place, int]]:
        """By consumer group of the jobs; empty where it has committed nothing yet."""
        groups = [self.topics.job_name(job) for job in JOBS]
        found: dict[str, dict[Place, int]] = {}
        for group in groups:  # Kafka takes one group in each request
            asked = self._admin.list_consumer_group_offsets(
                [ConsumerGroupTopicPartitions(group)], request_timeout=REQUEST_SECONDS
            )
            answer = await _result(asked[group])
            found[group] = {
                (each.topic, each.partition): each.offset
                for each in answer.topic_partitions
                if each.offset >= 0
            }
        return found

    async def _offsets(self, specs: Mapping[Place, OffsetSpec]) -> dict[Place, int]:
        if not specs:
            return {}
        asked = self._admin.list_offsets(
            {TopicPartition(*place): spec for place, spec in specs.items()}, request_timeout=REQUEST_SECONDS
        )
        answers = await asyncio.gather(*map(_result, asked.values()))
        return {
            (place.topic, place.partition): answer.offset
            for place, answer in zip(asked, answers, strict=True)
        }


async def _result(future: "Future[Any]") -> Any:
    """What the client's thread answers."""
    try:
        return await asyncio.wrap_future(future)
    except KafkaException:
        raise
    except ValueError as error:
        raise KafkaException(str(error)) from error


def behind(positions: Mapping[Place, int], ends: Mapping[Place, int]) -> dict[str, int]:
    """Records between a reader's positions and the ends, by topic; only of partitions that it reads."""
    lag: dict[str, int] = {}
    for place, position in positions.items():
        if place in ends:
            lag[place[0]] = lag.get(place[0], 0) + max(0, ends[place] - position)
    return lag


def since(firsts: Mapping[Place, int], ends: Mapping[Place, int], topic: str) -> int:
    """Records of a topic from ``firsts`` on; a partition without a first one has none."""
    return sum(ends[place] - first for place, first in firsts.items() if place[0] == topic and place in ends)
