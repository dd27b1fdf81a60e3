"""Stand-ins for the clock and for Kafka's client."""

import threading
from collections.abc import Callable
from typing import Any

from producer.metrics import ProducerMetrics
from producer.runtime import Runtime

START_US = 1_723_161_255_000_000


class FakeClock:
    """A clock that moves only when somebody waits for it, and remembers how long that was."""

    def __init__(self, now_us: int = START_US) -> None:
        self.us = now_us
        self.slept: list[float] = []

    def now_us(self) -> int:
        return self.us

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.us += round(seconds * 1e6)


def fake_runtime(clock: FakeClock | None = None) -> Runtime:
    return Runtime(clock or FakeClock(), ProducerMetrics(), threading.Event())


class FakeError:
    """An error of Kafka's client."""

    def __init__(self, code: int, *, fatal: bool = False) -> None:
        self._code = code
        self._fatal = fatal

    def code(self) -> int:
        return self._code

    def name(self) -> str:
        return f"ERROR_{self._code}"

    def str(self) -> str:
        return f"error {self._code}"

    def fatal(self) -> bool:
        return self._fatal


class FakeMessage:
    """A record as a delivery report shows it."""

    def __init__(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        partition: int,
        timestamp: int,
        *,
        headers: list[tuple[str, bytes]] | None = None,
    ) -> None:
        self._topic, self._value, self._key = topic, value, key
        self._partition, self._timestamp, self._headers = partition, timestamp, headers

    def topic(self) -> str:
        return self._topic

    def value(self) -> bytes | None:
        return self._value

    def key(self) -> bytes | None:
        return self._key

    def partition(self) -> int:
        return self._partition

    def timestamp(self) -> tuple[int, int]:
        return 1, self._timestamp

    def offset(self) -> int:
        return 7

    def headers(self) -> list[tuple[str, bytes]] | None:
        return self._headers

    def without_timestamp(self) -> "FakeMessage":
        """As the real client reports a record that was refused."""
        return FakeMessage(self._topic, self._value, self._key, self._partition, -1)


class FakeClient:
    """Kafka's client: a queue of ``capacity``, and a broker that acknowledges what ``refuses`` gives no
    error for."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.capacity = 1_000_000
        self.refuses: Callable[[list[FakeMessage]], list[FakeError | None]] = lambda batch: (
            [None] * len(batch)
        )
        self.away = False
        self.queue: list[tuple[FakeMessage, Any]] = []
        self.log: list[FakeMessage] = []

    def produce(
        self,
        topic: str,
        value: bytes | None = None,
        key: bytes | None = None,
        *,
        partition: int = -1,
        on_delivery: Any = None,
        timestamp: int = 0,
        headers: list[tuple[str, bytes]] | None = None,
    ) -> None:
        if len(self.queue) >= self.capacity:
            raise BufferError
        message = FakeMessage(topic, value, key, partition, timestamp, headers=headers)
        self.queue.append((message, on_delivery))

    def poll(self, _timeout: float) -> int:
        if self.away:
            return 0
        batch, self.queue = self.queue, []
        errors = self.refuses([message for message, _ in batch])
        for (sent, report), error in zip(batch, errors, strict=True):
            if error is None:
                self.log.append(sent)
            report(error, sent if error is None else sent.without_timestamp())
        return len(batch)

    def flush(self, timeout: float) -> int:
        self.poll(timeout)
        return len(self)

    def __len__(self) -> int:
        return len(self.queue)
