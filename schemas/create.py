"""Creating and removing what the servers must hold before trades can flow: topics, keyspace and tables."""

import time
from collections.abc import Mapping
from concurrent.futures import Future

from cassandra import DriverException, RequestExecutionException
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from schemas.cassandra_session import connect
from schemas.errors import ConfigurationError, UnavailableError
from schemas.settings import CassandraSettings, KafkaSettings, TopicSettings
from schemas.tables import keyspace_ddl, table_ddl
from schemas.topics import COMPACTED, Topics, topic_config

TIMEOUT_S = 30.0
DDL_TIMEOUT_S = 60.0
ANY_TIME = {"message.timestamp.after.max.ms": str(2**63 - 1)}


def create_topics(settings: TopicSettings, *, any_time: bool = False) -> Topics:
    """Creates the topics of the prefix, or brings existing ones to the configured retention, and waits until
    they can be used. ``any_time`` lifts the bound on timestamps ahead of the clock, for a replay.

    Raises UnavailableError where Kafka does not answer, ConfigurationError where it refuses the settings.
    """
    topics = Topics(settings.topic_prefix)
    of_events = topic_config(settings) | (ANY_TIME if any_time else {})
    configs = dict.fromkeys(topics.event_types, of_events) | {topics.streams: of_events | COMPACTED}
    admin = admin_client(settings)
    new = [
        NewTopic(
            name,
            1 if name == topics.streams else settings.topic_partitions,  # some orders a day
            settings.topic_replication_factor,
            config=config,
        )
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
    _wait(settings, admin, topics, present=True)
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
    _wait(settings, admin, topics, present=False)


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


def admin_client(settings: KafkaSettings) -> AdminClient:
    """A Kafka admin client that does not print to standard error while the broker is away."""
    return AdminClient(
        {"bootstrap.servers": settings.kafka_bootstrap_servers, "log_level": 0, "socket.timeout.ms": 10_000}
    )


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
            raise _unavailable(settings, error.str()) from failure
        raise ConfigurationError(
            f"Kafka refuses the topics {settings.topic_prefix}.*: {error.str()}"
        ) from failure
    except TimeoutError as failure:
        raise _unavailable(settings, "no answer in time") from failure
    return None


def _wait(settings: KafkaSettings, admin: AdminClient, topics: Topics, *, present: bool) -> None:
    """Returns when every topic has a leader for each partition, or when none is there any more."""
    deadline = time.monotonic() + TIMEOUT_S
    names = set(topics.names)
    while True:
        try:
            known = admin.list_topics(timeout=10).topics
        except KafkaException as failure:
            raise _unavailable(settings, failure.args[0].str()) from failure
        usable = {name for name in names & known.keys() if _has_leaders(known[name].partitions)}
        if (usable == names) if present else not names & known.keys():
            return
        if time.monotonic() > deadline:
            raise _unavailable(
                settings, f"waited for {', '.join(sorted(names ^ usable if present else usable))}"
            )
        time.sleep(0.1)


def _has_leaders(partitions: Mapping[int, object]) -> bool:
    return bool(partitions) and all(
        getattr(partition, "leader", -1) >= 0 for partition in partitions.values()
    )


def _unavailable(settings: KafkaSettings, why: str) -> UnavailableError:
    return UnavailableError(
        f"Kafka does not answer at {settings.kafka_bootstrap_servers} ({why}): start it,"
        f" or set KAFKA_BOOTSTRAP_SERVERS"
    )
