"""One trace from the producer through a real Kafka to the live feed of a running API."""

import time
from dataclasses import replace

import pytest

from producer.clock import SystemClock
from producer.metrics import ProducerMetrics
from producer.publisher import Publisher
from producer.runtime import Runtime
from producer.settings import PublisherSettings
from producer.sources import Batch
from producer.startup import find_destination
from schemas.events import Trade
from schemas.settings import CassandraSettings, TopicSettings
from schemas.tracing import open_tracing
from tests.support.api import eventually, running_api
from tests.support.collector import running_collector
from tests.support.live import live_client, wait_for_feed
from tests.unit.producer.fakes import fake_runtime

pytestmark = pytest.mark.servers
NO_CASSANDRA = CassandraSettings(cassandra_port=1)


def test_a_trace_goes_from_the_trade_to_the_clients_outbox(topics: TopicSettings) -> None:
    """The second of two trades is not traced; both reach the client, and a request has a trace of its own."""
    with running_collector() as collector:
        values = topics.model_dump(include={"kafka_bootstrap_servers", "schema_registry_url", "topic_prefix"})
        tracing_values = {"tracing_otlp_endpoint": collector.endpoint, "tracing_trade_ratio": 0.5}
        settings = PublisherSettings.model_validate({**values, **tracing_values})
        tracing = open_tracing(settings, "producer", 1.0)
        assert tracing is not None
        plain = fake_runtime()
        runtime = Runtime(SystemClock(plain.stop), ProducerMetrics(), plain.stop, tracing)
        publisher = Publisher(settings, find_destination(settings, runtime), runtime)
        environment = {name.upper(): value for name, value in values.items()}
        environment |= {"TRACING_OTLP_ENDPOINT": collector.endpoint, "TRACING_REQUEST_RATIO": "1"}
        with running_api(NO_CASSANDRA, **environment) as (api, _):
            wait_for_feed(api)
            with live_client(api) as (client, _):
                client.subscribe(channels=["trades"], symbols=["AAPL"])
                now = time.time_ns() // 1000
                first = Trade("AAPL", now, now, 10.0, 1.0, "1", 1, "test")
                publisher.publish(Batch(now, [first, replace(first, trade_id="2", sequence=2)]))
                publisher.settle()
                heard = client.hear_until(
                    lambda each: each["type"] == "trade" and each["data"]["trade_id"] == "2"
                )
            assert api.get("/api/v1/alerts").status_code == 503
            eventually(lambda: bool(collector.named("deliver") and collector.named("GET /api/v1/alerts")))
        publisher.close()
        tracing.close()
    (publish,), (deliver,) = collector.named("publish"), collector.named("deliver")
    assert [each["data"]["trade_id"] for each in heard if each["type"] == "trade"] == ["1", "2"]
    assert publish.attributes["tickstream.trade_id"] == "1"
    assert publish.start_us == now
    assert (deliver.trace_id, deliver.parent_id) == (publish.trace_id, publish.span_id)
    for place in (
        "messaging.destination.name",
        "messaging.destination.partition.id",
        "messaging.kafka.offset",
    ):
        assert deliver.attributes[place] == publish.attributes[place]
    request = collector.named("GET /api/v1/alerts")[0]
    assert request.trace_id != publish.trace_id
    queries = [span for span in collector.spans if span.name.startswith("cassandra ")]
    assert {span.trace_id for span in queries} == {request.trace_id}
