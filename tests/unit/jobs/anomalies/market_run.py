"""The simulator's market through the jobs' own domain: slices, bars of all intervals, anomalies."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
from numpy.typing import NDArray

from jobs.domain import amounts, order_key, trade_log
from jobs.domain.anomalies import QuoteAnomalies, SliceSeen, SymbolAnomalies, Thresholds
from jobs.domain.bars import Change, Market, Memory, Now, Rules, Slice, SymbolBars
from jobs.domain.indicators import Indicators
from jobs.domain.quality import QualityRules
from producer.simulator.columns import QuoteColumns, TradeColumns
from schemas.events import Alert, Correction
from schemas.sessions import UtcCalendar
from tests.unit.jobs.anomalies.driver import SECOND_US

SLICE_US = 200_000
SKEW_US = 500_000
RULES = Rules(live_every=5 * SECOND_US)
"""Live versions of the longer intervals less often than usual: that saves a quarter of the time."""
MARKET = Market(UtcCalendar(), Indicators("rsi:14"), QualityRules())


@dataclass
class SymbolRun:
    """One symbol, as the keyed function handles it."""

    symbol: str
    thresholds: Thresholds
    book: SymbolBars = field(default_factory=SymbolBars)
    memory: Memory = field(default_factory=lambda: Memory(indicators={}, trades={}))
    watermark: int = 0
    timers: set[int] = field(default_factory=set)
    alerts: list[Alert] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)
    """Numbers of its trades."""
    last_price: float = 0.0

    def __post_init__(self) -> None:
        self.anomalies = SymbolAnomalies(self.thresholds, MARKET.calendar)
        self.quotes = QuoteAnomalies(self.thresholds)

    def take(self, part: Slice) -> None:
        now = self._now(self.watermark)
        change = self.book.apply(self.symbol, part, now)
        minute = next(
            (c for c in change.candles if c.interval == "1m" and c.start <= part.event_time < c.end), None
        )
        seen = SliceSeen(
            self.symbol, part.source, part.event_time, part.high, part.low, part.skewed, part.events
        )
        self.alerts += self.anomalies.on_slice(seen, minute, now.clock)
        self._publish(change, now)

    def correct(self, packed: str) -> None:
        now = self._now(self.watermark)
        self._publish(self.book.correct(self.symbol, packed, now), now)

    def advance(self, watermark: int) -> None:
        """Fires the timers up to a watermark, each at its time."""
        self.watermark = watermark
        while self.timers and (time := min(self.timers)) <= watermark:
            self.timers.remove(time)
            now = self._now(time)
            self._publish(self.book.advance(self.symbol, now), now)
            self.alerts += self.anomalies.on_watermark(time, now.clock)
            self._set_timer()

    def _publish(self, change: Change, now: Now) -> None:
        self.timers.update(change.timers)
        for candle in change.candles:
            self.alerts += self.anomalies.on_candle(candle, now.clock)
        self._set_timer()

    def _set_timer(self) -> None:
        due = self.anomalies.next_timer()
        if due is not None:
            self.timers.add(due)

    def _now(self, watermark: int) -> Now:
        return Now(watermark, watermark, RULES, MARKET, self.memory)


class MarketRun:
    """Some symbols, and what the simulator has of them."""

    def __init__(self, symbols: Sequence[str], thresholds: Thresholds) -> None:
        self.symbols = tuple(symbols)
        self.runs = [SymbolRun(symbol, thresholds) for symbol in symbols]

    @property
    def alerts(self) -> list[Alert]:
        return [alert for run in self.runs for alert in run.alerts]

    def take(
        self, trades: TradeColumns, quotes: QuoteColumns, corrections: Sequence[Correction], watermark: int
    ) -> None:
        """What comes before the watermark does."""
        self._trade(trades)
        self._quote(quotes)
        for correction in corrections:
            packed = trade_log.pack_correction(asdict(correction), 0, 0)
            self.runs[self.symbols.index(correction.symbol)].correct(packed)
        for run in self.runs:
            run.advance(watermark)

    def _trade(self, trades: TradeColumns) -> None:
        """Dedup and slices, as SQL makes them: a late trade is a slice by itself, and those that may be
        corrected are kept apart."""
        if not len(trades):
            return
        windows: dict[tuple[int, int, bool, int], list[int]] = {}
        columns = (trades.symbol, trades.event_time, trades.sequence, trades.correctable)
        for at, (symbol, time, sequence, correctable) in enumerate(
            zip(*(column.tolist() for column in columns), strict=True)
        ):
            run = self.runs[symbol]
            if sequence not in run.seen:
                run.seen.add(sequence)
                run.last_price = float(trades.price[at])
                late = at + 1 if time <= run.watermark else 0
                windows.setdefault((time // SLICE_US, late, correctable, symbol), []).append(at)
        make = _Slices(trades)
        for (_, _, correctable, symbol), rows in sorted(windows.items()):
            self.runs[symbol].take(make.slice(rows, correctable))

    def _quote(self, quotes: QuoteColumns) -> None:
        for symbol, run in enumerate(self.runs):
            rows = np.flatnonzero(quotes.symbol == symbol)
            if len(rows):
                crossed = int((quotes.bid[rows] > quotes.ask[rows]).sum())
                run.alerts += run.quotes.on_quotes(quotes[int(rows[-1])], len(rows), crossed, 0)


class _Slices:
    """Makes slices of the rows of a batch."""

    def __init__(self, trades: TradeColumns) -> None:
        self._trades = trades
        self._keys = order_key.pack(trades.event_time, trades.sequence, trades.price)
        self._times, self._prices = trades.event_time.tolist(), trades.price.tolist()
        self._sizes, self._notionals = _exact(trades.size), _exact(trades.size * trades.price)
        self._skewed = (trades.event_time > trades.received_at + SKEW_US).tolist()

    def slice(self, rows: list[int], correctable: bool) -> Slice:
        return Slice(
            source="simulator",
            event_time=min(self._times[row] for row in rows),
            first=min(self._keys[row] for row in rows),
            last=max(self._keys[row] for row in rows),
            high=max(self._prices[row] for row in rows),
            low=min(self._prices[row] for row in rows),
            volume=sum(self._sizes[row] for row in rows),
            notional=sum(self._notionals[row] for row in rows),
            trades=len(rows),
            events=len(rows),
            skewed=sum(self._skewed[row] for row in rows),
            log="\n".join(self._log(rows)) if correctable else None,
        )

    def _log(self, rows: list[int]) -> list[str]:
        trades, yes = self._trades.rows(np.array(rows)), np.ones(len(rows), dtype=bool)
        ids = [trade.trade_id for trade in trades]
        return trade_log.pack(
            trades.event_time, trades.sequence, trades.price, trades.size, yes, yes, yes, ids, ~yes
        )


def _exact(values: NDArray[np.float64]) -> list[int]:
    units, billionths = amounts.split(values)
    return [amounts.join(unit, rest) for unit, rest in zip(units.tolist(), billionths.tolist(), strict=True)]
