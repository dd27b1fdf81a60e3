"""WebSocket clients of a running API, and events as producer and jobs publish them."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from confluent_kafka import KafkaError, Message, Producer
from websockets.sync.client import ClientConnection, connect

from schemas.avro_codec import Encoder
from schemas.events import Candle, Correction, Event, Gap, ProviderBar
from schemas.registry import register_schemas
from schemas.settings import KafkaSettings
from schemas.topics import Topics
from tests.support.api import eventually

PATIENCE_S = 60


class Market:
    """Publishes events to the topics of a prefix."""

    def __init__(self, settings: KafkaSettings) -> None:
        topics = Topics(settings.topic_prefix)
        ids = register_schemas(settings.schema_registry_url, topics)
        self._encoders = {
            event_type: (topics.trades if event_type is Correction else name, Encoder(event_type, ids[name]))
            for name, event_type in topics.record_types.items()
            if name != topics.provider_candles  # made by the jobs of what is published
        }
        self._refused: list[str] = []
        self._producer = Producer(
            {"bootstrap.servers": settings.kafka_bootstrap_servers, "enable.idempotence": True}
        )

    def publish(self, *events: Event) -> None:
        """Returns when Kafka has acknowledged all of them."""
        for event in events:
            topic, encoder = self._encoders[type(event)]
            time_us = _time_of(event)
            key = event.symbol.encode()  # type: ignore[union-attr]
            self._producer.produce(
                topic, encoder.encode(event), key, timestamp=time_us // 1000, on_delivery=self._delivered
            )
        assert self._producer.flush(PATIENCE_S) == 0
        assert self._refused == []

    def _delivered(self, error: KafkaError | None, _: Message) -> None:
        if error is not None:
            self._refused.append(error.str())


def _time_of(event: Event) -> int:
    """What its record is dated with, in microseconds."""
    if isinstance(event, ProviderBar):
        return event.received_at
    if isinstance(event, Gap):
        return event.end
    return event.start if isinstance(event, Candle) else event.event_time  # type: ignore[union-attr]


class LiveClient:
    """An ordinary client."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    def say(self, message: dict[str, Any] | str) -> None:
        self._connection.send(message if isinstance(message, str) else json.dumps(message))

    def hear(self) -> Any:
        """The next message, heartbeats apart."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            message = json.loads(self._connection.recv(deadline - time.monotonic()))
            if message["type"] != "heartbeat":
                return message

    def hear_until(self, last: Callable[[Any], bool]) -> list[Any]:
        """All messages up to the first for which ``last`` holds."""
        heard = [self.hear()]
        while not last(heard[-1]):
            heard.append(self.hear())
        return heard

    def answer(self, message: dict[str, Any] | str) -> Any:
        """What is answered to a message, on a connection that is sent nothing else."""
        self.say(message)
        return self.hear()

    def subscribe(self, **fields: Any) -> list[Any]:
        """Subscribes; returns the ack and the snapshots."""
        self.say({"type": "subscribe", **fields})
        symbols = {symbol.upper() for symbol in fields.get("symbols", ())}
        return [self.hear() for _ in range(1 + len(symbols))]


@contextmanager
def live_client(api: httpx.Client, path: str = "/ws", **options: Any) -> Iterator[tuple[LiveClient, Any]]:
    """A client that is connected to a path of the API, and the hello that it got. It sends no pings: one
    that does not read would miss the answers."""
    url = f"ws://{api.base_url.host}:{api.base_url.port}{path}"
    with connect(url, proxy=None, compression=None, ping_interval=None, **options) as connection:
        client = LiveClient(connection)
        yield client, client.hear()


def metric(api: httpx.Client, sample: str) -> float:
    """The value of a sample such as ``name{label="x"}``; 0 where there is none."""
    for line in api.get("/metrics").text.splitlines():
        name, _, value = line.rpartition(" ")
        if name == sample:
            return float(value)
    return 0.0


def wait_for_feed(api: httpx.Client) -> None:
    """Returns when the API sees everything that is published from now on."""
    eventually(lambda: metric(api, "tickstream_api_feed_connected") == 1)
