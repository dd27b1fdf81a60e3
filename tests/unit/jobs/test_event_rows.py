"""Candles, alerts and gaps as rows: the tables, keys and values, decoded by the driver's own types."""

from dataclasses import replace
from datetime import datetime
from itertools import permutations
from typing import Any

from cassandra.util import Date

from jobs.domain.bars import VERSIONS_PER_GENERATION
from jobs.sinks.event_rows import AlertRows, CandleRows, GapRows
from schemas.events import Alert, Candle, Gap
from schemas.intervals import INTERVALS, MINUTE_US
from schemas.tables import GOLD_TABLES
from tests.unit.jobs.builders import DAY_US, START_US
from tests.unit.jobs.row_reading import same_bytes, stored, table_and_row, tables, written

DAY, MINUTE = datetime(2024, 8, 9), datetime(2024, 8, 9, 0, 1)  # noqa: DTZ001 -- as the driver gives them
CANDLE = Candle("BTC-USD", "1m", START_US, START_US + MINUTE_US, 1.0, 4.0, 0.5, 2.0, 10.0, 20.0, 2.0, 3, True,
                7, ("feed", "sim"), 2, START_US + 61_000_001, 0.875,
                {"sma_20": 1.5, "ema_9": 0.1 + 0.2, "ü": -1.0}, 0.75)  # fmt: skip
ALERT = Alert("price_spike:BTC-USD:1", 3, "BTC-USD", "price_spike", "critical", "raised",
              START_US + 61_000_001, START_US + 61_000_002, 7.5, 5.0, "7.5 % up within 60 s: 取", "1m",
              START_US + MINUTE_US, 2**40)  # fmt: skip

GAP = Gap("silence:BTC-USD:coinbase:1", "BTC-USD", "coinbase", START_US + 1, START_US + 30_000_001, True,
          "silence", "no trade for 30 s: 取", START_US + 30_000_002)  # fmt: skip


def test_a_candle_is_a_row_of_gold_and_one_of_the_versions() -> None:
    """Every field in both; gold is written with a timestamp that grows with the version, the version with one
    that falls with the time at which it was made."""
    _, gold, version = CandleRows().rows([CANDLE])
    values = {
        "symbol": "BTC-USD", "start": DAY, "end": MINUTE, "open": 1.0, "high": 4.0, "low": 0.5, "close": 2.0,
        "volume": 10.0, "notional": 20.0, "vwap": 2.0, "trades": 3, "final": True, "version": 7,
        "sources": ["feed", "sim"], "late_trades": 2, "updated_at": START_US + 61_000_001, "quality": 0.875,
        "observed": 0.75, "indicators": {"sma_20": 1.5, "ema_9": 0.1 + 0.2, "ü": -1.0},
    }  # fmt: skip
    assert written(gold) == {"trades_gold_1m": values | {"bucket": "2024-08", "[timestamp]": START_US + 7}}
    assert written(version) == {
        "candle_versions": values
        | {"interval": "1m", "day": Date("2024-08-09"), "[timestamp]": START_US - 61_000_001}
    }


def test_a_bar_without_prices_has_nulls() -> None:
    """Every column is written, so that nothing of an older version shows through."""
    bare = replace(CANDLE, open=None, high=None, low=None, close=None, vwap=None, volume=0.0, indicators={})
    _, *rows = CandleRows().rows([bare])
    for row in rows:
        [bar] = written(row).values()
        assert [bar[name] for name in ("open", "high", "low", "close", "vwap")] == [None] * 5
        assert (bar["volume"], bar["trades"], bar["indicators"]) == (0.0, 3, {})


def test_each_interval_has_its_table_and_each_bar_its_key() -> None:
    """All versions are in one, where the interval keeps them apart."""
    candles = [replace(CANDLE, interval=interval) for interval in INTERVALS]
    _, *rows = CandleRows().rows(candles)
    found = list(map(table_and_row, rows))
    assert [table for table, _ in found[::2]] == list(GOLD_TABLES.values())
    assert [table for table, _ in found[1::2]] == ["candle_versions"] * len(INTERVALS)
    keys = {(table, *(row[name] for name in tables()[table].key)) for table, row in found}
    assert len(keys) == 2 * len(INTERVALS)


def test_the_day_of_a_version_is_that_of_its_bars_start() -> None:
    """In UTC, up to its last minute."""
    for start, day in ((START_US - MINUTE_US, "2024-08-08"), (START_US + DAY_US - MINUTE_US, "2024-08-09")):
        *_, version = CandleRows().rows([replace(CANDLE, start=start)])
        assert written(version)["candle_versions"]["day"] == Date(day)


def test_the_greatest_version_of_the_last_generation_fits() -> None:
    """A write's timestamp is a signed 64-bit number."""
    far = replace(CANDLE, version=2**29 * VERSIONS_PER_GENERATION + 2**33 - 1)
    _, gold, version = CandleRows().rows([far])
    assert written(gold)["trades_gold_1m"]["[timestamp]"] == far.start + far.version
    assert written(version)["candle_versions"]["version"] == far.version


