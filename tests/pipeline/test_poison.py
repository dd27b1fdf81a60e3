"""Records that no producer of ours would write, between good trades, through the real jobs."""

import io
import json
import math
import struct
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka.schema_registry import Schema
from fastavro import schemaless_writer
from kafka import KafkaProducer

from docker.local.probes import Probes
from docker.local.supervisor import STOPPED, Supervisor
from schemas.avro_codec import Encoder, schema_text
from schemas.events import Quote, Trade
from schemas.registry import registry_client
from tests.support.jobs_run import JobsRun, running_jobs
from tests.support.reading import (
    dead_letters,
    eventually,
    last_candles,
    session_of,
    stored_trades,
)
from tests.support.servers import Servers

pytestmark = pytest.mark.servers
DAY_US = 86_400_000_000
PRICE_OF_GOOD = 100.25
AWAY_SECONDS = 15


class ForeignProducer:
    """Somebody else's producer: kafka-python, no validation, and our heartbeats so that time goes on."""

    def __init__(self, run: JobsRun) -> None:
        self._run = run
        self._producer = KafkaProducer(
            bootstrap_servers=run.topic_settings.kafka_bootstrap_servers, acks="all"
        )
        self._topic, self._gaps = run.topics.trades, run.topics.gaps
        self._encoder = Encoder(Trade, run.ids[self._topic])
        self.now_us = time.time_ns() // 1000
        self.sent = 0

    def close(self) -> None:
        self._producer.close()

    def trade(self, **changes: object) -> dict[str, object]:
        """The fields of the next trade, a millisecond after the last one."""
        self.now_us += 1000
        self.sent += 1
        fields: dict[str, object] = {
            "symbol": "GOOD", "event_time": self.now_us, "received_at": self.now_us, "price": PRICE_OF_GOOD,
            "size": 2.0, "trade_id": f"t{self.sent}", "sequence": self.sent, "source": "foreign",
            "exchange": "", "conditions": [], "updates_open_close": True, "updates_high_low": True,
            "updates_volume": True, "correctable": False,
        }  # fmt: skip
        return fields | changes

    def encoded(self, **changes: object) -> bytes:
        """The next trade as a record's value."""
        return self._encoder.encode_fields(self.trade(**changes))

    def send_good(self) -> None:
        self.send(self.encoded())

    def send(self, value: bytes, key: bytes | None = b"GOOD") -> tuple[int, int]:
        """Sends a value with a sane timestamp; returns partition and offset."""
        sent = self._producer.send(self._topic, value, key=key, timestamp_ms=self.now_us // 1000).get(10)
        return sent.partition, sent.offset

    def send_changed(self, **changes: object) -> tuple[int, int]:
        return self.send(self.encoded(**changes))

    def heartbeat(self, ahead_us: int) -> None:
        """Moves the watermark to so much after the last trade."""
        timestamp = (self.now_us + ahead_us) // 1000
        for topic in (self._topic, self._gaps):
            for partition in self._producer.partitions_for(topic):
                self._producer.send(topic, None, key=b"", partition=partition, timestamp_ms=timestamp).get(10)


def nullable_symbol_schema() -> str:
    """A Trade whose symbol may be null, as another team might have registered it."""
    schema = json.loads(schema_text(Trade))
    schema["fields"][0]["type"] = ["null", "string"]
    return json.dumps(schema)


def register(run: JobsRun, subject: str, schema: str) -> int:
    """The id of a schema that is not one of ours."""
    with registry_client(run.topic_settings.schema_registry_url) as client:
        return client.register_schema(subject, Schema(schema, "AVRO"))


@pytest.fixture(scope="module")
def run(flink_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobsRun]:
    """Both jobs, for all tests of this module."""
    prefix = f"test-poison-{uuid.uuid4().hex[:8]}"
    with running_jobs(flink_environment, tmp_path_factory.mktemp("poison"), prefix) as jobs:
        yield jobs


def test_each_poison_is_a_dead_letter_and_each_good_trade_is_stored(run: JobsRun) -> None:
    """Every kind of poison is reported once with its reason, and takes nothing else with it."""
    foreign_id = register(run, "elsewhere.trades-value", nullable_symbol_schema())
    quotes_id = run.ids[run.topics.quotes]
    producer = ForeignProducer(run)
    header = struct.pack(">bI", 0, run.ids[run.topics.trades])
    null_symbol = io.BytesIO(struct.pack(">bI", 0, foreign_id))
    null_symbol.seek(0, io.SEEK_END)
    schemaless_writer(null_symbol, json.loads(nullable_symbol_schema()), producer.trade(symbol=None))
    quote = Encoder(Quote, quotes_id).encode(
        Quote("GOOD", producer.now_us, producer.now_us, 1.0, 1.0, 2.0, 1.0, 0, "foreign")
    )
    poison = {
        producer.send(b"no avro at all"): "not_avro",
        producer.send(header + b"\x02"): "not_avro",
        producer.send(struct.pack(">bI", 0, 999_999_999) + b"\x00"): "unknown_schema",
        producer.send(quote): "wrong_schema",
        producer.send(null_symbol.getvalue()): "invalid_symbol",
        producer.send_changed(symbol=""): "invalid_symbol",
        producer.send_changed(price=math.nan): "invalid_price",
        producer.send_changed(price=math.inf): "invalid_price",
        producer.send_changed(price=-1.0): "invalid_price",
        producer.send_changed(size=-0.5): "invalid_size",
        producer.send_changed(size=math.nan): "invalid_size",
        producer.send_changed(event_time=0): "implausible_time",
        producer.send_changed(event_time=producer.now_us + DAY_US): "implausible_time",
    }
    for _ in range(50):
        producer.send_good()
    good = 50
    producer.heartbeat(120_000_000)

    with session_of(run.cassandra) as session:
        eventually(
            lambda: len(stored_trades(session, "trades_silver", {"GOOD"})) >= good, 60, "good trades stored"
        )
        silver = stored_trades(session, "trades_silver", {"GOOD"})
        assert len(silver) == good
        assert {row.price for row in silver} == {PRICE_OF_GOOD}
        bronze_ids = {row.trade_id for row in stored_trades(session, "trades_bronze", {"GOOD"})}
        assert {row.trade_id for row in silver} <= bronze_ids
    eventually(lambda: len(dead_letters(run.topic_settings)) >= len(poison), 60, "dead letters written")
    letters = dead_letters(run.topic_settings)
    reported = {(letter.partition, letter.offset): letter.reason for letter in letters}
    assert reported == poison
    assert len(letters) == len(poison), "each once"
    assert {letter.origin for letter in letters} == {"store"}
    assert b"no avro at all" in {letter.payload for letter in letters}
    eventually(
        lambda: (
            sum(c.trades for c in last_candles(run.topic_settings).values() if c.interval == "1m" and c.final)
            == good
        ),
        60,
        "final bars count every good trade and nothing else",
    )
    assert (run.restarts("bars"), run.restarts("store")) == (0, 0)
    producer.close()


def test_a_trade_beyond_the_horizon_is_a_dead_letter_of_bars(run: JobsRun) -> None:
    """A trade that comes after the horizon changes no bar and is reported with its payload, once."""
    producer = ForeignProducer(run)
    producer.send_changed(symbol="LATE")
    producer.heartbeat(1_000_000)
    eventually(lambda: any(key[0] == "LATE" for key in last_candles(run.topic_settings)), 60, "a bar")
    producer.now_us -= 301_000_000
    where = producer.send_changed(symbol="LATE", price=1.0)
    eventually(
        lambda: any(letter.reason == "too_late" for letter in dead_letters(run.topic_settings)),
        60,
        "a letter",
    )
    letters = [letter for letter in dead_letters(run.topic_settings) if letter.reason == "too_late"]
    assert [(letter.partition, letter.offset, letter.origin) for letter in letters] == [(*where, "bars")]
    assert letters[0].payload is not None
    lows = [bar.low for key, bar in last_candles(run.topic_settings).items() if key[0] == "LATE"]
    assert set(lows) == {PRICE_OF_GOOD}
    producer.close()


@contextmanager
def registry_away(servers: Servers) -> Iterator[None]:
    """The registry's process is stopped, and started again afterwards."""
    supervisor = Supervisor(servers.settings.folders)
    supervisor.stop_process("registry")
    eventually(lambda: supervisor.processes()["registry"].state in STOPPED, 30, "the registry is down")
    try:
        yield
    finally:
        supervisor.start_process("registry")
        ready = Probes().answers
        eventually(lambda: ready(servers.settings.registry_ready_url), 60, "the registry is back")


def test_nothing_is_poison_while_the_registry_is_away(run: JobsRun, servers: Servers) -> None:
    """A schema that the jobs have not seen yet is waited for, not refused, while the registry is down; trades
    in our own schemas are stored all the while."""
    evolved = json.loads(schema_text(Trade))
    evolved["fields"].append({"name": "venue_note", "type": "string", "default": ""})
    evolved_id = register(run, "elsewhere.evolved-value", json.dumps(evolved))
    before = len(dead_letters(run.topic_settings))
    producer = ForeignProducer(run)
    encoder = Encoder(Trade, evolved_id)
    with session_of(run.cassandra) as session:

        def stored(symbol: str) -> int:
            return len(stored_trades(session, "trades_silver", {symbol}))

        with registry_away(servers):
            producer.send_changed(symbol="OURS")
            eventually(lambda: stored("OURS") == 1, 60, "a trade in our own schema is stored")
            producer.send(encoder.encode_fields(producer.trade(symbol="EVOLVED")) + b"\x08note")
            time.sleep(AWAY_SECONDS)
            assert stored("EVOLVED") == 0
        eventually(lambda: stored("EVOLVED") == 1, 90, "the trade is stored")
    assert len(dead_letters(run.topic_settings)) == before
    assert (run.restarts("bars"), run.restarts("store")) == (0, 0)
    producer.close()
