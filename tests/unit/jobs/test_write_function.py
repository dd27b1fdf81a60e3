"""The vectorised functions that store: what is written, and which letters come back."""

from collections.abc import Callable
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np
import pytest

from jobs.flink import write_function
from jobs.flink.write_function import PART, WriteRecords
from jobs.letters import MOST_PAYLOAD_BYTES
from jobs.settings import JobSettings
from jobs.sinks.stores import stored_topics
from schemas.avro_codec import Decoder, Encoder
from schemas.events import Alert, Candle, DeadLetter, Event, Gap, ProviderBar, Quote
from schemas.intervals import MINUTE_US
from schemas.registry import our_schemas
from schemas.tables import trade_shard
from schemas.topics import Topics
from tests.unit.jobs.builders import START_US, a_cancel, a_trade
from tests.unit.jobs.fake_cassandra import FakeSession, sent_rows, table_and_row

TOPICS = Topics("market")
IDS = {topic: number for number, topic in enumerate(TOPICS.record_types, start=1)}
KNOWN = our_schemas(TOPICS, IDS)
CANDLE = Candle("AAPL", "1m", START_US, START_US + MINUTE_US, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1, True, 3,
                ("sim",))  # fmt: skip
QUOTE = Quote("AAPL", START_US, START_US, 1.0, 2.0, 1.5, 3.0, 0, "sim")
ALERT = Alert("a", 1, "AAPL", "price_spike", "high", "raised", START_US, START_US, 6.0, 5.0, "6 %")
GAP = Gap("g", "AAPL", "finnhub", START_US, START_US + 5, True, "disconnect", "reset", START_US + 6)
PROVIDER_BAR = ProviderBar(
    "AAPL", "yahoo", "1m", START_US, START_US + MINUTE_US, 1.0, 2.0, 0.5, 1.5, 10.0, None, None, True,
    START_US + 70_000_000, START_US + 70_000_001, {"sma_20": 1.25},
)  # fmt: skip
ID_OF = {event_type: IDS[name] for name, event_type in TOPICS.record_types.items()}


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> FakeSession:
    session = FakeSession()
    monkeypatch.setattr(write_function, "shared_session", lambda _: session)
    monkeypatch.setattr(write_function, "prepare_worker", lambda: None)
    return session


Write = Callable[..., list[DeadLetter | None]]


