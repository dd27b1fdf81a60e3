"""From Kafka's client to the hub, with a client that the test feeds."""

import asyncio
import json
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from api.live import feed as feed_module
from api.live.continuity import Continuity
from api.live.feed import Arrived, Feed, Publish
from api.live.messages import Ticks
from api.metrics import LiveMetrics
from schemas.avro_codec import Encoder, SchemaJson, schema_text
from schemas.events import Alert, Candle, Correction, Event, Quote, Trade
from schemas.settings import KafkaSettings
from tests.unit.api.live.events import NOON, alert, candle, correction, quote, trade

SETTINGS = KafkaSettings(topic_prefix="p", kafka_bootstrap_servers="nowhere:1")
IDS: dict[type[Event], int] = {Trade: 1, Correction: 2, Quote: 3, Candle: 4, Alert: 5}
TOPICS = ("p.trades", "p.quotes", "p.candles", "p.alerts")


class Record:
    def __init__(self, topic: str, value: bytes | None, at: int = NOON, error: KafkaError | None = None):
        self._topic, self._value, self._at, self._error = topic, value, at, error
        self.partition_number = self.offset_number = 0

    def topic(self) -> str:
        return self._topic

    def value(self) -> bytes | None:
        return self._value

    def timestamp(self) -> tuple[int, int]:
        return 1, self._at // 1000

    def error(self) -> KafkaError | None:
        return self._error

    def partition(self) -> int:
        return self.partition_number

    def offset(self) -> int:
        return self.offset_number


def record(topic: str, event: Event, at: int = NOON) -> Record:
    return Record(topic, Encoder(type(event), IDS[type(event)]).encode(event), at)


class Metadata(NamedTuple):
    partitions: dict[int, None]


class Listing(NamedTuple):
    topics: dict[str, Metadata]


