"""The simulator's market through the jobs' own domain: slices, bars of all intervals, anomalies."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from jobs.domain import amounts, order_key
from jobs.domain.anomalies import QuoteAnomalies, SliceSeen, SymbolAnomalies, Thresholds
from jobs.domain.bars import Change, Market, Memory, Now, Rules, Slice, SymbolBars
from jobs.domain.indicators import Indicators
from jobs.domain.quality import QualityRules
from producer.simulator import market as simulated
from producer.simulator.columns import QuoteColumns, TradeColumns
from producer.simulator.scenarios import Events, Scenarios
from schemas.events import Alert
from schemas.sessions import UtcCalendar

START_US = 1_723_161_600_000_000
SECOND_US = 1_000_000
SLICE_US = 200_000
DELAY_US = 70_000
"""Of the watermark: the provider's allowed delay and that of the job."""
SKEW_US = 500_000
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
        return Now(watermark, watermark, Rules(), MARKET, self.memory)


class MarketRun:
    """A simulated market of some symbols, seeded; a batch is a second of it."""

    def __init__(
        self, symbols: Sequence[str], trades_per_second: int, quotes_per_second: int, thresholds: Thresholds
    ) -> None:
        self.symbols = tuple(symbols)
        self.runs = [SymbolRun(symbol, thresholds) for symbol in symbols]
        self._market = simulated.Market(self.symbols, 42, trades_per_second)
        self._rates = trades_per_second, quotes_per_second
        self._now = START_US

    @property
    def alerts(self) -> list[Alert]:
        return [alert for run in self.runs for alert in run.alerts]

    def run(self, seconds: int, scenarios: Scenarios | None = None) -> None:
        """Goes on for so long."""
        for _ in range(seconds):
            begin, self._now = self._now, self._now + SECOND_US
            trade_times, quote_times = (
                begin + SECOND_US * np.arange(1, rate + 1, dtype=np.int64) // rate for rate in self._rates
            )
            events = Events(
                self._market.trades(trade_times, self._now), self._market.quotes(quote_times, self._now)
            )
            if scenarios is not None:
                events = scenarios.apply(events, self._now)
            self._trade(events.trades)
            self._quote(events.quotes)
            for run in self.runs:
                run.advance(self._now - DELAY_US)

    def _trade(self, trades: TradeColumns) -> None:
        """Dedup and slices, as SQL makes them; a late trade is a slice by itself."""
        keys = order_key.pack(trades.event_time, trades.sequence, trades.price)
        sizes, notionals = (_exact(values) for values in (trades.size, trades.size * trades.price))
        windows: dict[tuple[int, int, int], list[int]] = {}
        for at, (symbol, time, sequence) in enumerate(
            zip(trades.symbol.tolist(), trades.event_time.tolist(), trades.sequence.tolist(), strict=True)
        ):
            run = self.runs[symbol]
            if sequence not in run.seen:
                run.seen.add(sequence)
                late = at + 1 if time <= run.watermark else 0
                windows.setdefault((time // SLICE_US, late, symbol), []).append(at)
        times, prices = trades.event_time.tolist(), trades.price.tolist()
        skewed = (trades.event_time > trades.received_at + SKEW_US).tolist()
        for (_, _, symbol), rows in sorted(windows.items()):
            self.runs[symbol].take(
                Slice(
                    source="simulator",
                    event_time=min(times[row] for row in rows),
                    first=min(keys[row] for row in rows),
                    last=max(keys[row] for row in rows),
                    high=max(prices[row] for row in rows),
                    low=min(prices[row] for row in rows),
                    volume=sum(sizes[row] for row in rows),
                    notional=sum(notionals[row] for row in rows),
                    trades=len(rows),
                    events=len(rows),
                    skewed=sum(skewed[row] for row in rows),
                )
            )

    def _quote(self, quotes: QuoteColumns) -> None:
        for symbol, run in enumerate(self.runs):
            rows = np.flatnonzero(quotes.symbol == symbol)
            if len(rows):
                crossed = int((quotes.bid[rows] > quotes.ask[rows]).sum())
                run.alerts += run.quotes.on_quotes(quotes[int(rows[-1])], len(rows), crossed, self._now)


def _exact(values: np.typing.NDArray[np.float64]) -> list[int]:
    units, billionths = amounts.split(values)
    return [amounts.join(unit, rest) for unit, rest in zip(units.tolist(), billionths.tolist(), strict=True)]
