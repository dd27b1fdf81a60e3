"""Trades, slices, and a symbol's bars driven by hand: what SQL, Flink's watermark and its timers do."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from jobs.domain import amounts, bar_state, order_key
from jobs.domain.bars import Rules, Slice, SymbolBars
from schemas.events import Candle, Trade
from schemas.intervals import MINUTE_US

DAY_US = 1440 * MINUTE_US
START_US = 1_723_161_600_000_000
"""2024-08-09 00:00 UTC: a bar of every interval starts here."""
NO_WATERMARK = -(2**63) * 1000
"""What Flink gives until every source has spoken."""
SECOND_US = 1_000_000

TRADE = Trade("AAPL", START_US, START_US, 100.0, 1.0, "t", 0, "sim")


def a_trade(at: int = 0, price: float = 100.0, size: float = 1.0, **changes: object) -> Trade:
    """A trade of AAPL, ``at`` microseconds after START_US."""
    return replace(TRADE, event_time=START_US + at, price=price, size=size, **changes)  # type: ignore[arg-type]


def slice_of(*trades: Trade) -> Slice:
    """The trades of one source and fifth of a second summed up, as the SQL of the bars job does."""
    pricing = [trade for trade in trades if trade.updates_price]
    keys = order_key.pack(
        np.array([trade.event_time for trade in pricing], dtype=np.int64),
        np.array([trade.sequence for trade in pricing], dtype=np.int64),
        np.array([trade.price for trade in pricing], dtype=np.float64),
    )
    counting = [trade for trade in trades if trade.updates_volume]
    return Slice(
        source=trades[0].source,
        event_time=min(trade.event_time for trade in trades),
        first=min(keys, default=None),
        last=max(keys, default=None),
        high=max((trade.price for trade in pricing), default=None),
        low=min((trade.price for trade in pricing), default=None),
        volume=exact_sum([trade.size for trade in counting]),
        notional=exact_sum([trade.price * trade.size for trade in counting]),
        trades=sum(trade.updates_price or trade.updates_volume for trade in trades),
        events=len(trades),
    )


def exact_sum(values: Sequence[float]) -> int:
    """The values' sum in billionths, by the jobs' own arithmetic."""
    units, billionths = amounts.split(np.array(values, dtype=np.float64))
    return amounts.join(int(units.sum()), int(billionths.sum()))


class SymbolDriver:
    """Keeps the state, watermark and timers of one symbol as Flink does; everything passes through bytes."""

    def __init__(self, rules: Rules | None = None, symbol: str = "AAPL") -> None:
        self.rules = rules or Rules()
        self.symbol = symbol
        self.state: bytes | None = None
        self.watermark = NO_WATERMARK
        self.timers: set[int] = set()
        self.published: list[Candle] = []

    def load(self) -> SymbolBars:
        return bar_state.load(self.state)

    def save(self, book: SymbolBars) -> None:
        self.state = bar_state.dump(book)

    def add(self, *trades: Trade) -> list[Candle]:
        """Applies the trades as one slice; returns what is published because of it."""
        book = self.load()
        change = book.apply(self.symbol, slice_of(*trades), self.watermark, self.rules)
        self.save(book)
        self.timers |= {-(-due // 1000) * 1000 for due in change.timers if due > self.watermark}
        self.published += change.candles
        return change.candles

    def advance(self, at: int) -> list[Candle]:
        """Brings the watermark to ``at`` microseconds after START_US, firing the timers that it passes."""
        self.watermark = START_US + at
        candles = []
        while due := [timer for timer in self.timers if timer <= self.watermark]:
            book = self.load()
            candles += book.advance(self.symbol, min(due), self.rules)
            self.save(book)
            self.timers.remove(min(due))
        self.published += candles
        return candles

    def restart(self) -> None:
        """Goes on from a checkpoint: state and timers are kept, the watermark is not yet known."""
        self.watermark = NO_WATERMARK

    @property
    def last(self) -> dict[tuple[str, int], Candle]:
        """(interval, start after START_US) -> the version of the bar that a consumer keeps."""
        newest: dict[tuple[str, int], Candle] = {}
        for candle in self.published:
            key = (candle.interval, candle.start - START_US)
            if key not in newest or candle.version > newest[key].version:
                newest[key] = candle
        return newest