class Client:
    """What the feed uses of Kafka's consumer. ``topics``: name -> number of partitions; None: it is away."""

    def __init__(self, topics: dict[str, int] | None, records: Sequence[Record] = ()) -> None:
        self.topics = topics
        self.records = deque(records)
        self.assigned: list[tuple[str, int, int]] = []
        self.closed = threading.Event()
        self.config: dict[str, Any] = {}

    def __call__(self, config: dict[str, Any]) -> "Client":
        self.config = config
        return self

    def list_topics(self, timeout: float) -> Listing:
        assert timeout > 0
        if self.topics is None:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        return Listing({name: Metadata(dict.fromkeys(range(count))) for name, count in self.topics.items()})

    def get_watermark_offsets(self, place: TopicPartition, timeout: float) -> tuple[int, int]:
        assert timeout > 0
        return 0, 100 + place.partition

    def incremental_assign(self, places: list[TopicPartition]) -> None:
        self.assigned += [(place.topic, place.partition, place.offset) for place in places]

    def poll(self, timeout: float) -> Record | None:
        if self.records:
            return self.records.popleft()
        threading.Event().wait(min(timeout, 0.01))
        return None

    def consume(self, most: int, timeout: float) -> list[Record]:
        assert timeout in {0, feed_module.GATHER_SECONDS}
        return [self.records.popleft() for _ in range(min(most, len(self.records)))]

    def close(self) -> None:
        self.closed.set()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Schemas without a registry, and short waits."""

    class Lookup:
        def __init__(self, url: str) -> None:
            assert url

        def __call__(self, schema_id: int) -> SchemaJson | None:
            kind = next((kind for kind, number in IDS.items() if number == schema_id), None)
            return None if kind is None else json.loads(schema_text(kind))

    monkeypatch.setattr(feed_module, "RegistryLookup", Lookup)
    monkeypatch.setattr(feed_module, "RETRY_SECONDS", 0.02)
    monkeypatch.setattr(feed_module, "LOOK_SECONDS", 0.05)


class Run(NamedTuple):
    """What came of a feed."""

    events: list[Event]
    metrics: LiveMetrics
    logs: list[Any]
    continuity: Continuity

    def logged(self, event: str) -> list[Any]:
        return [entry for entry in self.logs if entry["event"] == event]


def each_event(batch: Arrived) -> Iterator[Event]:
    for each in batch:
        if isinstance(each, Ticks):
            yield from map(each.event, range(len(each)))
        else:
            yield each.event


def run(
    client: Client,
    until: Callable[[list[Event]], bool],
    publish: Publish | None = None,
) -> Run:
    """Runs a feed until a condition holds, and stops it."""
    events: list[Event] = []
    metrics = LiveMetrics(CollectorRegistry())

    async def collect(batch: Arrived) -> None:
        if publish is not None:
            await publish(batch)
        events.extend(each_event(batch))

    async def play() -> Continuity:
        feed = Feed(SETTINGS, collect, metrics, lambda: NOON + 500_000, client)
        running = asyncio.create_task(feed.run())
        async with asyncio.timeout(30):
            while not until(events):
                await asyncio.sleep(0.005)
        running.cancel()
        await asyncio.wait((running,))
        assert client.closed.wait(5)
        return feed.continuity

    with capture_logs() as logs:
        continuity = asyncio.run(play())
    return Run(events, metrics, logs, continuity)


def everything() -> dict[str, int]:
    return dict.fromkeys(TOPICS, 2)


def test_every_partition_is_read_from_its_end() -> None:
    """Assigned, without a group, and nothing is committed."""
    client = Client(everything())
    run(client, lambda _: len(client.assigned) == 8)
    assert sorted(client.assigned) == sorted((topic, part, 100 + part) for topic in TOPICS for part in (0, 1))
    assert client.config["enable.auto.commit"] is False
    assert client.config["allow.auto.create.topics"] is False


def test_every_kind_of_event_is_handed_on_in_order() -> None:
    """Corrections from the topic of the trades; heartbeats are left out."""
    events: list[Event] = [trade(1), correction(2), quote(3), candle(4), alert(5)]
    topics = ["p.trades", "p.trades", "p.quotes", "p.candles", "p.alerts"]
    records = [record(topic, event) for topic, event in zip(topics, events, strict=True)]
    records.insert(1, Record("p.trades", None))
    done = run(Client(everything(), records), lambda seen: len(seen) == 5)
    assert done.events == events
    assert done.metrics.feed_events.labels("trades")._value.get() == 2
    assert done.metrics.feed_connected._value.get() == 1
    assert [entry["log_level"] for entry in done.logs] == ["info"]


@pytest.mark.parametrize("other", [None, correction(2)], ids=["alone", "with_a_correction"])
def test_trades_of_a_batch_are_handed_on_together(other: Event | None) -> None:
    """A correction keeps its place among them: it may be about the one before."""
    events: list[Event] = [trade(1), *([other] if other else []), *(trade(number) for number in range(3, 50))]
    batches: list[Arrived] = []

    async def publish(batch: Arrived) -> None:
        batches.append(batch)

    records = [record("p.trades", event) for event in events]
    done = run(Client(everything(), records), lambda seen: len(seen) == len(events), publish)
    assert done.events == events
    assert [len(batch) for batch in batches] == [len(events) if other else 1]
    assert done.metrics.feed_events.labels("trades")._value.get() == len(events)


def test_trades_do_not_wait_for_all_bars_that_came_before_them() -> None:
    """Live bars come by the thousand at once: each goes on in its order, some at a time."""
    bars = [candle(number) for number in range(1, 301)]
    records = [record("p.candles", bar) for bar in bars]
    client = Client(everything(), [*records, record("p.quotes", quote(7))])
    batches: list[list[Event]] = []

    async def publish(batch: Arrived) -> None:
        batches.append(list(each_event(batch)))
        if len(batches) == 2:
            client.records.append(record("p.trades", trade(5)))

    done = run(client, lambda seen: len(seen) == 302, publish)
    some = feed_module.MOST_SINGLE
    assert batches[:3] == [
        [quote(7), *bars[:some]],
        bars[some : 2 * some],
        [trade(5), *bars[2 * some : 3 * some]],
    ]
    assert [event for event in done.events if isinstance(event, Candle)] == bars


def test_more_bars_than_may_wait_are_handed_on_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded: what waits is not more than that and what comes at a time."""
    monkeypatch.setattr(feed_module, "MOST_WAITING", 100)
    bars = [candle(number) for number in range(1, 301)]
    sizes: list[int] = []

    async def publish(batch: Arrived) -> None:
        sizes.append(len(batch))

    done = run(
        Client(everything(), [record("p.candles", bar) for bar in bars]),
        lambda seen: len(seen) == 300,
        publish,
    )
    assert sizes[0] == 200
    assert set(sizes[1:]) == {feed_module.MOST_SINGLE}
    assert done.events == bars


