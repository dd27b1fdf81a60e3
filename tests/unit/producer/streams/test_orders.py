"""Orders from Kafka, whatever else is in the topic, and when it does not answer."""

from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from structlog.testing import capture_logs

from producer.streams.orders import Ordered, StreamOrders
from schemas.errors import UnavailableError
from schemas.settings import KafkaSettings
from schemas.stream_orders import StreamOrder

STOP = StreamOrder(symbol="AAPL", stopped=True)
START = StreamOrder(symbol="AAPL", stopped=False)


class FakeMessage:
    def __init__(self, value: bytes | None = None, *, error: int | None = None, partition: int = 0) -> None:
        self._value, self._error, self._partition = value, error, partition

    def value(self) -> bytes | None:
        return self._value

    def error(self) -> KafkaError | None:
        return None if self._error is None else KafkaError(self._error)

    def partition(self) -> int:
        return self._partition

    def offset(self) -> int:
        return 7

    def timestamp(self) -> tuple[int, int]:
        return 1, 1_700_000_000_000


class FakeConsumer:
    """A topic of two partitions; ``poll`` gives the next message of ``rounds``, ``consume`` what is left of
    the first of them."""

    def __init__(self, *rounds: list[FakeMessage]) -> None:
        self.rounds = list(rounds)
        self.assigned: list[TopicPartition] = []
        self.closed = False

    def list_topics(self, topic: str, timeout: float) -> Any:
        assert (topic, timeout > 0) == ("market.streams", True)
        partitions = type("Topic", (), {"partitions": {0: None, 1: None}})()
        return type("Metadata", (), {"topics": {topic: partitions}})()

    def assign(self, places: list[TopicPartition]) -> None:
        self.assigned = places

    def poll(self, timeout: float) -> FakeMessage | None:
        assert timeout > 0
        if not self.rounds or not self.rounds[0]:
            return None
        message = self.rounds[0].pop(0)
        if not self.rounds[0]:
            self.rounds.pop(0)
        return message

    def consume(self, count: int, timeout: float) -> list[FakeMessage]:
        assert timeout == 0, f"it would wait for {count} messages, however few there are"
        return self.rounds.pop(0) if self.rounds else []

    def close(self) -> None:
        self.closed = True


END = KafkaError._PARTITION_EOF


def orders(consumer: FakeConsumer) -> StreamOrders:
    return StreamOrders(KafkaSettings(), lambda _: consumer)


def test_everything_before_the_ends_of_all_partitions_is_caught_up_with() -> None:
    """What is no order is left out and told; then what comes is handed over without waiting."""
    consumer = FakeConsumer(
        [FakeMessage(STOP.value), FakeMessage(b"nonsense"), FakeMessage(error=END)],
        [FakeMessage(None, partition=1), FakeMessage(START.value), FakeMessage(error=END, partition=1)],
        [FakeMessage(STOP.value), FakeMessage(error=END), FakeMessage(error=KafkaError._TRANSPORT)],
    )
    taken = orders(consumer)
    with capture_logs() as logs:
        assert taken.catch_up() == [Ordered(order, 1_700_000_000_000_000) for order in (STOP, START)]
    assert [(entry["event"], entry["offset"]) for entry in logs] == [("stream_order_refused", 7)]
    assert {place.partition for place in consumer.assigned} == {0, 1}
    assert [ordered.order for ordered in taken.poll()] == [STOP]
    assert taken.poll() == []
    taken.close()
    assert consumer.closed


@pytest.mark.parametrize("round_", [[], [FakeMessage(error=KafkaError._TRANSPORT)]])
def test_a_topic_that_cannot_be_read_can_be_asked_again(round_: list[FakeMessage]) -> None:
    """The producer waits for it: to produce what somebody has stopped would be wrong."""
    with pytest.raises(UnavailableError, match=r"market\.streams"):
        orders(FakeConsumer(round_)).catch_up()


def test_without_kafka_the_error_says_where_it_should_be() -> None:
    """As for every server."""
    consumer = FakeConsumer()

    def away(*_: object, **__: object) -> None:
        raise KafkaException(KafkaError(KafkaError._TRANSPORT))

    consumer.list_topics = away  # type: ignore[method-assign, assignment]
    with pytest.raises(UnavailableError, match="is Kafka running"):
        orders(consumer).catch_up()
