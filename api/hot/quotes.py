"""What is known of a live symbol, from memory: trade and quote from the feed, bars from the cache of candles.

The same parts as Cassandra has, so the same snapshot follows from either.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from api.cached import Flights
from api.errors import StorageUnavailable
from api.hot.bars import Held
from api.hot.candles import PRICES, CandleCache
from api.live.continuity import Continuity
from api.live.latest import Latest
from api.live.messages import Incoming, Ticks
from api.metrics import CacheMetrics
from api.quote_store import BARS, DAYS, RECENT_US, BidAsk, Known, LastTrade
from api.store import Span
from schemas.quotes import mid, spread
from schemas.topics import MAX_CLOCK_AHEAD_MS

NAME = "quotes"
MAX_ENTRIES = 100_000
"""Symbols, and what comes with the last of them; further ones are Cassandra's."""


class QuoteCache:
    """Only for the event loop's thread.

    A symbol without a trade since the feed began, or whose last one was cancelled or corrected and no other
    has come, is Cassandra's. One without a quote gets the one that Cassandra had, looked up once.
    """

    def __init__(
        self,
        latest: Latest,
        candles: CandleCache,
        look_up: Callable[[str], Coroutine[Any, Any, BidAsk | None]],
        continuity: Continuity,
        metrics: CacheMetrics,
    ) -> None:
        """``look_up``: the newest quote of a symbol in Cassandra."""
        self._latest = latest
        self._candles = candles
        self._look_up = look_up
        self._continuity = continuity
        self._metrics = metrics
        self._epoch = continuity.epoch
        self._traded: set[str] = set()
        self._quoted: set[str] = set()
        self._looked_up: dict[str, BidAsk | None] = {}
        self._flights: Flights[None] = Flights()
        metrics.entries.labels(NAME).set_function(lambda: len(self._traded))

    @property
    def entries(self) -> int:
        """So many symbols have had a trade since the feed began."""
        return len(self._traded)

    def add(self, incoming: Incoming) -> None:
        """Takes note of what the feed brought since it was interrupted last."""
        self._follow()
        channel, symbol = incoming.key[:2]
        self._note(channel, (symbol,))

    def take(self, ticks: Ticks) -> None:
        """The same of trades or quotes that came together."""
        self._follow()
        self._note(ticks.channel, ticks.symbols)

    def _note(self, channel: str, symbols: Sequence[str]) -> None:
        if channel == "trades" and len(self._traded) < MAX_ENTRIES:
            self._traded.update(symbols)
        elif channel == "quotes" and len(self._quoted) < MAX_ENTRIES:
            self._quoted.update(symbols)

    async def known(self, symbol: str) -> Known | None:
        """What Cassandra knows or newer; None where only Cassandra can tell."""
        found, result = self.held(symbol), "hit"
        if found is None:
            await self.fill(symbol)
            found = self.held(symbol)
            result = "fill" if found else "bypass"
        self._metrics.count(NAME, result)
        return found

    def held(self, symbol: str) -> Known | None:
        """The same without waiting: None, too, where something has to be filled first."""
        self._follow()
        trade = self._latest.trade(symbol)
        if trade is None or symbol not in self._traded or not self._continuity.is_current():
            return None
        bars, days = self.bars(symbol, "1m", BARS), self.bars(symbol, "1d", DAYS)
        if bars is None or days is None:
            return None
        if symbol in self._quoted:
            bid_ask = self._quote(symbol)
        elif symbol in self._looked_up:
            bid_ask = self._looked_up[symbol]
        else:
            return None
        last = trade.event
        traded = LastTrade(last.event_time, last.received_at, last.price, last.size, last.source)
        return Known(bid_ask, bars, days, traded)

    async def fill(self, symbol: str) -> None:
        """Reads what ``held`` needs and nobody has asked for yet."""
        if symbol not in self._traded:
            return
        for interval in ("1m", "1d"):
            if not await self._candles.fill(symbol, interval, PRICES):
                return
        if symbol not in self._quoted and symbol not in self._looked_up:
            with contextlib.suppress(StorageUnavailable):
                await asyncio.shield(self._flights.start(symbol, lambda: self._look_up_once(symbol)))

    def bars(self, symbol: str, interval: str, limit: int) -> list[Held] | None:
        """The newest bars of the last month, or where it has none, of ever."""
        end = self._continuity.now() + MAX_CLOCK_AHEAD_MS * 1000
        recent = self._candles.held(symbol, interval, Span(end - RECENT_US, end), limit, PRICES)
        if recent is None or recent:
            return recent
        return self._candles.held(symbol, interval, Span(0, end), limit, PRICES)

    def _quote(self, symbol: str) -> BidAsk | None:
        known = self._latest.quote(symbol)
        if known is None:
            return None
        quote = known.event
        return BidAsk(
            quote.bid, quote.bid_size, quote.ask, quote.ask_size, mid(quote.bid, quote.ask),
            spread(quote.bid, quote.ask), quote.event_time, quote.received_at, quote.source,
        )  # fmt: skip

    async def _look_up_once(self, symbol: str) -> None:
        epoch = self._continuity.epoch
        bid_ask = await self._look_up(symbol)
        if epoch == self._continuity.epoch and len(self._looked_up) < MAX_ENTRIES:
            self._looked_up[symbol] = bid_ask

    def _follow(self) -> None:
        """Begins anew when the feed was interrupted: something newer may have been missed."""
        if self._epoch != self._continuity.epoch:
            self._epoch = self._continuity.epoch
            self._traded.clear()
            self._quoted.clear()
            self._looked_up.clear()