def test_what_the_jobs_refuse_is_not_shown() -> None:
    """Counted with its reason; said once for each reason."""
    records = [
        Record("p.trades", b"no avro"),
        Record("p.trades", b"nor this"),
        Record("p.trades", b"\0\0\0\0\x63"),
        record("p.quotes", trade(1)),
        record("p.trades", trade(2, price=float("nan"))),
        record("p.trades", trade(3), at=NOON + 120_000_000),
        record("p.trades", trade(5, received_at=10**18)),
        record("p.trades", replace(correction(6), trade_time=10**18)),
        record("p.quotes", quote(1, "small")),
        record("p.candles", candle(-1)),
        record("p.alerts", alert(symbol="")),
        record("p.trades", trade(4)),
    ]
    done = run(Client(everything(), records), bool)
    assert done.events == [trade(4)]
    refused = {
        sample.labels["reason"]: sample.value
        for sample in next(iter(done.metrics.feed_refused.collect())).samples
        if sample.name.endswith("_total")
    }
    assert refused == {
        "not_avro": 2, "unknown_schema": 1, "wrong_schema": 1, "invalid_price": 1, "implausible_time": 3,
        "invalid_symbol": 1, "invalid_identity": 2,
    }  # fmt: skip
    assert len(done.logged("feed_record_refused")) == 8


def test_a_feed_waits_for_kafka_and_says_so_once() -> None:
    """Until it comes."""
    client = Client(None)
    looks = 0

    def comes_later(timeout: float) -> Listing:
        nonlocal looks
        looks += 1
        if looks == 5:
            client.topics = everything()
            client.records.append(record("p.trades", trade(1)))
        return Client.list_topics(client, timeout)

    client.list_topics = comes_later  # type: ignore[method-assign]
    done = run(client, bool)
    assert done.events == [trade(1)]
    assert [entry["event"] for entry in done.logs] == ["feed_waits_for_kafka", "feed_connected"]


def test_losing_kafka_is_said_once_and_finding_it_again_too() -> None:
    """The client connects again by itself; clients of ours stay."""
    client = Client(everything(), [record("p.trades", trade(1))])
    state = {"lost": 0}

    def until(seen: list[Event]) -> bool:
        if len(seen) == 1 and state["lost"] == 0:
            state["lost"] = 1
            client.topics = None
            for _ in range(3):
                client.config["error_cb"](KafkaError(KafkaError._ALL_BROKERS_DOWN))
            client.records.append(record("p.trades", trade(2)))
        return len(seen) == 2

    done = run(client, until)
    assert [entry["event"] for entry in done.logs][:3] == [
        "feed_connected",
        "feed_waits_for_kafka",
        "feed_connected",
    ]


def test_topics_that_come_later_are_read_from_then_on() -> None:
    """What is missing is named, with what to do; new partitions are found, too."""
    client = Client({"p.trades": 1})

    def until(_: list[Event]) -> bool:
        if client.assigned == [("p.trades", 0, 100)]:
            client.topics = everything()
        return len(client.assigned) == 8

    done = run(client, until)
    missing = done.logged("feed_topics_missing")
    assert missing[0]["what"] == "p.alerts, p.candles, p.quotes"
    assert "make topics" in missing[0]["detail"]
    assert len(set(client.assigned)) == 8


