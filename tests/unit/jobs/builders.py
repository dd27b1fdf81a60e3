"""Trades, slices, and a symbol's bars driven by hand: what SQL, Flink's watermark and its timers do."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from jobs.domain import amounts, bar_state, coverage, order_key, trade_log
from jobs.domain.bars import Change, Market, Memory, Now, Rules, Slice, SymbolBars, WaitingCorrection
from jobs.domain.indicator_cache import IndicatorCache
from jobs.domain.indicators import Indicators
from jobs.domain.quality import QualityRules
from schemas.events import Candle, Correction, Gap, Trade
from schemas.intervals import MINUTE_US
from schemas.sessions import UtcCalendar

DAY_US = 1440 * MINUTE_US
START_US = 1_723_161_600_000_000
"""2024-08-09 00:00 UTC: a bar of every interval starts here."""
NO_WATERMARK = -(2**63) * 1000
"""What Flink gives until every source has spoken."""
SECOND_US = 1_000_000

TRADE = Trade("AAPL", START_US, START_US, 100.0, 1.0, "t", 0, "sim")
CANCEL = Correction("AAPL", START_US, START_US, "c", 0, "sim", "t")
MARKET = Market(UtcCalendar(), Indicators(""), QualityRules())
"""Without indicators, so that candles are easily written down."""


def a_trade(at: int = 0, price: float = 100.0, size: float = 1.0, **changes: object) -> Trade:
    """A trade of AAPL, ``at`` microseconds after START_US."""
    return replace(TRADE, event_time=START_US + at, price=price, size=size, **changes)  # type: ignore[arg-type]


def a_cancel(of: str, at: int = 0, **changes: object) -> Correction:
    """A cancel of AAPL's trade with that id, ``at`` microseconds after START_US."""
    return replace(CANCEL, trade_id=of, event_time=START_US + at, **changes)  # type: ignore[arg-type]


def a_correct(of: str, at: int = 0, price: float = 100.0, size: float = 1.0, **changes: object) -> Correction:
    """A correction of AAPL's trade with that id, ``at`` microseconds after START_US."""
    return a_cancel(of, at, kind="correct", price=price, size=size, **changes)


def a_gap(start: int, end: int, gap_id: str = "", **changes: object) -> Gap:
    """A gap of AAPL between two times, microseconds after START_US; its id says where it starts."""
    gap = Gap(gap_id or f"g{start}", "AAPL", "sim", START_US + start, START_US + end, True, "disconnect")
    return replace(gap, **changes)  # type: ignore[arg-type]


def slice_of(*trades: Trade, skewed: Sequence[bool] | None = None) -> Slice:
    """The trades of one source and fifth of a second summed up, as decoding and SQL of the bars job do."""
    skews = np.array(skewed or [False] * len(trades), dtype=bool)
    open_close = np.array([trade.updates_open_close for trade in trades], dtype=bool)
    high_low = np.array([trade.updates_high_low for trade in trades], dtype=bool) | open_close
    volume = np.array([trade.updates_volume for trade in trades], dtype=bool)
    orders = (
        np.array([trade.event_time for trade in trades], dtype=np.int64),
        np.array([trade.sequence for trade in trades], dtype=np.int64),
        np.array([trade.price for trade in trades], dtype=np.float64),
    )
    sizes = np.array([trade.size for trade in trades], dtype=np.float64)
    ids = [trade.trade_id for trade in trades]
    keys = [key for key, sets in zip(order_key.pack(*orders), open_close, strict=True) if sets]
    prices = [trade.price for trade, sets in zip(trades, high_low, strict=True) if sets]
    counting = [trade for trade in trades if trade.updates_volume]
    log = trade_log.pack(*orders, sizes, open_close, high_low, volume, ids, skews)
    return Slice(
        source=trades[0].source,
        event_time=min(trade.event_time for trade in trades),
        first=min(keys, default=None),
        last=max(keys, default=None),
        high=max(prices, default=None),
        low=min(prices, default=None),
        volume=exact_sum([trade.size for trade in counting]),
        notional=exact_sum([trade.price * trade.size for trade in counting]),
        trades=int((high_low | volume).sum()),
        events=len(trades),
        skewed=int(skews.sum()),
        log="\n".join(log) if trades[0].correctable else None,
    )


