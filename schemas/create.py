"""Creating and removing what the servers must hold before trades can flow: topics, keyspace and tables."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial

from cassandra import DriverException, RequestExecutionException
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
    TopicMetadata,
)

from schemas.cassandra_session import connect
from schemas.errors import ConfigurationError, UnavailableError
from schemas.kafka_admin import admin_client, known_topics, unavailable
from schemas.settings import CassandraSettings, KafkaSettings, TopicSettings
from schemas.tables import keyspace_ddl, table_ddl
from schemas.topics import COMPACTED, Topics, topic_config

TIMEOUT_S = 30.0
DDL_TIMEOUT_S = 60.0
ANY_TIME = {"message.timestamp.after.max.ms": str(2**63 - 1)}


def create_topics(settings: TopicSettings, *, any_time: bool = False) -> Topics:
    """Creates the topics of the prefix, or brings existing ones to the configured retention and at least to
    the configured number of partitions, and waits until they can be used. ``any_time`` lifts the bound on
    timestamps ahead of the clock, for a replay.

    Raises UnavailableError where Kafka does not answer, ConfigurationError where it refuses the settings.
    """
    topics = Topics(settings.topic_prefix)
    of_events = topic_config(settings) | (ANY_TIME if any_time else {})
    configs = dict.fromkeys(topics.event_types, of_events) | {topics.streams: of_events | COMPACTED}
    partitions = dict.fromkeys(topics.event_types, settings.topic_partitions) | {topics.streams: 1}
    admin = admin_client(settings)
    new = [
        NewTopic(name, partitions[name], settings.topic_replication_factor, config=config)
        for name, config in configs.items()
    ]
    existing = []
    for name, created in admin.create_topics(new, operation_timeout=TIMEOUT_S).items():
        if _refusal(settings, created) == KafkaError.TOPIC_ALREADY_EXISTS:
            existing.append(name)
    if existing:
        resources = [
            ConfigResource(ResourceType.TOPIC, name, incremental_configs=_entries(configs[name]))
            for name in existing
        ]
        for altered in admin.incremental_alter_configs(resources).values():
            _refusal(settings, altered)
    known = _wait(settings, admin, partial(_unusable, wanted=dict.fromkeys(topics.names, 1)))
    more = [
        NewPartitions(name, count)
        for name, count in partitions.items()
        if len(known[name].partitions) < count  # never fewer: Kafka cannot take any away
    ]
    if more:
        for added in admin.create_partitions(more, operation_timeout=TIMEOUT_S).values():
            _refusal(settings, added)
        _wait(settings, admin, partial(_unusable, wanted=partitions))
    return topics


def _entries(config: Mapping[str, str]) -> list[ConfigEntry]:
    return [
        ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET) for key, value in config.items()
    ]


def delete_topics(settings: KafkaSettings) -> None:
    """Deletes the topics of the prefix, and waits until they are gone; those that do not exist are fine."""
    topics = Topics(settings.topic_prefix)
    admin = admin_client(settings)
    for deleted in admin.delete_topics(list(topics.names), operation_timeout=TIMEOUT_S).values():
        _refusal(settings, deleted)
    _wait(settings, admin, lambda known: set(topics.names) & known.keys())


def create_tables(settings: CassandraSettings) -> None:
    """Creates the keyspace and the tables, or brings existing tables to the configured TTL.

    Raises UnavailableError where Cassandra does not answer or refuses.
    """
    session = connect(settings, keyspace=False)
    try:
        session.execute(keyspace_ddl(settings), timeout=DDL_TIMEOUT_S)
        session.set_keyspace(settings.cassandra_keyspace)
        for statement in table_ddl(settings):
            session.execute(statement, timeout=DDL_TIMEOUT_S)
    except (DriverException, RequestExecutionException) as error:
        raise UnavailableError(
            f"Cassandra could not create keyspace {settings.cassandra_keyspace} and its tables: {error};"
            f" look at its log, then run `make cassandra-init`"
        ) from error
    finally:
        session.cluster.shutdown()


IDEMPOTENT = frozenset({KafkaError.TOPIC_ALREADY_EXISTS, KafkaError.UNKNOWN_TOPIC_OR_PART})


def _refusal(settings: KafkaSettings, future: "Future[None]") -> int | None:
    """Waits for one answer of the broker: None for done, the code of an error that only says "already so"."""
    try:
        future.result(timeout=TIMEOUT_S)
    except KafkaException as failure:
        error = failure.args[0]
        if error.code() in IDEMPOTENT:
            return int(error.code())
        if error.code() in (KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN):
            raise unavailable(settings, error.str()) from failure
        raise ConfigurationError(
            f"Kafka refuses the topics {settings.topic_prefix}.*: {error.str()}"
        ) from failure
    except TimeoutError as failure:
        raise unavailable(settings, "no answer in time") from failure
    return None


def _wait(
    settings: KafkaSettings, admin: AdminClient, waits_for: Callable[[Mapping[str, TopicMetadata]], set[str]]
) -> Mapping[str, TopicMetadata]:
    """Returns the topics that Kafka has as soon as ``waits_for`` names none of them."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        known = known_topics(settings, admin, timeout_s=10)
        names = waits_for(known)
        if not names:
            return known
        if time.monotonic() > deadline:
            raise unavailable(settings, f"waited for {', '.join(sorted(names))}")
        time.sleep(0.1)


def _unusable(known: Mapping[str, TopicMetadata], wanted: Mapping[str, int]) -> set[str]:
    """Topics that have fewer partitions than wanted, or one without a leader."""
    return {name for name, least in wanted.items() if name not in known or _usable(known[name]) < least}


def _usable(topic: TopicMetadata) -> int:
    """Number of partitions of a topic; 0 while one has no leader."""
    partitions = topic.partitions.values()
    return len(partitions) if all(partition.leader >= 0 for partition in partitions) else 0
