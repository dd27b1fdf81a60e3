"""What a snapshot says, from what is stored of a symbol."""

import asyncio
from typing import Any

import pytest

from api.hot.bars import Held, from_store
from api.models import Candle
from api.quote_store import DELAYED_US, BidAsk, Known, LastTrade, QuoteStore, StoredQuotes, snapshot, to_quote
from api.store import Store
from api.times import to_datetime
from schemas.intervals import INTERVALS, MINUTE_US
from schemas.tables import trade_minute

DAY_US = INTERVALS["1d"]
DAY = 20_000 * DAY_US
NOON = DAY + DAY_US // 2


def a_bar(start: int, close: float | None, *, interval: str = "1m", final: bool = True) -> Held:
    bar = Candle(
        symbol="A", interval=interval, start=to_datetime(start), end=to_datetime(start + INTERVALS[interval]),
        open=close, high=close, low=close, close=close, volume=1.0, notional=1.0, vwap=1.0, trades=1,
        final=final, version=1, sources=["s"], late_trades=0, updated_at=None, quality=1.0, observed=1.0,
    )  # fmt: skip
    return from_store(bar)


def a_trade(time: int, price: float, *, delay: int = 10_000) -> LastTrade:
    return LastTrade(time, time + delay, price, 7.0, "trades")


def said(
    *fields: str,
    bid_ask: BidAsk | None = None,
    bars: tuple[Held, ...] = (),
    days: tuple[Held, ...] = (),
    trade: LastTrade | None = None,
    now: int = NOON,
) -> Any:
    """These fields of the snapshot."""
    quote = to_quote("A", snapshot(Known(bid_ask, bars, days, trade)), now)
    return tuple(getattr(quote, field) for field in fields)


LAST = ("last_price", "last_size", "last_time")


@pytest.mark.parametrize(
    ("bars", "expected"),
    [
        ((a_bar(NOON, 5.0),), (5.0, 7.0, to_datetime(NOON))),
        ((a_bar(NOON, 4.5),), (4.5, None, None)),
        ((a_bar(NOON, None), a_bar(NOON - MINUTE_US, 4.0)), (4.0, None, None)),
        ((a_bar(NOON, 4.5, final=False),), (5.0, 7.0, to_datetime(NOON))),
        ((a_bar(NOON + MINUTE_US, 6.0), a_bar(NOON, 5.0)), (6.0, None, None)),
        ((a_bar(NOON - MINUTE_US, 4.0),), (5.0, 7.0, to_datetime(NOON))),
        ((), (5.0, 7.0, to_datetime(NOON))),
    ],
    ids=["confirmed", "corrected", "cancelled", "bar_live", "newer_bar", "bar_lags", "no_bar"],
)
def test_a_final_bar_knows_better_than_the_trade_as_it_was_first_reported(
    bars: tuple[Held, ...], expected: tuple[Any, ...]
) -> None:
    """Corrected: its close, and size and time are unknown. A live bar may only be behind."""
    assert said(*LAST, bars=bars, trade=a_trade(NOON, 5.0)) == expected


def test_without_a_trade_the_last_price_is_that_of_the_newest_bar_with_one() -> None:
    """Of 1m bars, and where none has a price, of days."""
    assert said(*LAST, bars=(a_bar(NOON, None), a_bar(NOON - MINUTE_US, 4.0))) == (4.0, None, None)
    days = (a_bar(DAY, None, interval="1d"), a_bar(DAY - DAY_US, 3.0, interval="1d"))
    assert said(*LAST, bars=(a_bar(NOON, None),), days=days) == (3.0, None, None)
    assert said(*LAST) == (None, None, None)


CHANGE = ("previous_close", "change", "change_percent")


def test_the_change_is_since_the_close_of_the_day_before() -> None:
    """The newest day before that has a close, weekends and days of odd lots apart."""
    days = (
        a_bar(DAY, 5.0, interval="1d", final=False),
        a_bar(DAY - DAY_US, None, interval="1d"),
        a_bar(DAY - 3 * DAY_US, 4.0, interval="1d"),
    )
    trade = a_trade(NOON, 5.0)
    assert said(*CHANGE, days=days, trade=trade) == (4.0, 1.0, 25.0)
    assert said("day", days=days, trade=trade)[0].close == 5.0
    assert said(*CHANGE, days=days[:1], trade=trade) == (None, None, None)


def test_a_trade_after_the_end_of_the_newest_day_is_of_one_that_is_not_stored_yet() -> None:
    """The day is unknown, and the newest stored one is the day before."""
    days = (a_bar(DAY, 5.0, interval="1d"), a_bar(DAY - DAY_US, 4.0, interval="1d"))
    trade = a_trade(DAY + DAY_US, 6.0)
    assert said("day", *CHANGE, days=days, trade=trade) == (None, 5.0, 1.0, 20.0)
    before_its_end = a_trade(DAY + DAY_US - 1, 6.0)
    assert said(*CHANGE, days=days, trade=before_its_end) == (4.0, 2.0, 50.0)


SEEN = ("event_time", "received_at", "source", "delayed", "age_seconds")


