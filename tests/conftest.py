"""Servers for the tests that need real ones.

Nothing is started until a test asks for it. The servers live in a state folder of their own on free ports,
so a running ``make run`` is not disturbed. ``TICKSTREAM_TEST_SERVERS=1`` uses servers that already run
instead, at the addresses in the environment.
"""

import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from schemas.create import create_tables, create_topics, delete_topics
from schemas.settings import CassandraSettings, KafkaSettings, TopicSettings


@dataclass(frozen=True, slots=True)
class KafkaServers:
    """Where the Kafka and the schema registry of this test session listen."""

    bootstrap_servers: str
    registry_url: str

    def settings(self, prefix: str, **changes: int) -> TopicSettings:
        """Settings of the topics under ``prefix`` on these servers."""
        return TopicSettings(
            kafka_bootstrap_servers=self.bootstrap_servers,
            schema_registry_url=self.registry_url,
            topic_prefix=prefix,
            **changes,
        )


def running_servers() -> bool:
    return os.environ.get("TICKSTREAM_TEST_SERVERS") == "1"


@pytest.fixture(scope="session")
def kafka() -> KafkaServers:
    """Kafka and the schema registry; nothing else is started for it."""
    settings = KafkaSettings()
    return KafkaServers(settings.kafka_bootstrap_servers, settings.schema_registry_url)


@pytest.fixture(scope="session")
def cassandra() -> CassandraSettings:
    """Cassandra with the keyspace and all tables in it."""
    settings = CassandraSettings(cassandra_keyspace=f"test_{uuid.uuid4().hex[:8]}")
    create_tables(settings)
    return settings


@pytest.fixture
def topics(kafka: KafkaServers) -> Iterator[TopicSettings]:
    """Settings whose topics exist, under a prefix that no other test has; deleted afterwards."""
    settings = kafka.settings(f"test_{uuid.uuid4().hex[:8]}")
    create_topics(settings)
    yield settings
    delete_topics(settings)
