"""Batches of payloads: what is a trade, a correction or a quote, what is refused and why, and where each of
them stood."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from itertools import permutations, product
from math import inf, nan, nextafter
from typing import Any

import numpy as np
import pytest

from schemas import record_batch
from schemas.errors import PoisonError
from schemas.events import Correction, Event, Quote, Trade
from schemas.record_batch import QUOTE_COLUMNS, TRADE_COLUMNS, RecordBatch
from schemas.validation import (
    MAX_AMOUNT,
    MAX_TIME_SKEW_US,
    check_correction,
    check_quote,
    check_record_time,
    check_trade,
)
from tests.unit.jobs.builders import DAY_US, START_US, a_cancel, a_correct, a_trade
from tests.unit.jobs.payloads import (
    TRADE_ID,
    UNKNOWN_ID,
    milliseconds,
    payload,
    quote_reader,
    reader,
    without_symbol,
)

GOOD = payload(a_trade())
CANCEL = payload(a_cancel("t"))
QUOTE = Quote("AAPL", START_US, START_US, 1.0, 2.0, 1.5, 3.0, 0, "sim")
NOW_MS = START_US // 1000
EDGES = [0.0, -0.0, 5e-324, -5e-324, 1.0, 1e6, 1e7, nextafter(1e7, inf), MAX_AMOUNT,
         nextafter(MAX_AMOUNT, inf), inf, -inf, nan]  # fmt: skip
SKEWS = [-MAX_TIME_SKEW_US - 1, -MAX_TIME_SKEW_US, 0, MAX_TIME_SKEW_US, MAX_TIME_SKEW_US + 1]
LONGS = [-(2**63), -1, 0, 2**63 - 1]
NAMES = ["", "x", "x" * 256, "x" * 257]


@pytest.fixture(autouse=True, params=[1, 1_000_000], ids=["at once", "one by one"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of both ways to decode a batch the same is expected."""
    monkeypatch.setattr(record_batch, "FEWEST", request.param)


POISON = {
    "not_avro": [
        b"",
        b"\0",
        b"no Avro at all",
        b"\0\0\0\0" + bytes([TRADE_ID]),
        GOOD[:-1],
        GOOD + b"\0",
        GOOD.replace(b"AAPL", b"\xff\xfe\xfd\xfc"),
        CANCEL[:-1],
    ],
    "unknown_schema": [b"\0\0\0\0" + bytes([UNKNOWN_ID]) + GOOD[5:]],
    "wrong_schema": [payload(QUOTE)],
    "invalid_symbol": [
        payload(a_trade(symbol=symbol)) for symbol in ("", "aapl", " AAPL", "AAPL\n", "A" * 33, "A" * 70_000)
    ]
    + [without_symbol(a_trade()), payload(a_cancel("t", symbol="aapl"))],
    "invalid_identity": [
        payload(a_trade(trade_id="")),
        payload(a_trade(source="")),
        payload(a_trade(sequence=-1)),
        payload(a_trade(trade_id="x" * 257)),
        payload(a_trade(source="x" * 70_000)),
        payload(a_cancel("")),
        payload(a_cancel("x" * 257)),
        payload(a_cancel("t", correction_id="")),
        payload(a_cancel("t", correction_id="x" * 257)),
        payload(a_cancel("t", source="")),
        payload(a_cancel("t", sequence=-1)),
    ],
    "invalid_price": [payload(a_trade(price=price)) for price in (nan, inf, -inf, 0.0, -1.0, 1.1e13)]
    + [payload(a_correct("t", price=price)) for price in (nan, inf, 0.0, -1.0, 1.1e13)],
    "invalid_size": [payload(a_trade(size=size)) for size in (nan, inf, -1e-9, 1.1e13, 1.1e11)]
    + [payload(a_correct("t", size=size)) for size in (nan, inf, -1e-9, 1.1e13, 1.1e11)],
    "invalid_correction": [
        payload(a_cancel("t", kind=kind)) for kind in ("", "Cancel", "correct", "k" * 70_000)
    ]
    + [payload(a_correct("t", price=None)), payload(a_correct("t", size=None))],  # type: ignore[arg-type]
    "implausible_time": [payload(a_trade(at)) for at in (-START_US, DAY_US, -DAY_US, -START_US - 1)]
    + [payload(a_cancel("t", at)) for at in (DAY_US, -DAY_US, -START_US - 1)],
}
EACH_POISON = [(reason, poison) for reason, kinds in POISON.items() for poison in kinds]