def test_the_newer_of_quote_and_trade_says_when_and_where_it_was_seen() -> None:
    """Age counts from when it happened; a clock ahead of ours makes it 0."""
    bid_ask = BidAsk(4.0, 1.0, 6.0, 2.0, 5.0, 2.0, NOON, NOON + 5, "quotes")
    quoted = (to_datetime(NOON), to_datetime(NOON + 5), "quotes", False, 3.0)
    now = NOON + 3_000_000
    assert said(*SEEN, bid_ask=bid_ask, trade=a_trade(NOON - 1, 5.0), now=now) == quoted
    traded = (to_datetime(NOON + 1), to_datetime(NOON + 10_001), "trades", False, 2.999999)
    assert said(*SEEN, bid_ask=bid_ask, trade=a_trade(NOON + 1, 5.0), now=now) == traded
    assert said("age_seconds", bid_ask=bid_ask, now=NOON - 1) == (0.0,)
    assert said(*SEEN, bars=(a_bar(NOON, 5.0),)) == (None,) * 5


@pytest.mark.parametrize(("delay", "delayed"), [(DELAYED_US, False), (DELAYED_US + 1, True)])
def test_what_reaches_us_more_than_a_minute_late_is_delayed(delay: int, delayed: bool) -> None:
    """Just below and just above."""
    assert said("delayed", trade=a_trade(NOON, 5.0, delay=delay)) == (delayed,)


def test_bid_and_ask_come_from_the_latest_quote() -> None:
    """As they are stored, crossed ones too."""
    bid_ask = BidAsk(6.0, 1.0, 5.0, 2.0, 5.5, -1.0, NOON, NOON + 5, "quotes")
    fields = ("bid", "bid_size", "ask", "ask_size", "mid", "spread", "quote_time")
    assert said(*fields, bid_ask=bid_ask) == (6.0, 1.0, 5.0, 2.0, 5.5, -1.0, to_datetime(NOON))
    assert said(*fields) == (None,) * 7


class Database:
    """One bar of each interval, from ``start`` on, and trades, newest first; keeps what was asked."""

    def __init__(self, start: int, trades: tuple[tuple[Any, ...], ...] = ()) -> None:
        self._start = start
        self._trades = trades
        self.asked: list[str] = []

    async def query(self, statement: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        self.asked.append(statement)
        kind = statement.partition("_")[0]
        if kind == "candles" and values[2] * 1000 <= self._start < values[3] * 1000:
            start, end = (
                to_datetime(time).replace(tzinfo=None) for time in (self._start, self._start + DAY_US)
            )
            if to_datetime(self._start).isoformat().startswith(values[1]):
                return [(start, end, *[4.0] * 7, 1, True, 3, None, 0, 5, 1.0, 1.0)]
        if kind == "trades" and values[0] == trade_minute(NOON):
            return list(self._trades)
        if kind == "held":
            return [
                (period,) for period in values[1] if to_datetime(self._start).isoformat().startswith(period)
            ]
        return [("A",)] if kind == "symbol" else []


@pytest.mark.parametrize("age", [0, 400 * DAY_US])
def test_the_last_price_is_found_however_old_and_at_once_where_the_symbol_trades(age: int) -> None:
    """Five queries for a symbol that trades; no partition is asked about before it is read."""
    database = Database(NOON - age)
    store = Store(database, ["A"], lambda: NOON + 1_000_000)  # type: ignore[arg-type]
    stored = StoredQuotes(database, store, lambda: NOON + 1_000_000)  # type: ignore[arg-type]
    seen = snapshot(asyncio.run(stored.known("A")))
    assert (seen.last_price, seen.day and seen.day.start) == (4.0, NOON - age)
    if not age:
        assert sorted(set(database.asked)) == ["candles_1d", "candles_1m", "quote", "trades"]
        assert database.asked.count("trades") == 2


def test_the_last_trade_is_the_newest_that_may_set_a_price() -> None:
    """An average-price print is newer, and says nothing of the price."""
    trades = tuple(
        (NOON + number, number, "s", "t", NOON + 9, float(number), 7.0, "", None, sets_price, True, True)
        for number, sets_price in ((9, False), (5, True), (4, True))
    )
    database = Database(NOON, trades)
    store = Store(database, ["A"], lambda: NOON + 1_000_000)  # type: ignore[arg-type]
    stored = StoredQuotes(database, store, lambda: NOON + 1_000_000)  # type: ignore[arg-type]
    assert asyncio.run(stored.known("A")).trade == LastTrade(NOON + 5, NOON + 9, 5.0, 7.0, "s")


def test_memory_answers_where_it_can_and_cassandra_where_it_cannot() -> None:
    """The same snapshot of either."""
    known = Known(None, (a_bar(NOON, 5.0),), (), a_trade(NOON, 5.0))
    asked = []

    class Stored:
        async def known(self, symbol: str) -> Known:
            asked.append(symbol)
            return known

    async def from_memory(symbol: str) -> Known | None:
        return known if symbol == "HOT" else None

    quotes = QuoteStore(Stored(), from_memory, lambda: NOON)  # type: ignore[arg-type]
    hot, cold = asyncio.run(quotes.quotes(["HOT", "COLD"]))
    assert asked == ["COLD"]
    assert hot.model_dump(exclude={"symbol"}) == cold.model_dump(exclude={"symbol"})
    assert hot.last_price == 5.0
