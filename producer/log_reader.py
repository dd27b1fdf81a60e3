"""Reading a topic outside of the flow of trades: what an earlier run has left there."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from confluent_kafka import Consumer, KafkaException

from schemas.errors import UnavailableError
from schemas.settings import KafkaSettings


@contextmanager
def reading(
    settings: KafkaSettings,
    topic: str,
    what: str,
    options: dict[str, Any],
    *,
    client: Callable[[dict[str, Any]], Any] = Consumer,
) -> Iterator[Any]:
    """A consumer that commits nothing, closed at the end. ``what`` completes "cannot read .. TOPIC", and
    ``options`` are the client's own. Raises UnavailableError for what Kafka does not do."""
    consumer = client(
        {
            "bootstrap.servers": settings.kafka_bootstrap_servers,
            "group.id": f"{topic}.read",  # the client insists on one; nothing is committed under it
            "enable.auto.commit": False,
            "log_level": 2,
            **options,
        }
    )
    try:
        yield consumer
    except KafkaException as error:
        raise UnavailableError(
            f"cannot read {what} {topic}: {error.args[0].str()}; is Kafka running?"
        ) from error
    finally:
        consumer.close()
