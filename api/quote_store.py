"""Snapshots of symbols, put together from the latest quote, the newest trade and the newest bars: from memory
where the live feed has brought them (``api.hot.quotes``), else from Cassandra.

There it takes five queries for a symbol that trades, a few more where its data is old. The last trade is
looked for in the minute of the newest 1m bar with a price and in the newest minutes, so that it is found
while bars lag, too.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from api.database import Database
from api.hot.bars import Held, from_store
from api.models import Day, Quote
from api.store import Span, Store
from api.times import Now, to_datetime, to_micros
from schemas.intervals import INTERVALS, MINUTE_US, bar_start
from schemas.tables import SYMBOLS_PART

SYMBOLS_AT_ONCE = 8
BARS = 20
"""Newest 1m bars among which one with a price is looked for: odd lots alone set none."""
DAYS = 5
"""Newest 1d bars among which the previous close is looked for."""
RECENT_US = 31 * INTERVALS["1d"]
"""Bars are looked for this far back first: few partitions, read without asking which hold any."""
TRADES = 20
"""Newest trades among which one that may set a price is looked for."""
DELAYED_US = 60_000_000
"""What reaches us later than this after it happened is not real time."""

COLUMNS = "bid, bid_size, ask, ask_size, mid, spread, event_time, received_at, source"


def statements(keyspace: str) -> dict[str, str]:
    """Every query of quotes by the name that the metrics give it."""
    table = f"{keyspace}.latest_quotes"
    return {"quote": f"SELECT {COLUMNS} FROM {table} WHERE part = ? AND symbol = ?"}  # noqa: S608


class LastTrade(NamedTuple):
    """A trade that may set a price; times in microseconds since 1970 UTC."""

    event_time: int
    received_at: int | None
    price: float
    size: float
    source: str


class BidAsk(NamedTuple):
    """A row of ``latest_quotes``."""

    bid: float
    bid_size: float
    ask: float
    ask_size: float
    mid: float
    spread: float
    event_time: int
    received_at: int
    source: str


class Known(NamedTuple):
    """What is known of a symbol, everything newest first."""

    bid_ask: BidAsk | None
    bars: Sequence[Held]
    days: Sequence[Held]
    trade: LastTrade | None
    """The newest that may set a price, as it was first reported."""


class Snapshot(NamedTuple):
    """What follows from it. Times in microseconds since 1970 UTC."""

    last_price: float | None
    trade: LastTrade | None
    """Where it is the one that set the last price."""
    bid_ask: BidAsk | None
    day: Held | None
    previous_close: float | None
    change: float | None
    change_percent: float | None
    newest: BidAsk | LastTrade | None
    """The one that happened last."""


FromMemory = Callable[[str], Awaitable[Known | None]]
"""What is known of a symbol; None where only Cassandra can tell."""


class StoredQuotes:
    """What Cassandra knows. Raises StorageUnavailable."""

    def __init__(self, database: Database, store: Store, now: Now) -> None:
        self._database = database
        self._store = store
        self._now = now

    async def known(self, symbol: str) -> Known:
        """Of one symbol."""
        bars, days, bid_ask = await asyncio.gather(
            self._newest(symbol, "1m", BARS), self._newest(symbol, "1d", DAYS), self.bid_ask(symbol)
        )
        trades = await self._store.newest_of_minutes(symbol, self._minutes(bars), TRADES)
        for trade in trades:
            if trade.updates_open_close:
                received_at = None if trade.received_at is None else to_micros(trade.received_at)
                at = to_micros(trade.event_time)
                last = LastTrade(at, received_at, trade.price, trade.size, trade.source)
                return Known(bid_ask, bars, days, last)
        return Known(bid_ask, bars, days, None)

    async def bid_ask(self, symbol: str) -> BidAsk | None:
        """The newest quote in Cassandra."""
        rows = await self._database.query("quote", (SYMBOLS_PART, symbol))
        return BidAsk(*rows[0]) if rows else None

    async def _newest(self, symbol: str, interval: str, limit: int) -> list[Held]:
        """The newest bars of the last month, or where it has none, of ever."""
        end = self._store.latest()
        recent = await self._store.candles(symbol, interval, Span(end - RECENT_US, end), limit)
        found = recent or await self._store.candles(symbol, interval, Span(0, end - RECENT_US), limit)
        return [from_store(bar) for bar in found]

    def _minutes(self, bars: Sequence[Held]) -> set[int]:
        """Starts of the minutes in which the last trade may be: this one, the one before, and the newest
        with a priced bar."""
        now = bar_start(self._now(), "1m")
        priced = _priced(bars)
        return {now, now - MINUTE_US} | ({priced.start} if priced else set())


class QuoteStore:
    """Snapshots as the routes ask for them. Raises StorageUnavailable."""

    def __init__(self, stored: StoredQuotes, from_memory: FromMemory, now: Now) -> None:
        self._stored = stored
        self._from_memory = from_memory
        self._now = now

    async def quotes(self, symbols: Sequence[str]) -> list[Quote]:
        """A snapshot of each of the symbols, in their order."""
        quotes: list[Quote] = []
        for first in range(0, len(symbols), SYMBOLS_AT_ONCE):
            quotes += await asyncio.gather(*map(self.quote, symbols[first : first + SYMBOLS_AT_ONCE]))
        return quotes

    async def quote(self, symbol: str) -> Quote:
        """What is known of the symbol now."""
        known = await self._from_memory(symbol) or await self._stored.known(symbol)
        return to_quote(symbol, snapshot(known), self._now())


def snapshot(known: Known) -> Snapshot:
    """Last price, day and change, from what is known of a symbol."""
    trade = _last_trade(known.bars, known.trade)
    priced = _priced(known.bars) or _priced(known.days)
    last_price = trade.price if trade else priced.close if priced else None
    since = trade.event_time if trade else priced.start if priced else None
    day, before = _split(known.days, since)
    previous = next((bar.close for bar in before if bar.close is not None), None)
    change = None if last_price is None or previous is None else last_price - previous
    newest: BidAsk | LastTrade | None = known.bid_ask
    if trade is not None and (newest is None or trade.event_time > newest.event_time):
        newest = trade
    return Snapshot(
        last_price=last_price,
        trade=trade,
        bid_ask=known.bid_ask,
        day=day,
        previous_close=previous,
        change=change,
        change_percent=100 * change / previous if change is not None and previous else None,
        newest=newest,
    )


def to_quote(symbol: str, seen: Snapshot, now: int) -> Quote:
    """As REST has it at ``now``, microseconds since 1970 UTC."""
    trade, bid_ask, newest = seen.trade, seen.bid_ask, seen.newest
    return Quote(
        symbol=symbol,
        last_price=seen.last_price,
        last_size=trade.size if trade else None,
        last_time=to_datetime(trade.event_time) if trade else None,
        bid=bid_ask.bid if bid_ask else None,
        bid_size=bid_ask.bid_size if bid_ask else None,
        ask=bid_ask.ask if bid_ask else None,
        ask_size=bid_ask.ask_size if bid_ask else None,
        mid=bid_ask.mid if bid_ask else None,
        spread=bid_ask.spread if bid_ask else None,
        quote_time=to_datetime(bid_ask.event_time) if bid_ask else None,
        day=Day.model_validate(seen.day.fields()) if seen.day else None,
        previous_close=seen.previous_close,
        change=seen.change,
        change_percent=seen.change_percent,
        event_time=to_datetime(newest.event_time) if newest else None,
        received_at=to_datetime(newest.received_at) if newest and newest.received_at is not None else None,
        source=newest.source if newest else None,
        delayed=_is_delayed(newest) if newest else None,
        age_seconds=age_seconds(newest, now),
    )


def age_seconds(newest: BidAsk | LastTrade | None, now: int) -> float | None:
    """How long ago it happened; 0 where a clock is ahead of ours."""
    return max(0.0, (now - newest.event_time) / 1e6) if newest else None


def _priced(bars: Sequence[Held]) -> Held | None:
    """The newest bar in which a trade has set a price."""
    return next((bar for bar in bars if bar.close is not None), None)


def _last_trade(bars: Sequence[Held], trade: LastTrade | None) -> LastTrade | None:
    """The newest trade that may set a price, where it is the one that does.

    A stored trade stays as it was first reported. So a final bar that closed at another price says that the
    trade was cancelled or corrected, and a newer bar with a price that its own trades are no longer kept.
    """
    if trade is None:
        return None
    priced = _priced(bars)
    if priced is not None and trade.event_time < priced.start:
        return None
    its_bar = next((bar for bar in bars if bar.start <= trade.event_time < bar.end), None)
    if its_bar is not None and its_bar.final and its_bar.close != trade.price:
        return None
    return trade


def _split(days: Sequence[Held], last: int | None) -> tuple[Held | None, Sequence[Held]]:
    """The bar of the day, and those before it. A last trade behind the newest of them is of a day whose bar
    is not stored yet."""
    if not days or (last is not None and last >= days[0].end):
        return None, days
    return days[0], days[1:]


def _is_delayed(seen: BidAsk | LastTrade) -> bool | None:
    if seen.received_at is None:
        return None
    return seen.received_at - seen.event_time > DELAYED_US
