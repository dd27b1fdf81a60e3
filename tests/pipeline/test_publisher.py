"""The producer on a real Kafka and registry, as its own process and in parts."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from producer.clock import SystemClock
from producer.metrics import ProducerMetrics
from producer.publisher import Publisher
from producer.runtime import Runtime
from producer.settings import PublisherSettings
from producer.simulator.resume import Resume, find_resume
from producer.sources import Batch
from producer.startup import Destination, find_destination
from schemas.avro_codec import Decoder
from schemas.create import create_topics
from schemas.errors import ConfigurationError, UnavailableError
from schemas.events import Correction, DeadLetter, Event, Gap, ProviderBar, Quote, Trade
from schemas.kafka_admin import partition_counts
from schemas.registry import RegistryLookup
from schemas.settings import KafkaSettings, TopicSettings
from schemas.topics import Topics
from tests.support.fake_rest import rest_server
from tests.support.reading import records

pytestmark = pytest.mark.servers

PATIENCE_S = 60
LEDGER = ("symbol", "source", "trade_id", "event_time", "sequence", "price", "size", "kind", "correction_id")


class Record(NamedTuple):
    """One record of a topic; ``event`` None: a heartbeat."""

    partition: int
    key: bytes | None
    timestamp_ms: int
    event: Any


def read(
    settings: KafkaSettings, topic: str, event_type: type[Event] | tuple[type[Event], ...]
) -> list[Record]:
    """Everything that is in a topic now, partition by partition."""
    decoder = Decoder(event_type, RegistryLookup(settings.schema_registry_url))
    return [
        Record(
            message.partition(),
            message.key(),
            message.timestamp()[1],
            None if message.value() is None else decoder.decode(message.value()),
        )
        for message in records(settings, topic)
    ]


class Producer:
    """``python -m producer`` as a process."""

    def __init__(self, settings: KafkaSettings, folder: Path, **environment: str) -> None:
        self.ledger = folder / "ledger.csv"
        variables = {
            "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
            "SCHEMA_REGISTRY_URL": settings.schema_registry_url,
            "TOPIC_PREFIX": settings.topic_prefix,
            "PRODUCER_METRICS_PORT": str(20_000 + os.getpid() % 20_000),
            "LEDGER_FILE": str(self.ledger),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "producer"],
            env=os.environ | variables | environment,
            stderr=subprocess.PIPE,
            text=True,
        )

    def acknowledged(self) -> list[tuple[str, ...]]:
        """Lines of the ledger as they are now; the last one may not be complete yet."""
        if not self.ledger.exists():
            return []
        lines = self.ledger.read_text().splitlines()
        return [fields for line in lines if len(fields := tuple(line.split(","))) == len(LEDGER)]

    def wait_for(self, trades: int) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while len(self.acknowledged()) < trades:
            assert self.process.poll() is None, self.end()
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def end(self, number: int | None = None) -> tuple[int, str]:
        """Sends a signal, if any; returns exit code and log."""
        if number is not None:
            self.process.send_signal(number)
        _, log = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, log


def line(trade: Trade) -> tuple[str, ...]:
    return *(str(getattr(trade, name)) for name in LEDGER[:-2]), "trade", ""


@pytest.fixture
def runtime() -> Runtime:
    stop = threading.Event()
    return Runtime(SystemClock(stop), ProducerMetrics(), stop)


@pytest.fixture
def destination(topics: TopicSettings, runtime: Runtime) -> Destination:
    return find_destination(topics, runtime)


def publisher_for(topics: TopicSettings, destination: Destination, runtime: Runtime) -> Publisher:
    settings = PublisherSettings(
        kafka_bootstrap_servers=topics.kafka_bootstrap_servers, topic_prefix=topics.topic_prefix
    )
    return Publisher(settings, destination, runtime)


def test_the_simulator_is_stopped_and_goes_on(topics: TopicSettings, tmp_path: Path) -> None:
    """SIGTERM, a start, SIGKILL, a start, SIGINT: what is in the topic is what was acknowledged, every trade
    under its symbol and time, and no id stands for two trades."""
    names = Topics(topics.topic_prefix)
    rate = {"TRADES_PER_SECOND": "1000", "SIMULATOR_SCENARIOS": "none"}
    first = Producer(topics, tmp_path, **rate)
    first.wait_for(1500)
    code, log = first.end(signal.SIGTERM)
    assert code == 0, log
    stored = [record.event for record in read(topics, names.trades, Trade) if record.event]
    assert Counter(map(line, stored)) == Counter(first.acknowledged())

    second = Producer(topics, tmp_path, **rate)
    second.wait_for(len(stored) + 1000)
    second.end(signal.SIGKILL)
    third = Producer(topics, tmp_path, **rate)
    third.wait_for(len(third.acknowledged()) + 1000)
    code, log = third.end(signal.SIGINT)
    assert code == 0, log

    records = read(topics, names.trades, Trade)
    trades = [record.event for record in records if record.event]
    assert set(map(line, trades)) >= set(third.acknowledged())
    assert len({trade.trade_id for trade in trades}) == len(trades)
    assert {trade.source for trade in trades} == {"simulator"}
    for record in records:
        if record.event:
            assert (record.key, record.timestamp_ms) == (
                record.event.symbol.encode(),
                record.event.event_time // 1000,
            )
    for symbol in {trade.symbol for trade in trades}:
        of_symbol = [record for record in records if record.event and record.event.symbol == symbol]
        assert len({record.partition for record in of_symbol}) == 1
        sequences = [record.event.sequence for record in of_symbol]
        assert sequences == sorted(sequences)
    quotes = [record.event for record in read(topics, names.quotes, Quote) if record.event]
    assert quotes
    assert all(quote.bid < quote.ask for quote in quotes)


def test_a_provider_that_is_asked_runs_alone(topics: TopicSettings, tmp_path: Path) -> None:
    """Prices and bars of Yahoo come to their topics, under symbol and time; nothing is rejected, and there
    are heartbeats, as the store waits for them."""
    names = Topics(topics.topic_prefix)
    with rest_server("yahoo") as server:
        producer = Producer(
            topics, tmp_path, SOURCE="yahoo", SYMBOLS="AAPL,BRK.B", SYMBOL_CLASSES="*=crypto",
            YAHOO_URL=server.url, YAHOO_POLL_SECONDS="1", YAHOO_REQUESTS_PER_MINUTE="600",
        )  # fmt: skip
        deadline = time.monotonic() + PATIENCE_S
        while len(server.asked) < 6:
            assert time.monotonic() < deadline, producer.process.poll()
            time.sleep(0.1)
        code, log = producer.end(signal.SIGTERM)
    assert code == 0, log
    quotes = [record for record in read(topics, names.quotes, Quote) if record.event]
    assert {record.event.symbol for record in quotes} == {"AAPL", "BRK.B"}
    assert {(record.event.source, record.event.bid, record.event.ask) for record in quotes} == {
        ("yahoo", 100.5, 100.5)
    }
    bars = read(topics, names.provider_bars, ProviderBar)
    for record in bars:
        bar = record.event
        assert (record.key, record.timestamp_ms) == (bar.symbol.encode(), bar.received_at // 1000)
        assert (bar.source, bar.interval, bar.close, bar.version) == ("yahoo", "1m", 100.5, 0)
    for symbol in ("AAPL", "BRK.B"):
        finals = [record.event.final for record in bars if record.event.symbol == symbol]
        assert finals[:3] == [True, True, False]
        assert len(finals) <= 7  # each round had three; a minute may have ended meanwhile
    assert any(record.event is None for record in read(topics, names.quotes, Quote))
    assert [record for record in read(topics, names.trades, Trade) if record.event] == []
    assert read(topics, names.dead_letter, DeadLetter) == []


def test_heartbeats_are_in_every_partition_and_no_trade_is_behind_one(
    topics: TopicSettings, tmp_path: Path
) -> None:
    """Null key and value, times that go forward; no live trade is older than a heartbeat before it."""
    producer = Producer(topics, tmp_path, TRADES_PER_SECOND="200", SIMULATOR_SCENARIOS="none", SYMBOLS="V")
    producer.wait_for(600)
    assert producer.end(signal.SIGINT)[0] == 0
    names = Topics(topics.topic_prefix)
    for topic, event_type in ((names.trades, Trade), (names.quotes, Quote), (names.gaps, Gap)):
        beats: dict[int, list[int]] = {}
        for record in read(topics, topic, event_type):
            of_partition = beats.setdefault(record.partition, [])
            if record.event is None:
                assert record.key is None
                of_partition.append(record.timestamp_ms)
            elif of_partition:
                assert record.timestamp_ms > of_partition[-1]
        assert sorted(beats) == list(range(topics.topic_partitions))
        for times in beats.values():
            assert times == sorted(times)
            assert len(times) >= 10
            assert min(after - before for before, after in pairwise(times)) >= 99


def test_a_timestamp_that_kafka_refuses_costs_only_that_trade(
    topics: TopicSettings, destination: Destination, runtime: Runtime
) -> None:
    """A batch with a trade of tomorrow is refused by the broker as a whole: its other trades arrive all the
    same, and the one is a dead letter."""
    now_us = time.time_ns() // 1000
    trades = [Trade("V", now_us + i, now_us, 10.0, 1.0, str(i), i, "test") for i in range(200)]
    tomorrow = Trade("V", now_us + 86_400_000_000, now_us, 10.0, 1.0, "x", 200, "test")
    publisher = publisher_for(topics, destination, runtime)
    publisher.publish(Batch(0, [*trades[:100], tomorrow, *trades[100:]]))
    publisher.settle()
    publisher.publish(Batch(0, [later := Trade("V", now_us, now_us, 10.0, 1.0, "y", 201, "test")]))
    publisher.settle()
    assert publisher.close() == 0
    names = Topics(topics.topic_prefix)
    stored = [record.event for record in read(topics, names.trades, Trade)]
    assert Counter(stored) == Counter([*trades, later])
    (letter,) = [record.event for record in read(topics, names.dead_letter, DeadLetter)]
    assert (letter.reason, letter.origin, letter.topic) == ("implausible_time", "producer", names.trades)
    refused = Decoder(Trade, RegistryLookup(topics.schema_registry_url)).decode(letter.payload)
    assert refused == tomorrow


def test_a_replay_publishes_every_row_and_closes(topics: TopicSettings, tmp_path: Path) -> None:
    """Two files: every readable row is in the topic with the recording's times, the others are dead letters
    with file and line, and the last record of each partition is the closing heartbeat."""
    create_topics(topics, any_time=True)
    start = 1_723_161_255_000_000
    expected = []
    for symbol in ("BTCUSDT", "ETHUSDT"):
        rows = ["recv_ns,event_time_ms,trade_time_ms,trade_id,symbol,price,size,buyer_is_maker,X"]
        for number in range(500):
            time_us = start + number * 250_000
            expected.append(
                Trade(symbol, time_us, time_us + 5, 10.5 + number, 0.25, str(number), number, "binance")
            )
            rows.append(f"{time_us + 5}000,,{time_us // 1000},{number},{symbol},{10.5 + number},0.25,1,")
        rows.insert(3, "not,a,row")
        rows.insert(7, f"1,,{start // 1000},9999,{symbol},-5,0.25,1,")
        (tmp_path / f"{symbol}.csv").write_text("\n".join(rows) + "\n")
    files = ",".join(str(tmp_path / f"{symbol}.csv") for symbol in ("BTCUSDT", "ETHUSDT"))
    code, log = Producer(topics, tmp_path, SOURCE="replay", REPLAY_FILES=files).end()
    assert code == 0, log

    names = Topics(topics.topic_prefix)
    records = read(topics, names.trades, Trade)
    assert Counter(record.event for record in records if record.event) == Counter(expected)
    closing = dict.fromkeys(range(topics.topic_partitions), 0)
    for record in records:
        closing[record.partition] = record.timestamp_ms
    assert closing == dict.fromkeys(range(topics.topic_partitions), 1_723_161_600_000 + 6 * 3_600_000)
    letters = [record.event for record in read(topics, names.dead_letter, DeadLetter)]
    assert Counter(letter.reason for letter in letters) == {"unreadable_row": 2, "invalid_price": 2}
    unreadable = {
        (letter.detail.split(": ")[0], letter.payload) for letter in letters if letter.payload == b"not,a,row"
    }
    assert unreadable == {("BTCUSDT.csv:4", b"not,a,row"), ("ETHUSDT.csv:4", b"not,a,row")}


def test_a_replay_brings_corrections_behind_their_trades(topics: TopicSettings, tmp_path: Path) -> None:
    """Trades and corrections of one recording: in one partition in their order, in the ledger by their kind;
    a refused correction is a dead letter whose payload, put right, can be replayed."""
    create_topics(topics, any_time=True)
    start = 1_723_161_255_000_000
    first = Trade("V", start, start, 10.5, 2.0, "a", 1, "tape", correctable=True)
    second = Trade("V", start + 1000, start, 11.5, 3.0, "b", 2, "tape", correctable=True)
    cancel = Correction("V", start + 2000, start, "c", 3, "tape", "a", start)
    correct = Correction("V", start + 3000, start, "d", 4, "tape", "b", None, "correct", 11.0, 4.0)
    bad = Correction("V", start + 4000, start, "e", 5, "tape", "b", None, "correct", -1.0, 4.0)
    recording = tmp_path / "r.jsonl"

    def replay(*events: Trade | Correction) -> None:
        recording.write_text("".join(json.dumps(asdict(event)) + "\n" for event in events))
        code, log = Producer(topics, tmp_path, SOURCE="replay", REPLAY_FILES=str(recording)).end()
        assert code == 0, log

    replay(first, second, cancel, correct, bad)
    names = Topics(topics.topic_prefix)
    (letter,) = [record.event for record in read(topics, names.dead_letter, DeadLetter)]
    assert (letter.reason, letter.topic) == ("invalid_price", names.trades)
    values = json.loads(letter.payload) | {"price": 12.0, "conditions": ()}
    replay(repaired := Correction(**values))

    records = [record for record in read(topics, names.trades, (Trade, Correction)) if record.event]
    assert [record.event for record in records] == [first, second, cancel, correct, repaired]
    assert {record.key for record in records} == {b"V"}
    assert [record.timestamp_ms for record in records] == [
        record.event.event_time // 1000 for record in records
    ]
    assert (tmp_path / "ledger.csv").read_text().splitlines() == [
        f"V,tape,a,{start},1,10.5,2.0,trade,",
        f"V,tape,b,{start + 1000},2,11.5,3.0,trade,",
        f"V,tape,a,{start + 2000},3,,,cancel,c",
        f"V,tape,b,{start + 3000},4,11.0,4.0,correct,d",
        f"V,tape,b,{start + 4000},5,12.0,4.0,correct,e",
    ]


def test_the_end_of_the_log_is_found_behind_other_records(
    topics: TopicSettings, destination: Destination, runtime: Runtime
) -> None:
    """The simulator's last trade is found behind thousands of heartbeats, other sources' trades, a duplicate,
    and corrections, whose prices and numbers count for nothing; an empty log begins at 0."""
    ids, symbols = destination.schema_ids, ("V", "JNJ")
    assert find_resume(topics, ids, symbols) == Resume()

    now_us = time.time_ns() // 1000
    publisher = publisher_for(topics, destination, runtime)

    def trade(symbol: str, number: int, price: float, source: str = "simulator") -> Trade:
        return Trade(symbol, now_us + number, now_us, price, 1.0, str(number), number, source)

    corrections = [
        Correction("V", now_us, now_us, "9-cancel", 77, "simulator", "9"),
        Correction("V", now_us, now_us, "7-correct", 78, "simulator", "7", None, "correct", 99.0, 1.0),
    ]
    publisher.publish(
        Batch(
            0,
            [trade("V", 7, 20.0), trade("JNJ", 8, 30.0), trade("V", 9, 21.5), trade("V", 9, 21.5)],
            corrections=corrections,
        )
    )
    for number in range(3000):
        publisher.heartbeat(now_us // 1000 + number // 100)
    publisher.publish(Batch(0, [trade(symbol, 10**6, 99.0, "elsewhere") for symbol in symbols * 1500]))
    publisher.settle()
    assert publisher.close() == 0
    assert find_resume(topics, ids, symbols) == Resume(10, {"V": 21.5, "JNJ": 30.0})
    assert find_resume(topics, ids, (*symbols, "AAPL")).next_sequence == 10


def test_a_missing_topic_says_what_to_run(kafka: Any) -> None:
    """The producer does not start on topics that do not exist, nor create them by asking."""
    settings = kafka.settings("test_no_such_topics")
    with pytest.raises(ConfigurationError, match="make topics"):
        partition_counts(settings, [Topics(settings.topic_prefix).trades])
    with pytest.raises(ConfigurationError, match="make topics"):
        partition_counts(settings, [Topics(settings.topic_prefix).trades])


def test_a_kafka_that_is_away_is_unavailable() -> None:
    """Nothing listens on the port: that is waited for, not taken for a wrong setting."""
    settings = KafkaSettings(kafka_bootstrap_servers="127.0.0.1:1")
    with pytest.raises(UnavailableError, match="KAFKA_BOOTSTRAP_SERVERS"):
        partition_counts(settings, ["any"])


def test_a_stop_while_kafka_is_away_ends_the_producer(kafka: Any, tmp_path: Path) -> None:
    """Waiting for servers at the start ends with SIGTERM, at once and without an error."""
    settings = kafka.settings("test_away")
    producer = Producer(settings, tmp_path, KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert producer.process.stderr is not None
    assert "waiting_for_servers" in producer.process.stderr.readline()
    assert producer.end(signal.SIGTERM)[0] == 0
