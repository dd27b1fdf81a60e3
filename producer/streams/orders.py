"""Orders from the topic of orders: those of before, and then each as it comes."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.errors import PoisonError, UnavailableError
from schemas.settings import KafkaSettings
from schemas.stream_orders import StreamOrder
from schemas.topics import Topics

log = structlog.get_logger()

TIMEOUT_S = 10.0
AT_ONCE = 100


class Ordered(NamedTuple):
    """``at_us``: when it was ordered."""

    order: StreamOrder
    at_us: int


class StreamOrders:
    """For one thread."""

    def __init__(self, settings: KafkaSettings, client: Callable[[dict[str, Any]], Any] = Consumer) -> None:
        self._topic = Topics(settings.topic_prefix).streams
        self._servers = settings.kafka_bootstrap_servers
        self._consumer = client(
            {
                "bootstrap.servers": self._servers,
                "group.id": f"{self._topic}.orders",  # the client insists on one; nothing is committed
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 200,
                "log_level": 2,
            }
        )

    def catch_up(self) -> list[Ordered]:
        """Everything that was ordered before, in its order. Raises UnavailableError."""
        try:
            known = self._consumer.list_topics(self._topic, timeout=TIMEOUT_S).topics[self._topic]
            left = set(known.partitions)
            self._consumer.assign(
                [TopicPartition(self._topic, partition, OFFSET_BEGINNING) for partition in left]
            )
            found: list[Ordered] = []
            while left:
                # Not many at a time: for as many as are asked for the client would wait the whole time.
                message = self._consumer.poll(TIMEOUT_S)
                if message is None:
                    raise UnavailableError(f"{self._topic} cannot be read at {self._servers}")
                if _is_end(message):
                    left.discard(message.partition())
                else:
                    found += _read(message)
        except KafkaException as error:
            raise UnavailableError(
                f"cannot read which streams are stopped from {self._topic}: {error.args[0].str()}; is Kafka"
                f" running at {self._servers}?"
            ) from error
        return found

    def poll(self) -> list[Ordered]:
        """What was ordered since, without waiting. While Kafka is away that is nothing: it comes later."""
        return [
            ordered
            for message in self._consumer.consume(AT_ONCE, timeout=0)
            if message.error() is None
            for ordered in _read(message)
        ]

    def close(self) -> None:
        self._consumer.close()


def _is_end(message: Message) -> bool:
    """Whether this says that a partition has no more; raises KafkaException for any other error."""
    error = message.error()
    if error is None:
        return False
    if error.code() != KafkaError._PARTITION_EOF:
        raise KafkaException(error)
    return True


def _read(message: Message) -> Iterator[Ordered]:
    value = message.value()
    if value is None:
        return
    try:
        yield Ordered(StreamOrder.read(value), message.timestamp()[1] * 1000)
    except PoisonError as error:
        log.warning("stream_order_refused", detail=error.detail, offset=message.offset())