def reasons(batch: RecordBatch) -> dict[int, str]:
    """Position -> why the record there was refused."""
    return {position: error.reason for position, error in batch.poison.items()}


@pytest.mark.parametrize(("reason", "poison"), EACH_POISON)
def test_poison_is_refused_with_its_reason_and_its_neighbours_are_not(reason: str, poison: bytes) -> None:
    """The good trades and corrections before and after it keep their positions."""
    batch = reader().read([GOOD, CANCEL, poison, CANCEL, GOOD], np.full(5, NOW_MS))
    assert reasons(batch) == {2: reason}
    assert batch.positions == [0, 4]
    assert batch.columns["trade_id"] == ["t", "t"]
    assert batch.floats["price"].tolist() == [100.0, 100.0]
    assert list(batch.corrections) == [1, 3]


def test_all_poison_at_once() -> None:
    """Each keeps the reason that it has alone; what could be decoded is there with its fields."""
    batch = reader().read([kind for _, kind in EACH_POISON], np.full(len(EACH_POISON), NOW_MS))
    assert reasons(batch) == {at: reason for at, (reason, _) in enumerate(EACH_POISON)}
    assert (batch.positions, batch.corrections) == ([], {})
    undecodable = ("not_avro", "unknown_schema", "wrong_schema")
    decodable = {
        position
        for position, (reason, kind) in enumerate(EACH_POISON)
        if reason not in undecodable and kind != without_symbol(a_trade())
    }
    assert set(batch.refused) == decodable
    for fields in batch.refused.values():
        kind = Correction if "correction_id" in fields else Trade
        assert payload(kind(**fields)) in POISON[reason_by_the_rules(kind(**fields), NOW_MS) or ""]


def test_every_field_of_a_trade_comes_through() -> None:
    """As columns, text in any script, times to the microsecond."""
    trades = [
        Trade("BTC-USD", START_US + 1, START_US + 2, 0.1 + 0.2, 1e-8, "ü-1", 2**62, "binance", "XNAS",
              ("@", "ü", ""), False, True, False, True),
        Trade("^GSPC", START_US + 3, START_US + 4, 1e13, 0.0, "2", 0, "feed", "", (), True, False, True,
              False),
    ]  # fmt: skip
    batch = reader().read(map(payload, trades), milliseconds(*(t.event_time for t in trades)))
    assert set(TRADE_COLUMNS) == set(Trade.__dataclass_fields__)
    for name in TRADE_COLUMNS:
        expected = [getattr(trade, name) for trade in trades]
        assert [tuple(value) if name == "conditions" else value for value in batch.columns[name]] == expected
    numbers = {"event_time", "received_at", "sequence", "price", "size"}
    flags = {"updates_open_close", "updates_high_low", "updates_volume", "correctable"}
    arrays: dict[str, Any] = {**batch.integers, **batch.floats, **batch.flags}
    assert set(arrays) == numbers | flags
    for name, array in arrays.items():
        assert array.tolist() == [getattr(trade, name) for trade in trades]


def test_heartbeats_are_passed_over() -> None:
    """A null value only moves the clock; a batch may hold nothing else."""
    batch = reader().read([None, GOOD, None, CANCEL, None], np.full(5, NOW_MS))
    assert (batch.positions, list(batch.corrections), batch.poison) == ([1], [3], {})
    for read, nothing in product((reader().read, quote_reader().read), ([], [None, None])):
        batch = read(nothing, np.full(len(nothing), NOW_MS))
        assert (batch.positions, batch.corrections, batch.poison, batch.refused) == ([], {}, {}, {})
        for array in (*batch.integers.values(), *batch.floats.values(), batch.on_time):
            assert array.tolist() == []


def test_on_time_means_the_same_millisecond() -> None:
    """Any other record timestamp is taken, but its trade goes the way of a late one."""
    trade = payload(a_trade(1_999))
    batch = reader().read([trade] * 4, np.array([NOW_MS, NOW_MS + 1, NOW_MS + 2, NOW_MS + 60_000]))
    assert batch.on_time.tolist() == [False, True, False, False]
    assert batch.poison == {}


