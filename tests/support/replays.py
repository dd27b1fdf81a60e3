"""Replays as ``make replay`` runs them, into a keyspace of a test, on the servers of the live system."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docker.local.replay import Replayed, replay
from docker.local.settings import LocalSettings
from schemas.create import create_tables
from schemas.settings import CassandraSettings, KafkaSettings
from tests.support.ports import free_ports


@dataclass(frozen=True, slots=True)
class Done:
    """A replay that is over, and where its results are."""

    result: Replayed
    kafka: KafkaSettings
    cassandra: CassandraSettings


class Replays:
    """Replays into a keyspace, on the servers of the live system."""

    def __init__(self, live: Any) -> None:
        self._settings: LocalSettings = live.settings
        self._environment: Mapping[str, str] = live.environment

    def run(self, files: list[Path], keyspace: str, **changes: str) -> Done:
        environment = {
            **os.environ,
            **self._environment,
            "CASSANDRA_KEYSPACE": keyspace,
            "REPLAY_METRICS_PORT": str(free_ports(1)[0]),
            **changes,
        }
        cassandra = CassandraSettings(
            cassandra_port=self._settings.cassandra_port, cassandra_keyspace=keyspace
        )
        create_tables(cassandra)
        result = replay(files, self._settings, environment, print)
        kafka = KafkaSettings(
            kafka_bootstrap_servers=environment["KAFKA_BOOTSTRAP_SERVERS"],
            schema_registry_url=environment["SCHEMA_REGISTRY_URL"],
            topic_prefix=result.topics.prefix,
        )
        return Done(result, kafka, cassandra)
