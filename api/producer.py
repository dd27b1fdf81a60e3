"""The producer as the API sees it: its state over HTTP, orders to it over Kafka."""

import asyncio
import threading
from typing import Any

import httpx
from confluent_kafka import KafkaError, KafkaException, Message, Producer
from pydantic import ValidationError

from api.errors import KafkaUnavailable, ProducerUnavailable
from schemas.producer_state import STATE_PATH, ProducerState, StreamState
from schemas.settings import KafkaSettings
from schemas.stream_orders import StreamOrder
from schemas.topics import Topics

ORDER_SECONDS = 5.0
"""Longest that an order waits for Kafka's acknowledgement."""
OBEYED_SECONDS = 3.0
"""Longest that is waited for the producer to obey; it looks ten times a second."""
LOOK_SECONDS = 0.1


class ProducerClient:
    """Asks the producer for its state."""

    def __init__(self, http: httpx.AsyncClient, metrics_url: str) -> None:
        """``metrics_url``: where its metrics are; its state is beside them."""
        self._http = http
        self._url = httpx.URL(metrics_url).copy_with(path=STATE_PATH)

    async def state(self) -> ProducerState:
        """As of now. Raises ProducerUnavailable."""
        try:
            answer = await self._http.get(self._url)
        except httpx.HTTPError as error:
            raise ProducerUnavailable(type(error).__name__) from None
        if answer.status_code == 503:
            raise ProducerUnavailable("it waits for its own servers")
        try:
            return ProducerState.model_validate_json(answer.raise_for_status().content)
        except (httpx.HTTPStatusError, ValidationError):
            raise ProducerUnavailable(f"{answer.status_code} and no state of a producer") from None

    async def stream(self, symbol: str) -> StreamState | None:
        """One of its streams; None where it has none of that name. Raises ProducerUnavailable."""
        streams = (await self.state()).streams
        return next((stream for stream in streams if stream.symbol == symbol), None)

    async def obeys(self, order: StreamOrder) -> bool:
        """Whether the stream becomes what was ordered, within OBEYED_SECONDS."""
        try:
            async with asyncio.timeout(OBEYED_SECONDS):
                while True:
                    stream = await self.stream(order.symbol)
                    if stream is not None and (stream.status == "stopped") == order.stopped:
                        return True
                    await asyncio.sleep(LOOK_SECONDS)
        except (TimeoutError, ProducerUnavailable):
            return False


class OrderWriter:
    """Writes orders to their topic; Kafka is connected to with the first one."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._topic = Topics(settings.topic_prefix).streams
        self._config: dict[str, Any] = {
            "bootstrap.servers": settings.kafka_bootstrap_servers,
            "acks": "all",
            "enable.idempotence": True,
            "message.timeout.ms": round(ORDER_SECONDS * 1000),
            "log_level": 0,
        }
        self._client: Producer | None = None
        self._lock = threading.Lock()

    async def write(self, order: StreamOrder) -> None:
        """Returns when Kafka has acknowledged it. Raises KafkaUnavailable."""
        await asyncio.to_thread(self._write, order)

    def _write(self, order: StreamOrder) -> None:
        outcome: list[KafkaError | None] = []

        def report(error: KafkaError | None, _: Message) -> None:
            outcome.append(error)

        with self._lock:
            if self._client is None:
                self._client = Producer(self._config)
            try:
                self._client.produce(self._topic, order.value, order.key, on_delivery=report)
                self._client.flush(ORDER_SECONDS + 1)
            except (KafkaException, BufferError) as error:
                raise KafkaUnavailable(str(error)) from None
        if not outcome:
            raise KafkaUnavailable("no answer in time")
        if outcome[0] is not None:
            raise KafkaUnavailable(outcome[0].str())
