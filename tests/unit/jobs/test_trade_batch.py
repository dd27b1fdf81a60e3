"""Batches of payloads: what is a trade, what is refused and why, and where each of them stood."""

from dataclasses import replace
from itertools import product
from math import inf, nan, nextafter

import numpy as np
import pytest

from jobs.domain.trade_batch import COLUMNS
from schemas.errors import PoisonError
from schemas.events import Quote, Trade
from schemas.validation import MAX_AMOUNT, MAX_TIME_SKEW_US, check_record_time, check_trade
from tests.unit.jobs.builders import DAY_US, START_US, a_trade
from tests.unit.jobs.payloads import (
    TRADE_ID,
    UNKNOWN_ID,
    milliseconds,
    payload,
    reader,
    without_symbol,
)

GOOD = payload(a_trade())
NOW_MS = START_US // 1000

POISON = {
    "not_avro": [
        b"",
        b"\0",
        b"no Avro at all",
        b"\0\0\0\0" + bytes([TRADE_ID]),
        GOOD[:-1],
        GOOD + b"\0",
        GOOD.replace(b"AAPL", b"\xff\xfe\xfd\xfc"),
    ],
    "unknown_schema": [b"\0\0\0\0" + bytes([UNKNOWN_ID]) + GOOD[5:]],
    "wrong_schema": [payload(Quote("AAPL", START_US, START_US, 1.0, 1.0, 1.5, 1.0, 0, "sim"))],
    "invalid_symbol": [
        payload(a_trade(symbol=symbol)) for symbol in ("", "aapl", " AAPL", "AAPL\n", "A" * 33, "A" * 70_000)
    ]
    + [without_symbol(a_trade())],
    "invalid_identity": [
        payload(a_trade(trade_id="")),
        payload(a_trade(source="")),
        payload(a_trade(sequence=-1)),
        payload(a_trade(trade_id="x" * 257)),
        payload(a_trade(source="x" * 70_000)),
    ],
    "invalid_price": [payload(a_trade(price=price)) for price in (nan, inf, -inf, 0.0, -1.0, 1.1e13)],
    "invalid_size": [payload(a_trade(size=size)) for size in (nan, inf, -1e-9, 1.1e13, 1.1e11)],
    "implausible_time": [payload(a_trade(at)) for at in (-START_US, DAY_US, -DAY_US, -START_US - 1)],
}


@pytest.mark.parametrize(
    ("reason", "poison"), [(reason, poison) for reason, kinds in POISON.items() for poison in kinds]
)
def test_poison_is_refused_with_its_reason_and_its_neighbours_are_not(reason: str, poison: bytes) -> None:
    """The good trades before and after it keep their positions."""
    batch = reader().read([GOOD, poison, GOOD], np.full(3, NOW_MS))
    assert {position: error.reason for position, error in batch.poison.items()} == {1: reason}
    assert batch.positions == [0, 2]
    assert batch.columns["trade_id"] == ("t", "t")
    assert batch.price.tolist() == [100.0, 100.0]


def test_all_poison_at_once() -> None:
    """Each keeps the reason that it has alone; what could be decoded is there with its fields."""
    poison = [(reason, kind) for reason, kinds in POISON.items() for kind in kinds]
    batch = reader().read([kind for _, kind in poison], np.full(len(poison), NOW_MS))
    assert [batch.poison[position].reason for position in range(len(poison))] == [r for r, _ in poison]
    assert batch.positions == []
    decoded = {position for position, fields in batch.refused.items() if set(fields) >= set(COLUMNS)}
    undecodable = ("not_avro", "unknown_schema", "wrong_schema")
    expected = {
        position
        for position, (reason, kind) in enumerate(poison)
        if reason not in undecodable and kind != without_symbol(a_trade())
    }
    assert decoded == set(batch.refused) == expected


