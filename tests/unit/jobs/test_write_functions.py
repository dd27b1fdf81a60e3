"""The vectorised functions that store: what is written, and which letters come back."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from jobs.flink import write_functions
from jobs.flink.write_functions import WriteCandles, WriteFunction, WriteTrades
from jobs.letters import MOST_PAYLOAD_BYTES
from jobs.settings import JobSettings
from schemas.avro_codec import Decoder, Encoder
from schemas.events import Candle, DeadLetter, Event, Trade
from schemas.intervals import MINUTE_US
from schemas.registry import our_schemas
from schemas.topics import Topics
from tests.unit.jobs.builders import START_US, a_trade
from tests.unit.jobs.fake_cassandra import FakeSession, row

TOPICS = Topics("market")
IDS = {topic: number for number, topic in enumerate(TOPICS.event_types, start=1)}
KNOWN = our_schemas(TOPICS, IDS)
CANDLE = Candle("AAPL", "1m", START_US, START_US + MINUTE_US, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1, True, 3,
                ("sim",))  # fmt: skip


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> FakeSession:
    session = FakeSession()
    monkeypatch.setattr(write_functions, "shared_session", lambda _: session)
    monkeypatch.setattr(write_functions, "configure_worker_logging", lambda: None)
    return session


Write = Callable[..., list[DeadLetter | None]]


@pytest.fixture
def write(session: FakeSession) -> Write:
    """``write(kind of function, *payloads)``: the letters, as the topic will have them."""
    assert session.sent == []

    def write(kind: type[WriteFunction], *payloads: bytes | None) -> list[DeadLetter | None]:
        topic = TOPICS.trades if kind is WriteTrades else TOPICS.candles
        function: Any = kind(JobSettings(), topic, KNOWN, IDS[TOPICS.dead_letter])
        function.open(None)
        count = len(payloads)
        times = pd.Series(pd.to_datetime([START_US] * count, unit="us"))
        letters = function.eval(
            pd.Series(payloads, dtype=object), pd.Series([2] * count), pd.Series(range(40, 40 + count)), times
        )
        decoder = Decoder(DeadLetter, lambda _: None, KNOWN)
        return [None if letter is None else decoder.decode(letter) for letter in letters]  # type: ignore[misc]

    return write


def record(event: Event) -> bytes:
    topic = TOPICS.trades if isinstance(event, Trade) else TOPICS.candles
    return Encoder(type(event), IDS[topic]).encode(event)


def written(session: FakeSession) -> list[tuple[str, dict[str, Any]]]:
    """(table, row) of everything that was sent."""
    return [
        (
            session.statements[query_id].column_metadata[0].table_name,
            row(session.statements[query_id], values),
        )
        for batch in session.sent
        for _, query_id, values in batch._statements_and_parameters
    ]


def test_trades_are_stored_and_poison_comes_back(write: Write, session: FakeSession) -> None:
    """Each letter at the place of its record, with where that lay."""
    good, bad = record(a_trade(sequence=1)), record(a_trade(price=-1.0, sequence=2))
    letters = write(WriteTrades, good, None, b"no Avro", bad)
    assert letters[:2] == [None, None]
    assert letters[2:] == [
        DeadLetter("not_avro", "no Confluent wire format header (one 0 byte and a schema id)", "store",
                   "market.trades", 2, 42, b"no Avro"),
        DeadLetter("invalid_price", "price is -1.0", "store", "market.trades", 2, 43, bad),
    ]  # fmt: skip
    assert [(table, values["sequence"]) for table, values in written(session)] == [
        ("trades_bronze", 1),
        ("trades_silver", 1),
        ("trades_bronze", 2),
    ]
    bronze = written(session)[2][1]
    assert (bronze["kafka_partition"], bronze["kafka_offset"], bronze["payload"]) == (2, 43, bad)


def test_candles_are_stored_and_poison_comes_back(write: Write, session: FakeSession) -> None:
    """Among them a trade in the wrong topic, and a bar that no table has."""
    trade, odd = record(a_trade()), record(replace(CANDLE, interval="2m"))
    letters = write(WriteCandles, record(CANDLE), None, trade, odd)
    assert letters[:2] == [None, None]
    assert [(letter.reason, letter.offset, letter.payload) for letter in letters[2:] if letter] == [
        ("wrong_schema", 42, trade),
        ("invalid_identity", 43, odd),
    ]
    tables = written(session)
    assert [table for table, _ in tables] == ["symbols", "trades_gold_1m"]
    assert tables[1][1]["version"] == 3


def test_of_a_bars_versions_in_a_batch_only_the_greatest_is_written(
    write: Write, session: FakeSession
) -> None:
    """Whatever their order."""
    versions = [replace(CANDLE, version=2, final=False), replace(CANDLE, version=5), CANDLE]
    assert write(WriteCandles, *map(record, versions)) == [None, None, None]
    assert [values["version"] for table, values in written(session) if table == "trades_gold_1m"] == [5]


def test_a_batch_of_heartbeats_writes_nothing(write: Write, session: FakeSession) -> None:
    """And has no letters."""
    assert write(WriteTrades, None, None) == [None, None]
    assert session.sent == []


def test_the_letter_of_a_huge_record_is_cut(write: Write) -> None:
    """Or Kafka would refuse it, and the job would fail on it for ever."""
    [letter] = write(WriteTrades, b"x" * 1_000_000)
    assert letter is not None
    assert letter.payload == b"x" * MOST_PAYLOAD_BYTES


def test_it_is_never_folded_away(session: FakeSession) -> None:
    """The planner may call a deterministic function twice, or not at all."""
    assert session.sent == []
    assert not WriteTrades(JobSettings(), TOPICS.trades, KNOWN, 4).is_deterministic()