@pytest.mark.parametrize("name", ["trade_id", "source", "symbol"])
def test_what_was_seen_before_excuses_nothing(name: str) -> None:
    """Symbols that were well formed are remembered, for as many batches as come; nothing else is."""
    trades = reader()
    trades.read([GOOD, payload(a_trade(symbol="aapl"))], np.full(2, NOW_MS))
    for _ in range(2):
        batch = trades.read([payload(a_trade(**{name: ""})), GOOD], np.full(2, NOW_MS))
        assert reasons(batch) == {0: "invalid_symbol" if name == "symbol" else "invalid_identity"}
        assert batch.columns["symbol"] == ["AAPL"]
    assert reasons(trades.read([payload(a_trade(symbol="aapl"))], np.full(1, NOW_MS))) == {
        0: "invalid_symbol"
    }


def test_every_field_of_a_correction_comes_through() -> None:
    """By its position among trades, heartbeats and poison; nulls too."""
    corrections = [
        Correction("BTC-USD", START_US + 1, START_US + 2, "ü-c", 2**62, "feed", "ü-1", START_US - 7,
                   "correct", 0.1 + 0.2, 1e-8, "XNAS", ("@", "ü"), False, True, False),
        a_cancel("never seen"),
    ]  # fmt: skip
    bad = a_cancel("t", kind="bust")
    payloads = [GOOD, payload(corrections[0]), None, b"no Avro", payload(a_trade(price=-1.0)), payload(bad),
                payload(corrections[1]), GOOD]  # fmt: skip
    batch = reader().read(payloads, np.full(len(payloads), NOW_MS))
    assert batch.positions == [0, 7]
    assert list(batch.corrections) == [1, 6]
    for correction, fields in zip(corrections, batch.corrections.values(), strict=True):
        assert fields | {"conditions": tuple(fields["conditions"])} == asdict(correction)
    assert reasons(batch) == {3: "not_avro", 4: "invalid_price", 5: "invalid_correction"}
    assert {at: fields["trade_id"] for at, fields in batch.refused.items()} == {4: "t", 5: "t"}
    assert batch.refused[5]["correction_id"] == bad.correction_id


def test_a_batch_may_hold_corrections_only() -> None:
    """Then its columns are empty."""
    batch = reader().read([CANCEL, payload(a_correct("u"))], np.full(2, NOW_MS))
    assert {at: fields["trade_id"] for at, fields in batch.corrections.items()} == {0: "t", 1: "u"}
    assert (batch.positions, batch.columns["symbol"], batch.poison) == ([], [], {})


def test_trades_corrections_and_poison_in_any_order() -> None:
    """What stands where decides nothing about what it is."""
    kinds = {"trade": GOOD, "cancel": CANCEL, "correct": payload(a_correct("t")),
             "bad trade": payload(a_trade(size=-1.0)), "bad cancel": payload(a_cancel("")),
             "junk": b"junk"}  # fmt: skip
    for order in permutations(kinds):
        batch = reader().read([kinds[kind] for kind in order], np.full(len(order), NOW_MS))
        assert [order[at] for at in batch.positions] == ["trade"]
        assert {order[at]: fields["kind"] for at, fields in batch.corrections.items()} == {
            "cancel": "cancel",
            "correct": "correct",
        }
        assert {order[at]: reason for at, reason in reasons(batch).items()} == {
            "bad trade": "invalid_size",
            "bad cancel": "invalid_identity",
            "junk": "not_avro",
        }
        assert {order[at] for at in batch.refused} == {"bad trade", "bad cancel"}


def reason_by_the_rules(event: Event, record_ms: int) -> str | None:
    checks: Mapping[type[Event], Callable[[Mapping[str, Any]], None]] = {
        Trade: check_trade,
        Correction: check_correction,
        Quote: check_quote,
    }
    fields = asdict(event)
    try:
        checks[type(event)](fields)
        check_record_time(fields["event_time"], record_ms)
    except PoisonError as error:
        return error.reason
    return None


def assert_suspects_are_what_the_rules_refuse(read: Any, events: list[Any], record_ms: int = NOW_MS) -> None:
    batch: RecordBatch = read(map(payload, events), np.full(len(events), record_ms))
    rules = {at: why for at, event in enumerate(events) if (why := reason_by_the_rules(event, record_ms))}
    assert reasons(batch) == rules
    assert sorted([*rules, *batch.positions, *batch.corrections]) == list(range(len(events)))