def test_every_field_comes_through() -> None:
    """As columns, text in any script, times to the microsecond."""
    trades = [
        Trade("BTC-USD", START_US + 1, START_US + 2, 0.1 + 0.2, 1e-8, "ü-1", 2**62, "binance", "XNAS",
              ("@", "ü", ""), False, True),
        Trade("^GSPC", START_US + 3, START_US + 4, 1e13, 0.0, "2", 0, "feed", "", (), True, False),
    ]  # fmt: skip
    batch = reader().read(map(payload, trades), milliseconds(*(t.event_time for t in trades)))
    for name in COLUMNS:
        expected = [getattr(trade, name) for trade in trades]
        assert [tuple(value) if name == "conditions" else value for value in batch.columns[name]] == expected
    for name in ("event_time", "sequence", "price", "size"):
        assert getattr(batch, name).tolist() == [getattr(trade, name) for trade in trades]


def test_heartbeats_are_passed_over() -> None:
    """A null value only moves the clock; a batch may hold nothing else."""
    batch = reader().read([None, GOOD, None], np.full(3, NOW_MS))
    assert (batch.positions, batch.poison) == ([1], {})
    for nothing in ([], [None, None]):
        batch = reader().read(nothing, np.full(len(nothing), NOW_MS))
        assert (batch.positions, batch.poison, batch.refused) == ([], {}, {})
        assert (batch.price.tolist(), batch.on_time.tolist()) == ([], [])


def test_on_time_means_the_same_millisecond() -> None:
    """Any other record timestamp is taken, but its trade goes the way of a late one."""
    trade = payload(a_trade(1_999))
    batch = reader().read([trade] * 4, np.array([NOW_MS, NOW_MS + 1, NOW_MS + 2, NOW_MS + 60_000]))
    assert batch.on_time.tolist() == [False, True, False, False]
    assert batch.poison == {}


def test_a_known_symbol_excuses_nothing() -> None:
    """Symbols that were seen to be well formed are remembered; the rest of the identity is not."""
    trades = reader()
    trades.read([GOOD], np.full(1, NOW_MS))
    batch = trades.read([payload(a_trade(trade_id="")), GOOD], np.full(2, NOW_MS))
    assert {position: error.reason for position, error in batch.poison.items()} == {0: "invalid_identity"}


def reason_by_the_rules(trade: Trade, record_ms: int) -> str | None:
    fields = {name: getattr(trade, name) for name in COLUMNS}
    try:
        check_trade(fields)
        check_record_time(trade.event_time, record_ms)
    except PoisonError as error:
        return error.reason
    return None


def test_the_vectors_suspect_exactly_what_the_rules_refuse() -> None:
    """Just inside and just outside each bound, in every combination of price and size."""
    edges = [0.0, -0.0, 5e-324, -5e-324, 1.0, 1e6, 1e7, nextafter(1e7, inf), MAX_AMOUNT,
             nextafter(MAX_AMOUNT, inf), inf, -inf, nan]  # fmt: skip
    skews = [-MAX_TIME_SKEW_US - 1, -MAX_TIME_SKEW_US, 0, MAX_TIME_SKEW_US, MAX_TIME_SKEW_US + 1]
    trades = [a_trade(price=price, size=size) for price, size in product(edges, edges)]
    trades += [a_trade(skew) for skew in skews]
    trades += [a_trade(sequence=sequence) for sequence in (-(2**63), -1, 0, 2**63 - 1)]
    trades += [replace(a_trade(), event_time=time) for time in (-(2**63), -1, 0, 2**63 - 1)]
    names = ["", "x", "x" * 256, "x" * 257]
    trades += [a_trade(**{name: text}) for name in ("trade_id", "source", "symbol") for text in names]
    record_ms = np.full(len(trades), NOW_MS)
    batch = reader().read(map(payload, trades), record_ms)
    found = {position: error.reason for position, error in batch.poison.items()}
    rules = {at: reason for at, trade in enumerate(trades) if (reason := reason_by_the_rules(trade, NOW_MS))}
    assert found == rules
    assert sorted([*found, *batch.positions]) == list(range(len(trades)))
    near_1970 = reader().read(
        [payload(replace(a_trade(), event_time=time)) for time in (-1, 0)], np.zeros(2, int)
    )
    assert {at: error.reason for at, error in near_1970.poison.items()} == {0: "implausible_time"}