def test_a_symbol_is_listed_once() -> None:
    """Not again with each of its candles."""
    rows = CandleRows()
    bar = ["trades_gold_1m", "candle_versions"]
    first = list(map(table_and_row, rows.rows([CANDLE, CANDLE])))
    assert [table for table, _ in first] == ["symbols", *bar, *bar]
    assert first[0][1] == {"part": 0, "symbol": "BTC-USD"}
    assert [table for table, _ in map(table_and_row, rows.rows([CANDLE]))] == bar


def test_of_one_batch_gold_has_the_greatest_version_and_the_versions_have_all() -> None:
    """Whatever their order."""
    versions = [replace(CANDLE, version=5), CANDLE, replace(CANDLE, version=9), replace(CANDLE, version=8)]
    for order in permutations(versions):
        _, *candles = CandleRows().rows(order)
        rows = stored(candles)
        assert [row["version"] for table, row in rows if table == "trades_gold_1m"] == [9]
        assert {row["version"] for table, row in rows if table == "candle_versions"} == {5, 7, 8, 9}


def test_an_alert_is_a_row_by_symbol_and_one_by_day() -> None:
    """Every field in both, written with a timestamp that grows with the revision."""
    by_symbol, by_day = AlertRows().rows([ALERT])
    values: dict[str, Any] = {
        "symbol": "BTC-USD", "event_time": START_US + 61_000_001, "alert_id": "price_spike:BTC-USD:1",
        "revision": 3, "type": "price_spike", "severity": "critical", "status": "raised",
        "updated_at": START_US + 61_000_002, "interval": "1m", "bar_start": MINUTE, "bar_version": 2**40,
        "value": 7.5, "threshold": 5.0, "message": "7.5 % up within 60 s: 取",
        "[timestamp]": START_US + 61_000_001 + 3,
    }  # fmt: skip
    assert written(by_symbol) == {"alerts_by_symbol": values | {"bucket": "2024-08"}}
    assert written(by_day) == {"alerts_by_day": values | {"day": Date("2024-08-09")}}


def test_an_alert_without_a_bar_has_nulls() -> None:
    """A stale feed is seen on none."""
    alert = replace(ALERT, symbol="*", interval=None, bar_start=None, bar_version=None)
    for _, row in map(table_and_row, AlertRows().rows([alert])):
        assert [row[name] for name in ("interval", "bar_start", "bar_version")] == [None] * 3
        assert row["symbol"] == "*"


def test_of_one_batch_the_greatest_revision_of_an_alert_is_written() -> None:
    """Whatever their order: a revision that comes again after a failure takes nothing back."""
    revisions = [replace(ALERT, revision=revision) for revision in (0, 1, 2)]
    other = replace(ALERT, alert_id="other", revision=1)
    for order in permutations([*revisions, other]):
        rows = stored(AlertRows().rows(order))
        for table in ("alerts_by_symbol", "alerts_by_day"):
            found = {row["alert_id"]: row["revision"] for name, row in rows if name == table}
            assert found == {ALERT.alert_id: 2, "other": 1}
        assert len(rows) == 4


def test_a_gap_is_a_row_of_its_symbols_month() -> None:
    """Every field, written with a timestamp that grows with the gap and once more when it is closed."""
    [gap] = GapRows().rows([GAP])
    assert written(gap) == {
        "gaps": {
            "symbol": "BTC-USD", "bucket": "2024-08", "start": START_US + 1,
            "gap_id": "silence:BTC-USD:coinbase:1", "end": START_US + 30_000_001, "closed": True,
            "source": "coinbase", "reason": "silence", "detail": "no trade for 30 s: 取",
            "updated_at": START_US + 30_000_002, "filled": False, "[timestamp]": START_US + 30_000_002,
        }
    }  # fmt: skip


def test_of_one_batch_the_longest_record_of_a_gap_is_written() -> None:
    """Whatever their order; of two with the same end the closed one, and of those the one that is filled."""
    filled = replace(GAP, filled=True)
    records = [replace(GAP, end=START_US + 9, closed=False), replace(GAP, closed=False), GAP, filled]
    for order in permutations(records):
        rows = [(row["end"], row["closed"], row["filled"]) for _, row in stored(GapRows().rows(order))]
        assert rows == [(GAP.end, True, True)]


def test_values_are_the_drivers_own() -> None:
    """To the byte."""
    bare = replace(CANDLE, interval="1d", open=None, indicators={}, sources=())
    same_bytes(CandleRows().rows([CANDLE, bare]))
    same_bytes(AlertRows().rows([ALERT, replace(ALERT, interval=None, bar_start=None)]))
    same_bytes(GapRows().rows([GAP]))