def test_errors_of_a_partition_are_said_once() -> None:
    """The others go on."""
    gone = KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)
    records = [Record("p.quotes", None, error=gone), Record("p.quotes", None, error=gone)]
    done = run(Client(everything(), [*records, record("p.trades", trade(1))]), bool)
    assert len(done.logged("feed_error")) == 1


def test_a_fault_in_handing_on_does_not_end_the_feed() -> None:
    """It is logged with its trace; the next batch comes."""
    client = Client(everything(), [record("p.trades", trade(1))])
    calls = 0

    async def publish(_: Arrived) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            client.records.append(record("p.trades", trade(2)))
            raise RuntimeError("a bug")

    done = run(client, bool, publish)
    assert done.events == [trade(2)]
    assert len(done.logged("feed_step_failed")) == 1


def test_one_batch_at_a_time() -> None:
    """What the event loop has not taken yet stays in Kafka's client, which is bounded."""
    client = Client(everything(), [record("p.trades", trade(1))])

    async def publish(batch: Arrived) -> None:
        if next(each_event(batch)) == trade(1):
            client.records.extend(record("p.trades", trade(number)) for number in range(2, 1_002))
            await asyncio.sleep(0.2)
            assert len(client.records) == 1_000
        assert len(list(each_event(batch))) <= feed_module.MOST_RECORDS

    done = run(client, lambda seen: len(seen) == 1_001, publish)
    assert done.events == [trade(number) for number in range(1, 1_002)]


def placed(place: tuple[str, int], offset: int, event: Event) -> Record:
    made = record(place[0], event)
    made.partition_number, made.offset_number = place[1], offset
    return made


@pytest.mark.parametrize(
    ("offsets", "interruptions"),
    [((100, 101, 102), 0), ((100, 105, 106), 1), ((100, 101, 0), 1), ((99, 100, 101), 1)],
    ids=["in_order", "cut_off", "another_topic", "not_where_it_began"],
)
def test_what_was_missed_is_noticed_by_the_offsets(offsets: tuple[int, ...], interruptions: int) -> None:
    """Each partition goes on where it was. The first interruption is the beginning itself."""
    events = [candle(2 * number) for number in range(1, 4)]
    records = [placed(("p.candles", 0), *each) for each in zip(offsets, events, strict=True)]
    done = run(Client(everything(), records), lambda seen: len(seen) == 3)
    assert done.continuity.epoch == 1 + interruptions
    assert done.continuity.positions["p.candles", 0] == offsets[-1] + 1
    assert done.continuity.positions["p.candles", 1] == 101


def test_losing_kafka_or_a_batch_interrupts() -> None:
    """Whoever collects events has to begin anew."""
    client = Client(everything(), [placed(("p.trades", 0), 100, trade(1))])
    epochs = []

    async def publish(_: Arrived) -> None:
        epochs.append(1)
        if len(epochs) == 1:
            client.records.append(placed(("p.trades", 0), 101, trade(2)))
            raise RuntimeError("a bug")
        client.config["error_cb"](KafkaError(KafkaError._ALL_BROKERS_DOWN))

    done = run(client, bool, publish)
    assert done.events == [trade(2)]
    assert done.continuity.epoch == 3


def test_heartbeats_keep_the_feed_current() -> None:
    """Of every partition of trades, though no trade comes."""
    records = [Record("p.trades", None) for _ in range(2)]
    for partition, beat in enumerate(records):
        beat.partition_number, beat.offset_number = partition, 100 + partition
    client = Client(everything(), [*records, placed(("p.quotes", 0), 100, quote(1))])
    done = run(client, bool)
    assert (done.continuity.epoch, done.continuity.is_current()) == (1, True)