def exact_sum(values: Sequence[float]) -> int:
    """The values' sum in billionths, by the jobs' own arithmetic."""
    units, billionths = amounts.split(np.array(values, dtype=np.float64))
    return amounts.join(int(units.sum()), int(billionths.sum()))


@dataclass
class Budget:
    """May show live bars while it is open, ``most`` at a time; remembers what it was asked."""

    is_open: bool = True
    most: int = 6
    asked: list[int] = field(default_factory=list)

    def may_show(self, count: int) -> bool:
        self.asked.append(count)
        return self.is_open and count <= self.most


class SymbolDriver:
    """Keeps the state, stores, watermark and timers of one symbol as Flink does; everything passes through
    bytes."""

    def __init__(
        self, rules: Rules | None = None, symbol: str = "AAPL", market: Market | None = None
    ) -> None:
        self.rules = rules or Rules()
        self.symbol = symbol
        self.market = market or MARKET
        self.state: bytes | None = None
        self.memory = Memory(indicators={}, trades={})
        self.watermark = NO_WATERMARK
        self.clock = 0
        self.late = 0
        self.budget = Budget()
        self.timers: set[int] = set()
        self.published: list[Candle] = []
        self.unmatched: list[WaitingCorrection] = []

    def load(self) -> SymbolBars:
        return bar_state.load(self.state)

    def save(self, book: SymbolBars) -> None:
        self.state = bar_state.dump(book)

    def add(
        self, *trades: Trade, skewed: Sequence[bool] | None = None, on_time: bool = False
    ) -> list[Candle]:
        """Applies the trades as one slice; returns what is published because of it."""
        part = slice_of(*trades, skewed=skewed)._replace(on_time=on_time)
        return self._take(lambda book: book.apply(self.symbol, part, self._now(self.watermark)))

    def correct(self, correction: Correction, offset: int = 0) -> list[Candle]:
        """Applies a correction, which lay in partition 0; returns what is published because of it."""
        packed = trade_log.pack_correction(asdict(correction), 0, offset)
        return self._take(lambda book: book.correct(self.symbol, packed, self._now(self.watermark)))

    def miss(self, gap: Gap) -> list[Candle]:
        """Applies a record of a gap; returns what is published because of it."""
        packed = coverage.pack(gap)
        return self._take(lambda book: book.miss(self.symbol, packed, self._now(self.watermark)))

    def advance(self, at: int) -> list[Candle]:
        """Brings the watermark to ``at`` microseconds after START_US, firing the timers that it passes."""
        self.watermark = START_US + at
        candles = []
        while due := [timer for timer in self.timers if timer <= self.watermark]:
            time = min(due)
            self.timers.remove(time)
            candles += self._take(lambda book, time=time: book.advance(self.symbol, self._now(time)))  # type: ignore[misc]
        return candles

    def restart(self) -> None:
        """Goes on from a checkpoint: state, stores and timers are kept, the watermark is not yet known, and
        the process is a new one."""
        self.watermark = NO_WATERMARK
        self.memory.cache = IndicatorCache()

    @property
    def last(self) -> dict[tuple[str, int], Candle]:
        """(interval, start after START_US) -> the version of the bar that a consumer keeps."""
        newest: dict[tuple[str, int], Candle] = {}
        for candle in self.published:
            key = (candle.interval, candle.start - START_US)
            if key not in newest or candle.version > newest[key].version:
                newest[key] = candle
        return newest

    def _now(self, watermark: int) -> Now:
        return Now(
            watermark, self.clock, self.rules, self.market, self.memory, self.budget.may_show, self.late
        )

    def _take(self, step: Callable[[SymbolBars], Change]) -> list[Candle]:
        book = self.load()
        change = step(book)
        self.save(book)
        self.timers |= {-(-due // 1000) * 1000 for due in change.timers}
        self.published += change.candles
        self.unmatched += change.unmatched
        return change.candles
