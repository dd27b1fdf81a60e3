"""Snapshots over real HTTP from a real Cassandra."""

import dataclasses
import time
from typing import Any

import httpx
import pytest

from schemas.events import Candle, Quote
from schemas.intervals import INTERVALS, MINUTE_US, bar_start
from tests.support.api import Tables, a_candle, a_trade, get, utc

pytestmark = pytest.mark.servers
DAY_US = INTERVALS["1d"]
UNKNOWN: dict[str, Any] = dict.fromkeys(
    ("last_price", "last_size", "last_time", "bid", "bid_size", "ask", "ask_size", "mid", "spread",
     "quote_time", "day", "previous_close", "change", "change_percent", "event_time", "received_at",
     "source", "delayed", "age_seconds")
) | {"looked_up": False}  # fmt: skip


def a_quote(symbol: str, event_time: int) -> Quote:
    return Quote(symbol, event_time, event_time + 31_000, 99.5, 300.0, 100.0, 200.0, 1, "finnhub")


def day_json(day: Candle) -> dict[str, Any]:
    """The bar of a day within a snapshot."""
    names = ("open", "high", "low", "close", "volume", "vwap", "trades", "final")
    return {name: getattr(day, name) for name in names} | {"start": utc(day.start), "end": utc(day.end)}


def test_a_snapshot_is_put_together_from_quote_trade_and_bars(api: httpx.Client, tables: Tables) -> None:
    """Every field of a live symbol; the newer of quote and trade says when it was seen, and where."""
    now = bar_start(time.time_ns() // 1000, "1m") + 10_000
    tables.symbol("SNAP")
    today = a_candle("SNAP", "1d", bar_start(now, "1d"), 3)
    before = a_candle("SNAP", "1d", today.start - DAY_US, 1)
    minute = dataclasses.replace(a_candle("SNAP", "1m", bar_start(now, "1m"), 1), final=False)
    trade = dataclasses.replace(a_trade("SNAP", now - 2000, 8), price=153.0)
    average_price = dataclasses.replace(a_trade("SNAP", now - 1000, 9), updates_open_close=False)
    quote = a_quote("SNAP", now)
    for candle in (today, before, minute):
        tables.candle(candle)
    tables.trade(trade)
    tables.trade(average_price)
    tables.latest_quote(quote)
    body = get(api, "/api/v1/quotes/snap")
    assert 0 <= body.pop("age_seconds") < 3600
    assert body == {
        "symbol": "SNAP", "last_price": 153.0, "last_size": trade.size, "last_time": utc(trade.event_time),
        "bid": 99.5, "bid_size": 300.0, "ask": 100.0, "ask_size": 200.0, "mid": 99.75, "spread": 0.5,
        "quote_time": utc(now), "day": day_json(today), "previous_close": 102.0, "change": 51.0,
        "change_percent": 50.0, "event_time": utc(now), "received_at": utc(quote.received_at),
        "source": "finnhub", "delayed": False, "looked_up": False,
    }  # fmt: skip


def test_a_symbol_whose_trades_are_long_past_keeps_its_last_price(api: httpx.Client, tables: Tables) -> None:
    """A replay of two years ago: last trade, its day and the one before, no bid or ask, and not real time."""
    start = 1_723_161_600_000_000
    tables.symbol("PAST")
    days = [a_candle("PAST", "1d", start - 3 * DAY_US, 1), a_candle("PAST", "1d", start, 2)]
    trade = a_trade("PAST", start + 5 * MINUTE_US + 7, 4)
    trade = dataclasses.replace(trade, received_at=trade.event_time + 15 * MINUTE_US)
    minute = dataclasses.replace(a_candle("PAST", "1m", start + 5 * MINUTE_US, 2), close=trade.price)
    for candle in (*days, minute):
        tables.candle(candle)
    tables.trade(trade)
    body = get(api, "/api/v1/quotes/PAST")
    assert body.pop("age_seconds") > 365 * 86_400
    assert body | {"age_seconds": None} == UNKNOWN | {
        "symbol": "PAST", "last_price": trade.price, "last_size": trade.size,
        "last_time": utc(trade.event_time), "day": day_json(days[1]), "previous_close": 102.0,
        "change": trade.price - 102.0, "change_percent": 100 * (trade.price - 102.0) / 102.0,
        "event_time": utc(trade.event_time), "received_at": utc(trade.received_at), "source": "binance",
        "delayed": True,
    }  # fmt: skip


def test_what_is_not_known_of_a_symbol_is_null(api: httpx.Client) -> None:
    """A configured symbol without any data."""
    assert get(api, "/api/v1/quotes/QUIET") == {"symbol": "QUIET", **UNKNOWN}


def test_several_snapshots_come_in_the_order_asked_for(api: httpx.Client, tables: Tables) -> None:
    """Each like the one by itself, and each once."""
    now = time.time_ns() // 1000
    for number, symbol in enumerate(("MANY1", "MANY2", "MANY3")):
        tables.symbol(symbol)
        tables.latest_quote(dataclasses.replace(a_quote(symbol, now), bid=90.0 + number))
    quotes = get(api, "/api/v1/quotes", symbols="many3,QUIET,MANY1,MANY3,MANY2")["quotes"]
    assert [(quote["symbol"], quote["bid"]) for quote in quotes] == [
        ("MANY3", 92.0), ("QUIET", None), ("MANY1", 90.0), ("MANY2", 91.0),
    ]  # fmt: skip
    alone = get(api, "/api/v1/quotes/MANY1")
    assert quotes[2] | {"age_seconds": None} == alone | {"age_seconds": None}