def test_the_vectors_suspect_exactly_what_the_rules_refuse_in_trades() -> None:
    """Just inside and just outside each bound, in every combination of price and size."""
    trades = [a_trade(price=price, size=size) for price, size in product(EDGES, EDGES)]
    trades += [a_trade(skew) for skew in SKEWS]
    trades += [a_trade(sequence=sequence) for sequence in LONGS]
    trades += [replace(a_trade(), event_time=time) for time in LONGS]
    trades += [a_trade(**{name: text}) for name in ("trade_id", "source", "symbol") for text in NAMES]
    assert_suspects_are_what_the_rules_refuse(reader().read, trades)
    for trade in trades:  # alone, without another's failing to draw the rules' attention
        assert_suspects_are_what_the_rules_refuse(reader().read, [trade])
    near_1970 = [replace(a_trade(), event_time=time) for time in (-1, 0)]
    assert_suspects_are_what_the_rules_refuse(reader().read, near_1970, record_ms=0)


def test_the_rules_decide_about_corrections() -> None:
    """Just inside and just outside each bound; a cancel may bring any price and size along."""
    corrections = [a_correct("t", price=price, size=size) for price, size in product(EDGES, EDGES)]
    corrections += [a_cancel("t", price=price, size=price) for price in (*EDGES, None)]
    corrections += [a_cancel("t", skew) for skew in SKEWS]
    corrections += [a_cancel("t", sequence=sequence) for sequence in LONGS]
    corrections += [a_cancel("t", trade_time=time) for time in (*LONGS, None)]
    names = ("correction_id", "trade_id", "source", "symbol")
    corrections += [replace(a_cancel("t"), **{name: text}) for name in names for text in NAMES]  # type: ignore[arg-type]
    assert_suspects_are_what_the_rules_refuse(reader().read, corrections)


def test_every_field_of_a_quote_comes_through() -> None:
    """As columns; a crossed and a locked quote, and one without size, are quotes like any other."""
    quotes = [
        Quote("BTC-USD", START_US + 1, START_US + 2, 0.1 + 0.2, 1e-8, 1e13, 0.0, 2**62, "ü", "XNAS"),
        replace(QUOTE, bid=2.0, ask=1.0),
        replace(QUOTE, bid=1.0, ask=1.0),
    ]
    batch = quote_reader().read([None, *map(payload, quotes)], np.full(4, NOW_MS))
    assert (batch.positions, batch.poison, batch.corrections) == ([1, 2, 3], {}, {})
    assert set(QUOTE_COLUMNS) == set(Quote.__dataclass_fields__)
    for name in QUOTE_COLUMNS:
        assert list(batch.columns[name]) == [getattr(quote, name) for quote in quotes]
    arrays: dict[str, Any] = {**batch.integers, **batch.floats}
    assert set(arrays) == {"event_time", "received_at", "sequence", "bid", "bid_size", "ask", "ask_size"}
    for name, array in arrays.items():
        assert array.tolist() == [getattr(quote, name) for quote in quotes]
    assert batch.on_time.tolist() == [True, True, True]


def test_the_vectors_suspect_exactly_what_the_rules_refuse_in_quotes() -> None:
    """Just inside and just outside each bound, each side and its size by itself and both sides together."""
    sides = ("bid", "ask", "bid_size", "ask_size")
    quotes = [replace(QUOTE, **{side: edge}) for side in sides for edge in EDGES]
    quotes += [replace(QUOTE, bid=bid, ask=ask) for bid, ask in product(EDGES, EDGES)]
    quotes += [replace(QUOTE, event_time=START_US + skew) for skew in SKEWS]
    quotes += [replace(QUOTE, **{name: value}) for name in ("sequence", "event_time") for value in LONGS]
    quotes += [replace(QUOTE, **{name: text}) for name in ("source", "symbol") for text in NAMES]  # type: ignore[arg-type]
    assert_suspects_are_what_the_rules_refuse(quote_reader().read, quotes)
    for quote in quotes:
        assert_suspects_are_what_the_rules_refuse(quote_reader().read, [quote])


def test_a_trade_among_the_quotes_is_poison() -> None:
    """And the other way round; both keep their neighbours."""
    quote = payload(QUOTE)
    batch = quote_reader().read([quote, GOOD, CANCEL, b"", quote], np.full(5, NOW_MS))
    assert reasons(batch) == {1: "wrong_schema", 2: "wrong_schema", 3: "not_avro"}
    assert (batch.positions, batch.refused) == ([0, 4], {})
