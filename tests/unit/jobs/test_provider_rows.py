"""Bars of providers as rows: the tables, keys and values, decoded by the driver's own types."""

from dataclasses import replace
from datetime import datetime
from itertools import permutations

from jobs.sinks.provider_rows import ProviderBarRows
from schemas.events import ProviderBar
from schemas.intervals import MINUTE_US
from tests.unit.jobs.builders import DAY_US, START_US
from tests.unit.jobs.row_reading import same_bytes, stored, written

BAR = ProviderBar(
    "AAPL", "yahoo", "1m", START_US, START_US + MINUTE_US, 1.0, 2.0, 0.5, 1.5, 10.0, 1.25, 3, True,
    START_US + 70_000_001, START_US + 70_000_009, {"sma_20": 1.125, "rsi_14": 50.0},
)  # fmt: skip


def test_a_bar_is_a_row_of_its_provider() -> None:
    """Every field, written with its version as timestamp; its symbol and its partition are listed."""
    symbol, bucket, bar = ProviderBarRows().rows([BAR])
    assert written(symbol) == {"symbols": {"part": 0, "symbol": "AAPL"}}
    assert written(bucket) == {
        "provider_buckets": {"symbol": "AAPL", "source": "yahoo", "interval": "1m", "bucket": "2024-08"}
    }
    assert written(bar) == {
        "provider_candles": {
            "symbol": "AAPL", "source": "yahoo", "interval": "1m", "bucket": "2024-08",
            "start": datetime(2024, 8, 9), "end": datetime(2024, 8, 9, 0, 1),  # noqa: DTZ001 -- the driver's
            "open": 1.0, "high": 2.0, "low": 0.5, "close": 1.5, "volume": 10.0, "vwap": 1.25, "trades": 3,
            "final": True, "received_at": START_US + 70_000_001, "version": START_US + 70_000_009,
            "indicators": {"sma_20": 1.125, "rsi_14": 50.0}, "[timestamp]": START_US + 70_000_009,
        }
    }  # fmt: skip


def test_what_the_provider_does_not_say_is_null_and_indicators_that_are_not_known_are_left() -> None:
    """No null is written over those that the row has. Days have a partition of their year."""
    bare = replace(BAR, interval="1d", vwap=None, trades=None, indicators={})
    *_, bar = ProviderBarRows().rows([bare])
    row = written(bar)["provider_candles"]
    assert (row["bucket"], row["vwap"], row["trades"]) == ("2024", None, None)
    assert "indicators" not in row


def test_names_are_written_once() -> None:
    """For each symbol, provider, interval and month."""
    rows = ProviderBarRows()
    month = START_US + 32 * DAY_US
    others = [replace(BAR, source="a"), replace(BAR, interval="1h"), replace(BAR, start=month)]
    tables = [table for each in rows.rows([BAR, *others]) for table in written(each)]
    names = ["symbols", "provider_buckets", "provider_candles"]
    assert tables == names * 4
    again = [table for each in rows.rows([BAR, *others]) for table in written(each)]
    assert again == ["provider_candles"] * 4


def test_the_greatest_version_is_what_is_stored() -> None:
    """Whatever their order."""
    for order in permutations([replace(BAR, version=5), BAR, replace(BAR, version=9)]):
        *_, first, second, third = ProviderBarRows().rows(order)
        [(_, row)] = stored([first, second, third])
        assert row["version"] == BAR.version


def test_values_are_the_drivers_own() -> None:
    """To the byte."""
    same_bytes(ProviderBarRows().rows([BAR, replace(BAR, interval="1d", indicators={})]))
