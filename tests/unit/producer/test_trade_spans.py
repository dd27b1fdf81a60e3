"""Traced trades: what their records carry, and what a collector hears of them."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from confluent_kafka import KafkaError

from producer.publisher import Publisher
from producer.settings import PublisherSettings
from producer.sources import Batch
from producer.startup import Destination
from producer.trade_spans import TradeSpans
from schemas.avro_codec import Decoder, parsed_schema
from schemas.events import Trade
from schemas.tracing import Tracing, open_tracing
from tests.support.collector import Collector, running_collector
from tests.unit.producer.fakes import START_US, FakeClient, FakeError, fake_runtime
from tests.unit.producer.test_publisher import SCHEMA_IDS, all_fail, trade


@pytest.fixture
def collector() -> Iterator[Collector]:
    with running_collector() as running:
        yield running


class Setup:
    """A publisher of traced trades."""

    def __init__(self, collector: Collector, ratio: float, *, live: bool = True) -> None:
        settings = PublisherSettings(
            topic_prefix="t", tracing_otlp_endpoint=collector.endpoint, tracing_trade_ratio=ratio
        )
        tracing = open_tracing(settings, "producer", 1.0)
        assert tracing is not None
        self.tracing: Tracing = tracing
        self.client = FakeClient({})
        self.publisher = Publisher(
            settings,
            Destination(SCHEMA_IDS, {"t.trades": 2, "t.quotes": 1, "t.gaps": 1, "t.dead-letter": 1}),
            replace(fake_runtime(), tracing=tracing),
            live=live,
            client=lambda _: self.client,
        )

    def publish(self, *numbers: int) -> None:
        self.publisher.publish(Batch(0, [trade(number) for number in numbers]))
        self.publisher.poll()

    def order(self) -> list[int]:
        """The numbers of the trades as they are in Kafka."""
        decoder = Decoder(Trade, lambda _: None, {1: parsed_schema(Trade)})
        return [decoder.decode_fields(message.value() or b"")["sequence"] for message in self.client.log]


def test_one_trade_of_so_many_carries_a_traceparent(collector: Collector) -> None:
    """Whatever the batches; the others have no headers, and the order stays."""
    setup = Setup(collector, 0.25)
    setup.publish(0, 1, 2)
    setup.publish(3)
    setup.publish(4, 5, 6, 7, 8)
    setup.tracing.close()
    assert setup.order() == list(range(9))
    traced = [number for number, message in enumerate(setup.client.log) if message.headers()]
    assert traced == [0, 4, 8]
    spans = collector.named("publish")
    assert [span.attributes["tickstream.trade_id"] for span in spans] == ["0", "4", "8"]
    for span, number in zip(spans, traced, strict=True):
        ((name, value),) = setup.client.log[number].headers() or ()
        # The flags: sampled, and that the id is random.
        assert (name, value) == ("traceparent", f"00-{span.trace_id}-{span.span_id}-03".encode())
    assert len({span.trace_id for span in spans}) == 3
    assert setup.publisher.acknowledged["trade"] == 9


def test_a_span_lasts_from_the_trade_to_its_acknowledgement(collector: Collector) -> None:
    """It says which trade, where it is, and who published it."""
    setup = Setup(collector, 1)
    setup.publish(5)
    setup.tracing.close()
    (span,) = collector.spans
    assert (span.service, span.name, span.parent_id) == ("tickstream-producer", "publish", "")
    assert span.start_us == START_US + 5
    assert not span.failed
    assert span.attributes == {
        "messaging.system": "kafka",
        "messaging.destination.name": "t.trades",
        "messaging.destination.partition.id": "-1",
        "messaging.kafka.offset": 7,
        "tickstream.symbol": "AAPL",
        "tickstream.source": "test",
        "tickstream.trade_id": "5",
        "tickstream.received_at_us": START_US,
    }


def test_a_replayed_trade_does_not_begin_years_ago(collector: Collector) -> None:
    """Its span begins when it is handed over."""
    setup = Setup(collector, 1, live=False)
    setup.publish(5)
    setup.tracing.close()
    (span,) = collector.spans
    assert 0 <= span.end_us - span.start_us < 60_000_000


def test_a_refused_trade_leaves_a_failed_span(collector: Collector) -> None:
    """And is sent again as any other."""
    setup = Setup(collector, 1)
    setup.client.refuses = all_fail(FakeError(KafkaError.MSG_SIZE_TOO_LARGE))
    setup.publish(1)
    setup.tracing.close()
    (span,) = collector.spans
    assert span.failed
    assert setup.publisher.failed == 1


def test_a_full_queue_keeps_the_headers(collector: Collector) -> None:
    """A traced trade that had to wait for room is traced all the same."""
    setup = Setup(collector, 1)
    setup.client.capacity = 1
    setup.publish(1, 2, 3)
    setup.publisher.poll()
    setup.tracing.close()
    assert setup.order() == [1, 2, 3]
    assert all(message.headers() for message in setup.client.log)


def test_without_tracing_no_record_has_headers() -> None:
    """Off is what it is by default."""
    assert open_tracing(PublisherSettings(), "producer", 1.0) is None
    client = FakeClient({})
    publisher = Publisher(
        PublisherSettings(topic_prefix="t", tracing_trade_ratio=1),
        Destination(SCHEMA_IDS, {"t.trades": 2, "t.quotes": 1, "t.gaps": 1, "t.dead-letter": 1}),
        fake_runtime(),
        client=lambda _: client,
    )
    publisher.publish(Batch(0, [trade(1), trade(2)]))
    publisher.poll()
    assert [message.headers() for message in client.log] == [None, None]


@pytest.mark.parametrize(("ratio", "positions"), [(1.0, [0, 1, 2, 3]), (0.5, [0, 2]), (0.001, [0])])
def test_the_ratio_is_a_step(collector: Collector, ratio: float, positions: list[int]) -> None:
    """One trade in so many, evenly."""
    setup = Setup(collector, ratio)
    spans = TradeSpans(setup.tracing, ratio, Decoder(Trade, lambda _: None), live=True)
    assert list(spans.picked(4)) == positions
    setup.tracing.close()
