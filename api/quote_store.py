"""Snapshots of symbols, put together from the latest quote, the newest trades and the newest bars.

Five queries for a symbol that trades, a few more where its data is old. The last trade is looked for in the
minute of the newest 1m bar with a price and in the newest minutes, so that it is found while bars lag, too.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from api.database import Database
from api.models import Candle, Day, Quote, Trade
from api.store import Span, Store
from api.times import Now, to_datetime, to_micros
from schemas.intervals import INTERVALS, MINUTE_US, bar_start

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
    return {"quote": f"SELECT {COLUMNS} FROM {keyspace}.quotes_latest WHERE symbol = ?"}  # noqa: S608


class _Seen(NamedTuple):
    """When something happened, when we saw it, and where it came from."""

    event_time: datetime
    received_at: datetime | None
    source: str


class BidAsk(NamedTuple):
    """A row of ``quotes_latest``."""

    bid: float
    bid_size: float
    ask: float
    ask_size: float
    mid: float
    spread: float
    event_time: int
    received_at: int
    source: str


class Stored(NamedTuple):
    """What is stored of a symbol, everything newest first."""

    bid_ask: BidAsk | None
    bars: Sequence[Candle]
    days: Sequence[Candle]
    trades: Sequence[Trade]


class QuoteStore:
    """Snapshots as the routes ask for them. Raises StorageUnavailable."""

    def __init__(self, database: Database, store: Store, now: Now) -> None:
        self._database = database
        self._store = store
        self._now = now

    async def quotes(self, symbols: Sequence[str]) -> list[Quote]:
        """A snapshot of each of the symbols, in their order."""
        quotes: list[Quote] = []
        for first in range(0, len(symbols), SYMBOLS_AT_ONCE):
            quotes += await asyncio.gather(*map(self.quote, symbols[first : first + SYMBOLS_AT_ONCE]))
        return quotes

    async def quote(self, symbol: str) -> Quote:
        """What is known of the symbol now."""
        bars, days, rows = await asyncio.gather(
            self._newest(symbol, "1m", BARS),
            self._newest(symbol, "1d", DAYS),
            self._database.query("quote", (symbol,)),
        )
        trades = await self._store.newest_of_minutes(symbol, self._minutes(bars), TRADES)
        stored = Stored(BidAsk(*rows[0]) if rows else None, bars, days, trades)
        return snapshot(symbol, stored, self._now())

    async def _newest(self, symbol: str, interval: str, limit: int) -> list[Candle]:
        """The newest bars of the last month, or where it has none, of ever."""
        end = self._store.latest()
        recent = await self._store.candles(symbol, interval, Span(end - RECENT_US, end), limit)
        return recent or await self._store.candles(symbol, interval, Span(0, end - RECENT_US), limit)

    def _minutes(self, bars: Sequence[Candle]) -> set[int]:
        """Starts of the minutes in which the last trade may be: this one, the one before, and the newest
        with a priced bar."""
        now = bar_start(self._now(), "1m")
        priced = _priced(bars)
        return {now, now - MINUTE_US} | ({to_micros(priced.start)} if priced else set())


def snapshot(symbol: str, stored: Stored, now: int) -> Quote:
    """What is known of a symbol at ``now``, microseconds since 1970 UTC."""
    bid_ask, bars, days, trades = stored
    trade = _last_trade(bars, trades)
    priced = _priced(bars) or _priced(days)
    last_price = trade.price if trade else priced.close if priced else None
    since = trade.event_time if trade else priced.start if priced else None
    day, before = _split(days, since)
    previous = next((bar.close for bar in before if bar.close is not None), None)
    change = None if last_price is None or previous is None else last_price - previous
    newest = max(filter(None, (_seen_quote(bid_ask), _seen_trade(trade))), default=None, key=_time)
    return Quote(
        symbol=symbol,
        last_price=last_price,
        last_size=trade.size if trade else None,
        last_time=trade.event_time if trade else None,
        bid=bid_ask.bid if bid_ask else None,
        bid_size=bid_ask.bid_size if bid_ask else None,
        ask=bid_ask.ask if bid_ask else None,
        ask_size=bid_ask.ask_size if bid_ask else None,
        mid=bid_ask.mid if bid_ask else None,
        spread=bid_ask.spread if bid_ask else None,
        quote_time=to_datetime(bid_ask.event_time) if bid_ask else None,
        day=Day.model_validate(day, from_attributes=True) if day else None,
        previous_close=previous,
        change=change,
        change_percent=100 * change / previous if change is not None and previous else None,
        event_time=newest.event_time if newest else None,
        received_at=newest.received_at if newest else None,
        source=newest.source if newest else None,
        delayed=_is_delayed(newest) if newest else None,
        age_seconds=max(0.0, (now - to_micros(newest.event_time)) / 1e6) if newest else None,
    )


def _priced(bars: Sequence[Candle]) -> Candle | None:
    """The newest bar in which a trade has set a price."""
    return next((bar for bar in bars if bar.close is not None), None)


def _last_trade(bars: Sequence[Candle], trades: Sequence[Trade]) -> Trade | None:
    """The newest trade that may set a price, where it is the one that does.

    A stored trade stays as it was first reported. So a final bar that closed at another price says that the
    trade was cancelled or corrected, and a newer bar with a price that its own trades are no longer kept.
    """
    trade = next((trade for trade in trades if trade.updates_open_close), None)
    if trade is None:
        return None
    priced = _priced(bars)
    if priced is not None and trade.event_time < priced.start:
        return None
    its_bar = next((bar for bar in bars if bar.start <= trade.event_time < bar.end), None)
    if its_bar is not None and its_bar.final and its_bar.close != trade.price:
        return None
    return trade


def _split(days: Sequence[Candle], last: datetime | None) -> tuple[Candle | None, Sequence[Candle]]:
    """The bar of the day, and those before it. A last trade behind the newest of them is of a day whose bar
    is not stored yet."""
    if not days or (last is not None and last >= days[0].end):
        return None, days
    return days[0], days[1:]


def _seen_quote(bid_ask: BidAsk | None) -> _Seen | None:
    if bid_ask is None:
        return None
    return _Seen(to_datetime(bid_ask.event_time), to_datetime(bid_ask.received_at), bid_ask.source)


def _seen_trade(trade: Trade | None) -> _Seen | None:
    return _Seen(trade.event_time, trade.received_at, trade.source) if trade else None


def _time(seen: _Seen) -> datetime:
    return seen.event_time


def _is_delayed(seen: _Seen) -> bool | None:
    if seen.received_at is None:
        return None
    return to_micros(seen.received_at) - to_micros(seen.event_time) > DELAYED_US
