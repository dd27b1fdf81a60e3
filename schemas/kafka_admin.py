"""Asking Kafka about its topics."""

from collections.abc import Iterable, Mapping

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, TopicMetadata

from schemas.errors import ConfigurationError, UnavailableError
from schemas.settings import KafkaSettings

METADATA_TIMEOUT_S = 5.0


def admin_client(settings: KafkaSettings) -> AdminClient:
    """A Kafka admin client that does not print to standard error while the broker is away."""
    return AdminClient(
        {"bootstrap.servers": settings.kafka_bootstrap_servers, "log_level": 0, "socket.timeout.ms": 10_000}
    )


def known_topics(
    settings: KafkaSettings, admin: AdminClient, timeout_s: float
) -> Mapping[str, TopicMetadata]:
    """All topics, as asking for one that does not exist might create it. Raises UnavailableError."""
    try:
        topics: dict[str, TopicMetadata] = admin.list_topics(timeout=timeout_s).topics
    except KafkaException as error:
        raise unavailable(settings, error.args[0].str()) from error
    return topics


def partition_counts(settings: KafkaSettings, topics: Iterable[str]) -> Mapping[str, int]:
    """Number of partitions of each of the topics.

    Raises ConfigurationError where one does not exist, UnavailableError where Kafka does not answer.
    """
    wanted = tuple(topics)
    known = known_topics(settings, admin_client(settings), METADATA_TIMEOUT_S)
    missing = [name for name in wanted if name not in known]
    if missing:
        raise ConfigurationError(
            f"no topic {', '.join(missing)} at {settings.kafka_bootstrap_servers}: run `make topics`,"
            f" or set TOPIC_PREFIX"
        )
    return {name: len(known[name].partitions) for name in wanted}


def unavailable(settings: KafkaSettings, why: str) -> UnavailableError:
    return UnavailableError(
        f"Kafka does not answer at {settings.kafka_bootstrap_servers} ({why}): start it,"
        f" or set KAFKA_BOOTSTRAP_SERVERS"
    )
