"""The vectorised function that makes rows: what they say, and which letters come back."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from jobs.flink import row_function
from jobs.flink.row_function import MakeRows
from jobs.letters import MOST_PAYLOAD_BYTES
from jobs.settings import JobSettings
from jobs.sinks.stores import stored_topics
from schemas.avro_codec import Decoder, Encoder
from schemas.events import Alert, Candle, DeadLetter, Event, Gap, ProviderBar, Quote
from schemas.intervals import MINUTE_US
from schemas.registry import our_schemas
from schemas.topics import Topics
from tests.unit.jobs.builders import START_US, a_cancel, a_trade
from tests.unit.jobs.row_reading import rows_in

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


Rows = list[tuple[str, dict[str, Any]]]
Letters = list[DeadLetter | None]
Make = Callable[..., tuple[Rows, Letters]]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Make:
    """``make(topic, *payloads)``: (table, row) of what is to be written, and the letters as their topic will
    have them. For records of several topics in one batch, ``topic`` has that of each."""
    monkeypatch.setattr(row_function, "prepare_worker", lambda: None)

    def make(topic: str | list[str], *payloads: bytes | None) -> tuple[Rows, Letters]:
        function: Any = MakeRows(JobSettings(), KNOWN, IDS[TOPICS.dead_letter])
        function.open(None)
        count = len(payloads)
        topics = topic if isinstance(topic, list) else [topic] * count
        made = function.eval(
            topics,
            payloads,
            np.full(count, 2),
            np.arange(40, 40 + count),
            np.full(count, START_US // 1000),
        )
        assert made["rows"][1:] == [None] * (count - 1)
        decoder = Decoder(DeadLetter, lambda _: None, KNOWN)
        letters = [None if letter is None else decoder.decode(letter) for letter in made["letter"]]
        return rows_in(made["rows"][0] or b""), letters  # type: ignore[return-value]

    return make


def record(event: Event) -> bytes:
    return Encoder(type(event), ID_OF[type(event)]).encode(event)


def refusals(letters: list[DeadLetter | None]) -> list[tuple[str, str, int | None, bytes | None]]:
    """(reason, topic, offset, payload) of the letters."""
    return [(letter.reason, letter.topic, letter.offset, letter.payload) for letter in letters if letter]


def test_trades_become_rows_and_poison_comes_back(make: Make) -> None:
    """Each letter at the place of its record, with where that lay."""
    good, bad = record(a_trade(sequence=1)), record(a_trade(price=-1.0, sequence=2))
    rows, letters = make(TOPICS.trades, good, None, b"no Avro", bad)
    assert letters[:2] == [None, None]
    assert letters[2:] == [
        DeadLetter("not_avro", "no Confluent wire format header (one 0 byte and a schema id)", "store",
                   "market.trades", 2, 42, b"no Avro"),
        DeadLetter("invalid_price", "price is -1.0", "store", "market.trades", 2, 43, bad),
    ]  # fmt: skip
    assert [(table, row["sequence"]) for table, row in rows] == [
        ("trades_bronze", 1),
        ("trades_silver", 1),
        ("trades_bronze", 2),
    ]
    bronze = rows[2][1]
    assert (bronze["kafka_partition"], bronze["kafka_offset"], bronze["payload"]) == (2, 43, bad)


def test_corrections_become_rows_and_poison_among_them_comes_back(make: Make) -> None:
    """A correction of a type that nobody knows is kept as received, like any refused record."""
    good, bad = record(a_cancel("t")), record(a_cancel("t", correction_id="bad", kind="bust"))
    quote = record(QUOTE)
    rows, letters = make(TOPICS.trades, record(a_trade()), good, bad, quote)
    assert letters[:2] == [None, None]
    assert refusals(letters) == [
        ("invalid_correction", TOPICS.trades, 42, bad),
        ("wrong_schema", TOPICS.trades, 43, quote),
    ]
    assert [(table, row.get("correction_id", row["trade_id"])) for table, row in rows] == [
        ("trades_bronze", "t"),
        ("trades_silver", "t"),
        ("trades_bronze", "c"),
        ("trade_corrections", "c"),
        ("trades_bronze", "bad"),
    ]


def test_quotes_become_rows_and_poison_comes_back(make: Make) -> None:
    """A crossed quote is stored like any other."""
    crossed, bad = replace(QUOTE, sequence=1, bid=2.0), record(replace(QUOTE, ask=-1.0))
    trade = record(a_trade())
    rows, letters = make(TOPICS.quotes, record(QUOTE), None, record(crossed), bad, trade)
    assert letters[:3] == [None, None, None]
    assert refusals(letters) == [
        ("invalid_price", TOPICS.quotes, 43, bad),
        ("wrong_schema", TOPICS.quotes, 44, trade),
    ]
    assert [(table, row["sequence"], row["spread"]) for table, row in rows] == [
        ("quotes", 0, 0.5),
        ("quotes", 1, -0.5),
        ("latest_quotes", 1, -0.5),
    ]


def test_many_ticks_keep_their_order_and_letters_their_places(make: Make) -> None:
    """Decoded all at once or one by one."""
    trades = [record(a_trade(sequence=number, trade_id=str(number))) for number in range(500)]
    payloads = [*trades[:400], b"no Avro", *trades[400:]]
    rows, letters = make(TOPICS.trades, *payloads)
    assert [position for position, letter in enumerate(letters) if letter] == [400]
    for name in ("trades_bronze", "trades_silver"):
        assert [row["sequence"] for table, row in rows if table == name] == list(range(500))


def test_candles_become_rows_and_poison_comes_back(make: Make) -> None:
    """Among them a trade in the wrong topic, and a bar that no table has."""
    trade, odd = record(a_trade()), record(replace(CANDLE, interval="2m"))
    rows, letters = make(TOPICS.candles, record(CANDLE), None, trade, odd)
    assert letters[:2] == [None, None]
    assert refusals(letters) == [
        ("wrong_schema", TOPICS.candles, 42, trade),
        ("invalid_identity", TOPICS.candles, 43, odd),
    ]
    assert [(table, row.get("version")) for table, row in rows] == [
        ("symbols", None),
        ("trades_gold_1m", 3),
        ("candle_versions", 3),
    ]


def test_every_final_version_of_a_batch_is_kept(make: Make) -> None:
    """Whatever their order; a live one beside them is not worth a row."""
    versions = [replace(CANDLE, version=2, final=False), replace(CANDLE, version=5), CANDLE]
    rows, letters = make(TOPICS.candles, *map(record, versions))
    assert letters == [None, None, None]
    assert {row["version"] for table, row in rows if table == "trades_gold_1m"} == {3, 5}
    assert {row["version"] for table, row in rows if table == "candle_versions"} == {3, 5}


def test_alerts_become_rows_and_poison_comes_back(make: Make) -> None:
    """By symbol and by day."""
    bad, candle = record(replace(ALERT, alert_id="")), record(CANDLE)
    rows, letters = make(TOPICS.alerts, record(ALERT), None, bad, candle)
    assert letters[:2] == [None, None]
    assert refusals(letters) == [
        ("invalid_identity", TOPICS.alerts, 42, bad),
        ("wrong_schema", TOPICS.alerts, 43, candle),
    ]
    assert [(table, row["revision"], row["status"]) for table, row in rows] == [
        ("alerts_by_symbol", 1, "raised"),
        ("alerts_by_day", 1, "raised"),
    ]


def test_gaps_become_rows_and_poison_comes_back(make: Make) -> None:
    """One over a full hour has no place."""
    hour = START_US + 60 * MINUTE_US
    bad = record(replace(GAP, end=hour + 1))
    rows, letters = make(TOPICS.gaps, record(GAP), record(replace(GAP, gap_id="h", end=hour)), bad)
    assert letters[:2] == [None, None]
    assert refusals(letters) == [("invalid_identity", TOPICS.gaps, 42, bad)]
    assert [(table, row["gap_id"], row["end"], row["closed"]) for table, row in rows] == [
        ("gaps", "g", START_US + 5, True),
        ("gaps", "h", hour, True),
    ]


def test_provider_bars_become_rows_and_poison_comes_back(make: Make) -> None:
    """Without indicators a bar leaves those there are."""
    bad, candle = record(replace(PROVIDER_BAR, low=3.0)), record(CANDLE)
    newer = replace(PROVIDER_BAR, version=PROVIDER_BAR.version + 5, indicators={}, close=1.75)
    rows, letters = make(TOPICS.provider_candles, record(newer), record(PROVIDER_BAR), None, bad, candle)
    assert letters[:3] == [None, None, None]
    assert refusals(letters) == [
        ("invalid_price", TOPICS.provider_candles, 43, bad),
        ("wrong_schema", TOPICS.provider_candles, 44, candle),
    ]
    names = ("source", "close", "[timestamp]", "indicators")
    assert [(table, *map(row.get, names)) for table, row in rows] == [
        ("symbols", None, None, None, None),
        ("provider_buckets", "yahoo", None, None, None),
        ("provider_candles", "yahoo", 1.75, newer.version, None),
        ("provider_candles", "yahoo", 1.5, PROVIDER_BAR.version, {"sma_20": 1.25}),
    ]


def test_records_of_several_topics_are_one_batch(make: Make) -> None:
    """Each letter is at the place of its record."""
    bad = record(a_trade(price=-1.0, sequence=2))
    mixed = {
        TOPICS.quotes: record(QUOTE),
        TOPICS.trades: record(a_trade(sequence=1)),
        TOPICS.candles: record(CANDLE),
        TOPICS.alerts: b"no Avro",
    }
    rows, letters = make([*mixed, TOPICS.trades], *mixed.values(), bad)
    assert letters[:3] == [None, None, None]
    assert refusals(letters) == [
        ("not_avro", TOPICS.alerts, 43, b"no Avro"),
        ("invalid_price", TOPICS.trades, 44, bad),
    ]
    assert [row["kafka_offset"] for table, row in rows if table == "trades_bronze"] == [41, 44]
    assert {table for table, _ in rows} == {
        "quotes", "latest_quotes", "trades_bronze", "trades_silver", "symbols", "trades_gold_1m",
        "candle_versions",
    }  # fmt: skip


@pytest.mark.parametrize("topic", stored_topics(TOPICS))
def test_a_batch_of_heartbeats_is_no_rows(make: Make, topic: str) -> None:
    """And has no letters."""
    assert make(topic, None, None) == ([], [None, None])


def test_the_letter_of_a_huge_record_is_cut(make: Make) -> None:
    """Or Kafka would refuse it, and the job would fail on it for ever."""
    _, [letter] = make(TOPICS.trades, b"x" * 1_000_000)
    assert letter is not None
    assert letter.payload == b"x" * MOST_PAYLOAD_BYTES


def test_it_is_never_folded_away() -> None:
    """The planner may call a deterministic function twice, or not at all."""
    assert not MakeRows(JobSettings(), KNOWN, 4).is_deterministic()


def test_each_topic_has_its_store() -> None:
    """All but the dead letters, and the bars of providers before they have indicators, are stored."""
    others = {TOPICS.dead_letter, TOPICS.provider_bars}
    assert set(stored_topics(TOPICS)) == set(TOPICS.event_types) - others
