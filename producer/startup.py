"""What must be there before the first event: schemas in the registry, topics with their partitions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import structlog

from producer.runtime import Runtime
from schemas.errors import UnavailableError
from schemas.kafka_admin import partition_counts
from schemas.registry import register_schemas
from schemas.settings import KafkaSettings
from schemas.topics import Topics

log = structlog.get_logger()

RETRY_S = (0.5, 1.0, 2.0, 5.0)
"""Waits between attempts; the last one for as long as it takes."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Destination:
    """Where events go: schema id of each of ``Topics.record_types``, and number of partitions of each topic
    that the producer writes to."""

    schema_ids: Mapping[str, int]
    partitions: Mapping[str, int]


class StopRequestedError(Exception):
    """The part was asked to stop while it waited; not a failure."""


def patiently(action: Callable[[], T], runtime: Runtime) -> T:
    """The result of ``action``, tried again for as long as it raises UnavailableError, and logged.

    Raises StopRequestedError when the part is asked to stop meanwhile.
    """
    attempt = 0
    while not runtime.stop.is_set():
        try:
            return action()
        except UnavailableError as error:
            delay_s = RETRY_S[min(attempt, len(RETRY_S) - 1)]
            attempt += 1
            log.warning("waiting_for_servers", error=str(error), retry_in_s=delay_s)
            runtime.clock.sleep(delay_s)
    raise StopRequestedError


def find_destination(settings: KafkaSettings, runtime: Runtime) -> Destination:
    """Looks at the topics and registers the schemas; waits while registry or Kafka do not answer.

    Raises ConfigurationError where the registry refuses a schema or a topic does not exist.
    """
    topics = Topics(settings.topic_prefix)
    written = (
        topics.trades,
        topics.quotes,
        topics.provider_bars,
        topics.gaps,
        topics.dead_letter,
        topics.streams,
    )
    partitions = patiently(lambda: partition_counts(settings, written), runtime)
    return Destination(
        patiently(lambda: register_schemas(settings.schema_registry_url, topics), runtime), partitions
    )
