"""Traces that the producer has begun, going on in the live feed."""

import asyncio
from collections.abc import Callable

import pytest
from opentelemetry.trace import SpanKind
from prometheus_client import CollectorRegistry

from api.live.deliveries import Deliveries
from api.live.feed import Arrived, Feed
from api.metrics import LiveMetrics
from schemas.events import Event
from schemas.settings import KafkaSettings
from schemas.tracing import RecordHeaders, Tracing, TracingSettings, headers_of, open_tracing
from tests.support.collector import Collector, running_collector
from tests.unit.api.live.events import NOON, trade
from tests.unit.api.live.test_feed import Client, Record, each_event, quick, record

__all__ = ["quick"]
UNSAMPLED = [("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")]


def with_headers(found: Record, headers: RecordHeaders | None, offset: int) -> Record:
    """The record as Kafka's client gives it with these headers."""
    found.headers = lambda: headers  # type: ignore[attr-defined]
    found.offset_number = offset
    return found


def tracing_to(collector: Collector, part: str, ratio: float) -> Tracing:
    tracing = open_tracing(TracingSettings(tracing_otlp_endpoint=collector.endpoint), part, ratio)
    assert tracing is not None
    return tracing


def deliver(client: Client, tracing: Tracing, until: Callable[[list[Event]], bool]) -> None:
    """Runs a feed until a condition holds."""
    taken: list[Event] = []

    async def collect(batch: Arrived) -> None:
        taken.extend(each_event(batch))

    async def play() -> None:
        feed = Feed(
            KafkaSettings(topic_prefix="p"), collect, LiveMetrics(CollectorRegistry()), lambda: NOON, client
        )
        feed.deliveries = Deliveries(tracing)
        running = asyncio.create_task(feed.run())
        async with asyncio.timeout(30):
            while not until(taken):
                await asyncio.sleep(0.005)
        running.cancel()
        await asyncio.wait((running,))

    asyncio.run(play())
    assert client.closed.wait(5)
    tracing.close()


@pytest.mark.usefixtures("quick")
def test_a_traced_trade_is_followed_to_the_outboxes() -> None:
    """One span for each record whose trace was sampled, under the producer's; the other records have none."""
    with running_collector() as collector:
        producer = tracing_to(collector, "producer", 1.0)
        publish = producer.begin("publish", SpanKind.PRODUCER, {})
        headers = headers_of(publish)
        publish.end()
        producer.close()
        records = [
            with_headers(record("p.trades", trade(1)), None, 0),
            with_headers(record("p.trades", trade(2)), headers, 1),
            with_headers(record("p.trades", trade(3)), UNSAMPLED, 2),
        ]
        client = Client(dict.fromkeys(("p.trades", "p.quotes", "p.candles", "p.alerts"), 1), records)
        deliver(client, tracing_to(collector, "api", 1.0), lambda taken: len(taken) == 3)
        (published,), (delivered,) = collector.named("publish"), collector.named("deliver")
    assert delivered.service == "tickstream-api"
    assert (delivered.trace_id, delivered.parent_id) == (published.trace_id, published.span_id)
    assert delivered.end_us >= delivered.start_us >= published.start_us
    assert delivered.attributes == {
        "messaging.system": "kafka",
        "messaging.destination.name": "p.trades",
        "messaging.destination.partition.id": "0",
        "messaging.kafka.offset": 1,
        "messaging.batch.message_count": 3,
    }
