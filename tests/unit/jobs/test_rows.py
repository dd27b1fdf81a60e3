"""Events as rows: the tables, keys and values, decoded by the driver's own types."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import pytest

from jobs.domain.bars import VERSIONS_PER_GENERATION
from jobs.sinks.cassandra_writer import Mutation, composite
from jobs.sinks.rows import CandleRows, TradeRows
from schemas.events import Candle, Trade
from schemas.intervals import INTERVALS, MINUTE_US
from schemas.tables import GOLD_TABLES, trade_shard
from tests.unit.jobs.builders import START_US, a_trade
from tests.unit.jobs.fake_cassandra import PROTOCOL, FakeSession, row
from tests.unit.jobs.payloads import milliseconds, payload, reader

TRADE = Trade("BTC-USD", START_US + 61_000_001, START_US + 61_000_002, 0.1 + 0.2, 1e-8, "ü-1", 2**62, "feed",
              "XNAS", ("@", "取"), False, True)  # fmt: skip
CANDLE = Candle("BTC-USD", "1m", START_US, START_US + MINUTE_US, 1.0, 4.0, 0.5, 2.0, 10.0, 20.0, 2.0, 3, True,
                7, ("feed", "sim"))  # fmt: skip


def trade_mutations(*trades: Trade) -> list[Mutation]:
    """The trades as records 100, 101, .. of partition 3, dated like their events."""
    payloads = [payload(trade) for trade in trades]
    record_ms = milliseconds(*(trade.event_time for trade in trades))
    batch = reader().read(payloads, record_ms)
    count = len(trades)
    rows = TradeRows(FakeSession())
    return list(rows.mutations(batch, payloads, [3] * count, list(range(100, 100 + count))))


def written(mutation: Mutation) -> dict[str, dict[str, Any]]:
    """Table -> its row."""
    return {
        insert.statement.column_metadata[0].table_name: row(insert.statement, insert.values)
        for insert in mutation.inserts
    }


def test_a_trade_is_a_row_of_bronze_and_one_of_silver() -> None:
    """In one mutation; every field, the microseconds too."""
    [mutation] = trade_mutations(TRADE)
    key = {
        "minute": datetime(2024, 8, 9, 0, 1),  # noqa: DTZ001 -- as the driver gives it
        "shard": trade_shard("BTC-USD"),
        "symbol": "BTC-USD",
        "event_time": START_US + 61_000_001,
        "sequence": 2**62,
        "source": "feed",
        "trade_id": "ü-1",
    }
    assert written(mutation) == {
        "trades_bronze": key | {"kafka_partition": 3, "kafka_offset": 100, "payload": payload(TRADE)},
        "trades_silver": key
        | {
            "price": 0.1 + 0.2,
            "size": 1e-8,
            "exchange": "XNAS",
            "conditions": ["@", "取"],
            "updates_open_close": False,
            "updates_high_low": False,
            "updates_volume": True,
            "received_at": START_US + 61_000_002,
        },
    }


def test_each_trade_of_a_batch_has_its_own_values() -> None:
    """Columns are cut by position: after poison and heartbeats nothing may shift."""
    trades = [a_trade(at, price=1.0 + at, sequence=at, trade_id=str(at)) for at in range(5)]
    rows = []
    payloads = [payload(trades[0]), None, payload(trades[1]), b"poison", *map(payload, trades[2:])]
    batch = reader().read(payloads, np.full(len(payloads), START_US // 1000))
    for mutation in TradeRows(FakeSession()).mutations(batch, payloads, range(7), range(50, 57)):
        rows.append(written(mutation))
    found = [
        (r["trades_silver"]["trade_id"], r["trades_silver"]["price"], r["trades_bronze"]["kafka_partition"],
         r["trades_bronze"]["kafka_offset"], r["trades_bronze"]["payload"])
        for r in rows
    ]  # fmt: skip
    positions = [0, 2, 4, 5, 6]
    assert found == [
        (str(at), 1.0 + at, position, 50 + position, payload(trades[at]))
        for at, position in enumerate(positions)
    ]


def test_symbols_of_one_shard_share_a_partition_and_differ_in_their_key() -> None:
    """That is what makes batches large."""
    names = [f"S{number}" for number in range(100)]
    same = [name for name in names if trade_shard(name) == trade_shard("S0")][:2]
    mutations = trade_mutations(*(a_trade(symbol=name) for name in same))
    one, other = mutations
    assert one.partition == other.partition
    assert one.key != other.key


def test_a_refused_trade_with_an_identity_is_kept_in_bronze_only() -> None:
    """As received."""
    refused = a_trade(price=-1.0, symbol="aapl")
    [mutation] = trade_mutations(refused)
    rows = written(mutation)
    assert list(rows) == ["trades_bronze"]
    assert rows["trades_bronze"]["payload"] == payload(refused)
    assert rows["trades_bronze"]["symbol"] == "aapl"
    assert mutation.key == trade_mutations(a_trade(symbol="aapl"))[0].key


@pytest.mark.parametrize("wrong", ["", "A" * 70_000])
@pytest.mark.parametrize("name", ["symbol", "source", "trade_id"])
def test_a_refused_trade_without_a_key_has_no_row(name: str, wrong: str) -> None:
    """Cassandra takes no empty and no long keys; it is in the dead letters, payload and all."""
    assert trade_mutations(a_trade(**{name: wrong})) == []


def test_a_candle_is_a_row_of_its_intervals_table() -> None:
    """Written with a timestamp that grows with the version."""
    _, mutation = CandleRows(FakeSession()).mutations([CANDLE])
    assert written(mutation) == {
        "trades_gold_1m": {
            "symbol": "BTC-USD", "bucket": "2024-08", "start": datetime(2024, 8, 9),  # noqa: DTZ001
            "end": datetime(2024, 8, 9, 0, 1), "open": 1.0, "high": 4.0, "low": 0.5, "close": 2.0,  # noqa: DTZ001
            "volume": 10.0, "notional": 20.0, "vwap": 2.0, "trades": 3, "final": True, "version": 7,
            "sources": ["feed", "sim"], "[timestamp]": START_US + 7,
        }
    }  # fmt: skip


def test_a_bar_without_prices_has_nulls() -> None:
    """Every column is written, so that nothing of an older version shows through."""
    bare = replace(CANDLE, open=None, high=None, low=None, close=None, vwap=None, volume=0.0)
    _, mutation = CandleRows(FakeSession()).mutations([bare])
    bar = written(mutation)["trades_gold_1m"]
    assert [bar[name] for name in ("open", "high", "low", "close", "vwap")] == [None] * 5
    assert (bar["volume"], bar["trades"]) == (0.0, 3)


def test_each_interval_has_its_table_and_each_bar_its_key() -> None:
    """1m, 5m and 15m share a partition; the interval keeps their rows apart within it."""
    candles = [replace(CANDLE, interval=interval) for interval in INTERVALS]
    _, *mutations = CandleRows(FakeSession()).mutations(candles)
    assert [next(iter(written(mutation))) for mutation in mutations] == list(GOLD_TABLES.values())
    assert len({(mutation.partition, mutation.key) for mutation in mutations}) == len(INTERVALS)


def test_the_greatest_version_of_the_last_generation_fits() -> None:
    """A write's timestamp is a signed 64-bit number."""
    far = replace(CANDLE, version=2**29 * VERSIONS_PER_GENERATION + 2**33 - 1)
    _, mutation = CandleRows(FakeSession()).mutations([far])
    assert written(mutation)["trades_gold_1m"]["[timestamp]"] == far.start + far.version


def test_a_symbol_is_listed_once() -> None:
    """Not again with each of its candles."""
    rows = CandleRows(FakeSession())
    first = [written(mutation) for mutation in rows.mutations([CANDLE, CANDLE])]
    assert [list(tables) for tables in first] == [["symbols"], ["trades_gold_1m"], ["trades_gold_1m"]]
    assert first[0]["symbols"] == {"part": 0, "symbol": "BTC-USD"}
    assert [list(written(m)) for m in rows.mutations([CANDLE])] == [["trades_gold_1m"]]


def test_the_routing_key_is_the_drivers_own() -> None:
    """By it a batch finds the replicas; of one column and of several."""
    [trade] = trade_mutations(TRADE)
    for mutation in (trade, *CandleRows(FakeSession()).mutations([CANDLE])):
        for insert in mutation.inserts:
            columns = insert.statement.column_metadata
            values = [
                None if value is None else column.type.from_binary(value, PROTOCOL)
                for column, value in zip(columns, insert.values, strict=True)
            ]
            bound = insert.statement.bind(values)
            assert composite(mutation.partition) == bound.routing_key
            assert list(insert.values) == bound.values