@pytest.fixture
def write(session: FakeSession) -> Write:
    """``write(topic, *payloads)``: the letters, as their topic will have them. For records of several topics
    in one batch, ``topic`` has that of each."""
    assert session.sent == []

    def write(topic: str | list[str], *payloads: bytes | None) -> list[DeadLetter | None]:
        function: Any = WriteRecords(JobSettings(), KNOWN, IDS[TOPICS.dead_letter])
        function.open(None)
        count = len(payloads)
        topics = topic if isinstance(topic, list) else [topic] * count
        letters = function.eval(
            topics,
            payloads,
            np.full(count, 2),
            np.arange(40, 40 + count),
            np.full(count, START_US // 1000),
        )
        decoder = Decoder(DeadLetter, lambda _: None, KNOWN)
        return [None if letter is None else decoder.decode(letter) for letter in letters]  # type: ignore[misc]

    return write


def record(event: Event) -> bytes:
    return Encoder(type(event), ID_OF[type(event)]).encode(event)


def refusals(letters: list[DeadLetter | None]) -> list[tuple[str, str, int | None, bytes | None]]:
    """(reason, topic, offset, payload) of the letters."""
    return [(letter.reason, letter.topic, letter.offset, letter.payload) for letter in letters if letter]


def test_trades_are_stored_and_poison_comes_back(write: Write, session: FakeSession) -> None:
    """Each letter at the place of its record, with where that lay."""
    good, bad = record(a_trade(sequence=1)), record(a_trade(price=-1.0, sequence=2))
    letters = write(TOPICS.trades, good, None, b"no Avro", bad)
    assert letters[:2] == [None, None]
    assert letters[2:] == [
        DeadLetter("not_avro", "no Confluent wire format header (one 0 byte and a schema id)", "store",
                   "market.trades", 2, 42, b"no Avro"),
        DeadLetter("invalid_price", "price is -1.0", "store", "market.trades", 2, 43, bad),
    ]  # fmt: skip
    assert [(table, values["sequence"]) for table, values in sent_rows(session)] == [
        ("trades_bronze", 1),
        ("trades_silver", 1),
        ("trades_bronze", 2),
    ]
    bronze = sent_rows(session)[2][1]
    assert (bronze["kafka_partition"], bronze["kafka_offset"], bronze["payload"]) == (2, 43, bad)


def test_corrections_are_stored_and_poison_among_them_comes_back(write: Write, session: FakeSession) -> None:
    """A correction of a type that nobody knows is kept as received, like any refused record."""
    good, bad = record(a_cancel("t")), record(a_cancel("t", correction_id="bad", kind="bust"))
    quote = record(QUOTE)
    letters = write(TOPICS.trades, record(a_trade()), good, bad, quote)
    assert letters[:2] == [None, None]
    assert refusals(letters) == [
        ("invalid_correction", TOPICS.trades, 42, bad),
        ("wrong_schema", TOPICS.trades, 43, quote),
    ]
    rows = [(table, row.get("correction_id", row["trade_id"])) for table, row in sent_rows(session)]
    assert rows == [
        ("trades_bronze", "t"),
        ("trades_silver", "t"),
        ("trades_bronze", "c"),
        ("trade_corrections", "c"),
        ("trades_bronze", "bad"),
    ]


def test_quotes_are_stored_and_poison_comes_back(write: Write, session: FakeSession) -> None:
    """A crossed quote is stored like any other."""
    crossed, bad = replace(QUOTE, sequence=1, bid=2.0), record(replace(QUOTE, ask=-1.0))
    trade = record(a_trade())
    letters = write(TOPICS.quotes, record(QUOTE), None, record(crossed), bad, trade)
    assert letters[:3] == [None, None, None]
    assert refusals(letters) == [
        ("invalid_price", TOPICS.quotes, 43, bad),
        ("wrong_schema", TOPICS.quotes, 44, trade),
    ]
    assert [(table, row["sequence"], row["spread"]) for table, row in sent_rows(session)] == [
        ("quotes", 0, 0.5),
        ("quotes", 1, -0.5),
        ("latest_quotes", 1, -0.5),
    ]


@pytest.mark.parametrize("good", [2 * PART, 3 * PART + 5])
def test_many_ticks_are_stored_in_parts(write: Write, session: FakeSession, good: int) -> None:
    """Each once, in their order; letters where their records are, in whichever part that was. Bars, whose
    last version has to stay, are written together, with what is left of the ticks."""
    trades = [record(a_trade(sequence=number, trade_id=str(number))) for number in range(good)]
    bars = [record(replace(CANDLE, version=version, final=False)) for version in (2, 4, 6)]
    payloads = [*trades, b"no Avro", *bars, record(a_trade(sequence=good, trade_id=str(good)))]
    topics = [TOPICS.candles if each in bars else TOPICS.trades for each in payloads]
    letters = write(topics, *payloads)
    assert [position for position, letter in enumerate(letters) if letter] == [good]
    rows = sent_rows(session)
    for table in ("trades_bronze", "trades_silver"):
        assert [row["sequence"] for name, row in rows if name == table] == list(range(good + 1))
    versions = [row["version"] for table, row in rows if table == "trades_gold_1m"]
    assert versions == [6]


def test_candles_are_stored_and_poison_comes_back(write: Write, session: FakeSession) -> None:
    """Among them a trade in the wrong topic, and a bar that no table has."""
    trade, odd = record(a_trade()), record(replace(CANDLE, interval="2m"))
    letters = write(TOPICS.candles, record(CANDLE), None, trade, odd)
    assert letters[:2] == [None, None]
    assert refusals(letters) == [
        ("wrong_schema", TOPICS.candles, 42, trade),
        ("invalid_identity", TOPICS.candles, 43, odd),
    ]
    assert [(table, row.get("version")) for table, row in sent_rows(session)] == [
        ("symbols", None),
        ("trades_gold_1m", 3),
        ("candle_versions", 3),
    ]


def test_every_final_version_of_a_batch_is_kept_and_gold_has_the_greatest(
    write: Write, session: FakeSession
) -> None:
    """Whatever their order; a live one beside them is not worth a row."""
    versions = [replace(CANDLE, version=2, final=False), replace(CANDLE, version=5), CANDLE]
    assert write(TOPICS.candles, *map(record, versions)) == [None, None, None]
    rows = sent_rows(session)
    assert [row["version"] for table, row in rows if table == "trades_gold_1m"] == [5]
    assert [row["version"] for table, row in rows if table == "candle_versions"] == [3, 5]


def test_alerts_are_stored_and_poison_comes_back(write: Write, session: FakeSession) -> None:
    """Of an alert's revisions in a batch the greatest is written, whatever their order."""
    bad, candle = record(replace(ALERT, alert_id="")), record(CANDLE)
    resolved = replace(ALERT, revision=2, status="resolved")
    letters = write(TOPICS.alerts, record(resolved), record(ALERT), None, bad, candle)
    assert letters[:3] == [None, None, None]
    assert refusals(letters) == [
        ("invalid_identity", TOPICS.alerts, 43, bad),
        ("wrong_schema", TOPICS.alerts, 44, candle),
    ]
    assert [(table, row["revision"], row["status"]) for table, row in sent_rows(session)] == [
        ("alerts_by_symbol", 2, "resolved"),
        ("alerts_by_day", 2, "resolved"),
    ]


def test_gaps_are_stored_and_poison_comes_back(write: Write, session: FakeSession) -> None:
    """Of a gap's records in a batch the longest is written; one over a full hour has no place."""
    growing = replace(GAP, end=START_US + 4, closed=False)
    hour = START_US + 60 * MINUTE_US
    bad = record(replace(GAP, end=hour + 1))
    letters = write(
        TOPICS.gaps, record(GAP), record(growing), record(replace(GAP, gap_id="h", end=hour)), bad
    )
    assert letters[:3] == [None, None, None]
    assert refusals(letters) == [("invalid_identity", TOPICS.gaps, 43, bad)]
    assert [(table, row["gap_id"], row["end"], row["closed"]) for table, row in sent_rows(session)] == [
        ("gaps", "g", START_US + 5, True),
        ("gaps", "h", hour, True),
    ]


def test_provider_bars_are_stored_and_poison_comes_back(write: Write, session: FakeSession) -> None:
    """Of a bar's versions the greatest is written; without indicators it leaves those there are."""
    bad, candle = record(replace(PROVIDER_BAR, low=3.0)), record(CANDLE)
    newer = replace(PROVIDER_BAR, version=PROVIDER_BAR.version + 5, indicators={}, close=1.75)
    later = replace(PROVIDER_BAR, start=START_US + MINUTE_US, end=START_US + 2 * MINUTE_US)
    letters = write(
        TOPICS.provider_candles, record(newer), record(PROVIDER_BAR), None, bad, candle, record(later)
    )
    assert letters[:3] == [None, None, None]
    assert refusals(letters) == [
        ("invalid_price", TOPICS.provider_candles, 43, bad),
        ("wrong_schema", TOPICS.provider_candles, 44, candle),
    ]
    names = ("source", "close", "[timestamp]", "indicators")
    assert [(table, *map(row.get, names)) for table, row in sent_rows(session)] == [
        ("symbols", None, None, None, None),
        ("provider_buckets", "yahoo", None, None, None),
        ("provider_candles", "yahoo", 1.75, newer.version, None),
        ("provider_candles", "yahoo", 1.5, later.version, {"sma_20": 1.25}),
    ]


def test_records_of_several_topics_are_one_batch(write: Write, session: FakeSession) -> None:
    """All are on their way at the same time, and each letter is at the place of its record."""
    bad = record(a_trade(price=-1.0, sequence=2))
    mixed = {
        TOPICS.quotes: record(QUOTE),
        TOPICS.trades: record(a_trade(sequence=1)),
        TOPICS.candles: record(CANDLE),
        TOPICS.alerts: b"no Avro",
    }
    letters = write([*mixed, TOPICS.trades], *mixed.values(), bad)
    assert letters[:3] == [None, None, None]
    assert refusals(letters) == [
        ("not_avro", TOPICS.alerts, 43, b"no Avro"),
        ("invalid_price", TOPICS.trades, 44, bad),
    ]
    offsets = [row["kafka_offset"] for table, row in sent_rows(session) if table == "trades_bronze"]
    assert offsets == [41, 44]
    assert {table for table, _ in sent_rows(session)} == {
        "quotes", "latest_quotes", "trades_bronze", "trades_silver", "symbols", "trades_gold_1m",
        "candle_versions",
    }  # fmt: skip
    assert session.most_in_flight == len(session.sent)


def test_ticks_of_a_minute_and_shard_are_one_mutation_whatever_their_tables(
    write: Write, session: FakeSession
) -> None:
    """And all that a node has is one request: what each costs by itself is most of what small ones cost."""
    other = replace(QUOTE, symbol="MSFT", sequence=1)
    write([TOPICS.quotes, TOPICS.trades, TOPICS.quotes], record(QUOTE), record(a_trade()), record(other))
    [batch] = session.sent
    rows = list(map(table_and_row, batch.rows))
    places = [(row.get("minute"), row.get("shard")) for _, row in rows]
    assert len(list(groupby(places))) == len(set(places)) == 2 + (trade_shard("MSFT") != trade_shard("AAPL"))
    [of_aapl] = {place for place, (table, _) in zip(places, rows, strict=True) if table == "trades_bronze"}
    tables = {table for place, (table, _) in zip(places, rows, strict=True) if place == of_aapl}
    assert tables == {"quotes", "trades_bronze", "trades_silver"}
    latest = [row["symbol"] for table, row in sent_rows(session) if table == "latest_quotes"]
    assert latest == ["AAPL", "MSFT"]
    elsewhere = {table for place, (table, _) in zip(places, rows, strict=True) if place == (None, None)}
    assert elsewhere == {"latest_quotes"}


@pytest.mark.parametrize("topic", stored_topics(TOPICS))
def test_a_batch_of_heartbeats_writes_nothing(write: Write, session: FakeSession, topic: str) -> None:
    """And has no letters."""
    assert write(topic, None, None) == [None, None]
    assert session.sent == []


def test_the_letter_of_a_huge_record_is_cut(write: Write) -> None:
    """Or Kafka would refuse it, and the job would fail on it for ever."""
    [letter] = write(TOPICS.trades, b"x" * 1_000_000)
    assert letter is not None
    assert letter.payload == b"x" * MOST_PAYLOAD_BYTES


def test_it_is_never_folded_away() -> None:
    """The planner may call a deterministic function twice, or not at all."""
    assert not WriteRecords(JobSettings(), KNOWN, 4).is_deterministic()


def test_each_topic_has_its_store() -> None:
    """All but the dead letters, and the bars of providers before they have indicators, are stored."""
    others = {TOPICS.dead_letter, TOPICS.provider_bars}
    assert set(stored_topics(TOPICS)) == set(TOPICS.event_types) - others
