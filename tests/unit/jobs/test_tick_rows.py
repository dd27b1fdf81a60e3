"""Trades, corrections and quotes as rows: the tables, keys and values, decoded by the driver's own types."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from itertools import permutations
from typing import Any

import numpy as np
import pytest

from jobs.sinks.tick_rows import QuoteRows, TradeRows
from schemas.events import Correction, Quote, Trade
from schemas.record_batch import RecordBatch
from schemas.tables import trade_shard
from tests.unit.jobs.builders import START_US, a_cancel, a_correct, a_trade
from tests.unit.jobs.payloads import milliseconds, payload, quote_reader, reader
from tests.unit.jobs.row_reading import same_bytes, table_and_row, tables, written

NOW_MS = START_US // 1000
MINUTE = datetime(2024, 8, 9, 0, 1)  # noqa: DTZ001 -- as the driver gives it
TRADE = Trade("BTC-USD", START_US + 61_000_001, START_US + 61_000_002, 0.1 + 0.2, 1e-8, "ü-1", 2**62, "feed",
              "XNAS", ("@", "取"), False, True, False, True)  # fmt: skip
CORRECTION = Correction("BTC-USD", START_US + 61_000_003, START_US + 61_000_004, "ü-c", 2**61, "feed", "ü-1",
                        START_US - 5, "correct", 0.1 + 0.2, 1e-8, "XNAS", ("@", "取"), False, True,
                        False)  # fmt: skip
QUOTE = Quote("BTC-USD", START_US + 61_000_001, START_US + 61_000_002, 99.5, 0.1 + 0.2, 100.25, 1e-8, 2**62,
              "feed", "XNAS")  # fmt: skip


def trade_rows(*events: Trade | Correction) -> list[bytes]:
    """The events as records 100, 101, .. of partition 3, dated like their events."""
    payloads = [payload(event) for event in events]
    batch = reader().read(payloads, milliseconds(*(event.event_time for event in events)))
    count = len(events)
    rows = TradeRows()
    return list(rows.rows(batch, payloads, [3] * count, list(range(100, 100 + count))))


def test_a_trade_is_a_row_of_bronze_and_one_of_silver() -> None:
    """Every field, the microseconds too."""
    rows = trade_rows(TRADE)
    key = {
        "minute": MINUTE,
        "shard": trade_shard("BTC-USD"),
        "symbol": "BTC-USD",
        "event_time": START_US + 61_000_001,
        "sequence": 2**62,
        "source": "feed",
        "trade_id": "ü-1",
    }
    assert written(*rows) == {
        "trades_bronze": key | {"kafka_partition": 3, "kafka_offset": 100, "payload": payload(TRADE)},
        "trades_silver": key
        | {
            "price": 0.1 + 0.2,
            "size": 1e-8,
            "exchange": "XNAS",
            "conditions": ["@", "取"],
            "updates_open_close": False,
            "updates_high_low": True,
            "updates_volume": False,
            "correctable": True,
            "received_at": START_US + 61_000_002,
        },
    }


@pytest.mark.parametrize("name", ["updates_open_close", "updates_high_low", "updates_volume", "correctable"])
def test_each_flag_has_its_own_column(name: str) -> None:
    """None stands for another."""
    flags = dict.fromkeys(("updates_open_close", "updates_high_low", "updates_volume", "correctable"), False)
    silver = written(*trade_rows(a_trade(**flags | {name: True})))["trades_silver"]
    assert {flag for flag in flags if silver[flag]} == {name}


def test_a_correction_is_a_row_of_bronze_and_one_of_its_own_table() -> None:
    """Under its own id, in the minute of its own time; silver keeps the trade as it was first reported."""
    rows = trade_rows(CORRECTION)
    key = {
        "minute": MINUTE,
        "shard": trade_shard("BTC-USD"),
        "symbol": "BTC-USD",
        "event_time": START_US + 61_000_003,
        "sequence": 2**61,
        "source": "feed",
    }
    assert written(*rows) == {
        "trades_bronze": key
        | {"trade_id": "ü-c", "kafka_partition": 3, "kafka_offset": 100, "payload": payload(CORRECTION)},
        "trade_corrections": key
        | {
            "correction_id": "ü-c",
            "trade_id": "ü-1",
            "trade_time": START_US - 5,
            "kind": "correct",
            "price": 0.1 + 0.2,
            "size": 1e-8,
            "exchange": "XNAS",
            "conditions": ["@", "取"],
            "updates_open_close": False,
            "updates_high_low": True,
            "updates_volume": False,
            "received_at": START_US + 61_000_004,
        },
    }


def test_a_cancel_has_nulls_where_it_says_nothing() -> None:
    """Every column is written all the same."""
    row = written(*trade_rows(a_cancel("t")))["trade_corrections"]
    assert [row[name] for name in ("price", "size", "trade_time")] == [None] * 3
    assert (row["kind"], row["trade_id"], row["conditions"]) == ("cancel", "t", [])


def test_each_event_of_a_batch_has_its_own_values() -> None:
    """Columns are cut by position: among corrections, poison and heartbeats nothing may shift."""
    trades = [a_trade(at, price=1.0 + at, sequence=at, trade_id=str(at)) for at in range(4)]
    cancels = [a_cancel(str(at), at, correction_id=f"c{at}") for at in range(2)]
    bad_trade, bad_cancel = a_trade(price=-1.0, trade_id="bad"), a_cancel("", correction_id="worse")
    events = [trades[0], None, cancels[0], trades[1], b"poison", bad_trade, trades[2], bad_cancel, cancels[1],
              trades[3]]  # fmt: skip
    payloads: Any = [payload(e) if isinstance(e, Trade | Correction) else e for e in events]
    batch = reader().read(payloads, np.full(len(payloads), NOW_MS))
    rows = list(map(table_and_row, TradeRows().rows(batch, payloads, range(10), range(50, 60))))
    bronze = {row["trade_id"]: row for table, row in rows if table == "trades_bronze"}
    positions = {"0": 0, "c0": 2, "1": 3, "bad": 5, "2": 6, "worse": 7, "c1": 8, "3": 9}
    assert {
        event_id: (row["kafka_partition"], row["kafka_offset"], row["payload"])
        for event_id, row in bronze.items()
    } == {event_id: (at, 50 + at, payloads[at]) for event_id, at in positions.items()}
    silver = [row for table, row in rows if table == "trades_silver"]
    assert [(row["trade_id"], row["price"], row["event_time"], row["sequence"]) for row in silver] == [
        (str(at), 1.0 + at, START_US + at, at) for at in range(4)
    ]
    corrections = [row for table, row in rows if table == "trade_corrections"]
    assert [(row["correction_id"], row["trade_id"], row["event_time"]) for row in corrections] == [
        ("c0", "0", START_US),
        ("c1", "1", START_US + 1),
    ]
    assert len(rows) == len(positions) + len(silver) + len(corrections)


def test_symbols_of_one_shard_share_a_partition_and_differ_in_their_key() -> None:
    """That is what makes batches large; corrections and quotes go by the same rule."""
    names = [f"S{number}" for number in range(100)]
    same = [name for name in names if trade_shard(name) == trade_shard("S0")][:2]
    ticks = [a_trade(symbol=name) for name in same]
    trades = list(map(table_and_row, trade_rows(*ticks, a_cancel("t", symbol=same[0]))))
    quotes = list(map(table_and_row, quote_rows(*(replace(QUOTE, symbol=name) for name in same))))
    minute = [row for table, row in quotes if table == "quotes"]
    for rows in ([row for _, row in trades], minute):
        assert len({(row["minute"], row["shard"]) for row in rows}) == 1
    keys = {(table, *(row[name] for name in tables()[table].key)) for table, row in trades + quotes}
    assert len(keys) == len(trades) + len(quotes)


def test_a_refused_trade_with_an_identity_is_kept_in_bronze_only() -> None:
    """As received."""
    refused = a_trade(price=-1.0, symbol="aapl")
    rows = written(*trade_rows(refused))
    assert list(rows) == ["trades_bronze"]
    assert rows["trades_bronze"]["payload"] == payload(refused)
    assert (rows["trades_bronze"]["symbol"], rows["trades_bronze"]["trade_id"]) == ("aapl", refused.trade_id)


@pytest.mark.parametrize(
    "refused",
    [
        a_cancel("", correction_id="c"),
        a_cancel("t" * 70_000, correction_id="c"),
        a_cancel("t", correction_id="c", kind="bust"),
        a_correct("t", correction_id="c", price=-1.0),
        a_correct("t", correction_id="c", size=None),  # type: ignore[arg-type]
        a_cancel("t", correction_id="c", sequence=-1),
        a_cancel("t", correction_id="c", symbol="aapl"),
    ],
)
def test_a_refused_correction_with_an_identity_is_kept_in_bronze_only(refused: Correction) -> None:
    """Under its own id, whatever is wrong with the rest of it."""
    rows = written(*trade_rows(refused))
    assert list(rows) == ["trades_bronze"]
    assert (rows["trades_bronze"]["trade_id"], rows["trades_bronze"]["payload"]) == ("c", payload(refused))


@pytest.mark.parametrize("wrong", ["", "A" * 70_000])
@pytest.mark.parametrize("name", ["symbol", "source", "trade_id", "correction_id"])
def test_a_refused_event_without_a_key_has_no_row(name: str, wrong: str) -> None:
    """Cassandra takes no empty and no long keys; it is in the dead letters, payload and all."""
    event = replace(a_cancel("t") if name == "correction_id" else a_trade(), **{name: wrong})  # type: ignore[arg-type]
    assert trade_rows(event) == []


def quote_rows(*quotes: Quote) -> list[bytes]:
    return list(QuoteRows().rows(quote_batch(quotes)))


def quote_batch(quotes: Iterable[Quote]) -> RecordBatch:
    kept = list(quotes)
    return quote_reader().read(map(payload, kept), milliseconds(*(quote.event_time for quote in kept)))


def test_a_quote_is_a_row_of_its_own_and_one_of_the_latest() -> None:
    """Mid and spread are there to be read; the latest is dated so that no older one overwrites it."""
    quote, latest = quote_rows(QUOTE)
    values = {
        "symbol": "BTC-USD", "event_time": START_US + 61_000_001, "sequence": 2**62, "source": "feed",
        "bid": 99.5, "bid_size": 0.1 + 0.2, "ask": 100.25, "ask_size": 1e-8, "mid": 99.875, "spread": 0.75,
        "exchange": "XNAS", "received_at": START_US + 61_000_002,
    }  # fmt: skip
    assert written(quote) == {"quotes": values | {"minute": MINUTE, "shard": trade_shard("BTC-USD")}}
    assert written(latest) == {
        "latest_quotes": values | {"part": 0, "[timestamp]": (START_US + 61_000_001) * 1024 + 2**62 % 1024}
    }


def test_a_crossed_quote_has_a_negative_spread() -> None:
    """And a mid all the same."""
    row = written(quote_rows(replace(QUOTE, bid=101.0, ask=100.0))[0])["quotes"]
    assert (row["mid"], row["spread"]) == (100.5, -1.0)


def test_each_quote_of_a_batch_has_its_own_values() -> None:
    """Among heartbeats and poison nothing may shift."""
    quotes = [replace(QUOTE, event_time=START_US + at, sequence=at, bid=1.0 + at, ask_size=2.0 * at)
              for at in range(4)]  # fmt: skip
    bad = payload(replace(QUOTE, bid=-1.0))
    payloads = [None, payload(quotes[0]), b"poison", payload(quotes[1]), bad, *map(payload, quotes[2:])]
    batch = quote_reader().read(payloads, np.full(len(payloads), NOW_MS))
    *rows, latest = [written(row) for row in QuoteRows().rows(batch)]
    names = ("event_time", "sequence", "bid", "ask_size")
    found = [tuple(row["quotes"][name] for name in names) for row in rows]
    assert found == [tuple(getattr(quote, name) for name in names) for quote in quotes]
    assert tuple(latest["latest_quotes"][name] for name in names) == found[3]


def test_of_a_batch_the_latest_quote_of_each_symbol_is_written() -> None:
    """By (event time, sequence), whatever the order in the batch; of one that came twice the later."""
    early, late = (replace(QUOTE, event_time=START_US + at, sequence=5) for at in (1, 2))
    later = replace(late, sequence=6)
    other = replace(QUOTE, symbol="AAPL", event_time=START_US)
    for order in permutations([early, late, later, other]):
        rows = [written(row) for row in quote_rows(*order)]
        latest = {
            row["latest_quotes"]["symbol"]: row["latest_quotes"] for row in rows if "latest_quotes" in row
        }
        assert {symbol: (row["event_time"], row["sequence"]) for symbol, row in latest.items()} == {
            "BTC-USD": (START_US + 2, 6),
            "AAPL": (START_US, 2**62),
        }
    again = [written(row) for row in quote_rows(replace(later, bid=1.0), replace(later, bid=2.0))]
    assert again[-1]["latest_quotes"]["bid"] == 2.0


def write_time(event_time: int, sequence: int) -> int:
    record_ms = np.array([event_time // 1000])
    batch = quote_reader().read(
        [payload(replace(QUOTE, event_time=event_time, sequence=sequence))], record_ms
    )
    *_, latest = QuoteRows().rows(batch)
    return int(written(latest)["latest_quotes"]["[timestamp]"])


def test_the_latest_is_dated_by_time_and_within_a_microsecond_by_sequence() -> None:
    """Two writes of one timestamp would leave a row mixed of both."""
    order = [(START_US - 1, 2**63 - 1), (START_US, 0), (START_US, 1), (START_US, 1023), (START_US + 1, 0)]
    times = [write_time(*each) for each in order]
    assert times == sorted(set(times))
    assert len({write_time(START_US, sequence) for sequence in range(7, 7 + 1024)}) == 1024


def test_the_date_of_the_latest_fits_until_the_year_2255() -> None:
    """And is bounded beyond: a timestamp that no statement can hold would stop the job for good."""
    assert write_time(2**53 - 1, 1023) == 2**63 - 1
    assert write_time(253_402_300_800_000_000, 0) == 2**63 - 1


def test_values_are_the_drivers_own() -> None:
    """To the byte."""
    same_bytes([*trade_rows(TRADE, CORRECTION, a_cancel("t")), *quote_rows(QUOTE)])


def test_nothing_is_no_rows() -> None:
    """A batch of heartbeats, or of poison without an identity."""
    assert trade_rows() == []
    assert quote_rows() == []
