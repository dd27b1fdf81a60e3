"""The life of bars: from slices of trades to live, final and corrected candles of every interval.

A *slice* is what SQL sums up over a fifth of a second of one symbol, or one late trade by itself. Each slice
is applied to the bar of every interval that holds it. A bar is live until the watermark passes its end plus
the grace, then final; a trade that comes later, within the horizon, makes a new final version.

``version`` = 2 x (events applied to this symbol and interval up to and including this bar) + final. It
depends on the set of trades alone, not on their order: a replay ends with the same versions. It counts the
earlier bars too because later values (indicators) hang on them: a correction of one bar makes new versions
of all the final bars after it.

All times are microseconds since 1970 UTC.
"""

from dataclasses import dataclass, field

from jobs.domain.amounts import to_float
from jobs.domain.order_key import price_of
from schemas.events import Candle
from schemas.intervals import INTERVALS

FIRST_INTERVAL = next(iter(INTERVALS))
VERSIONS_PER_GENERATION = 2**33


@dataclass(frozen=True, slots=True)
class Rules:
    """When a bar is final, how long it may be corrected, and how often a live one is shown."""

    grace: int = 500_000
    horizon: int = 300_000_000
    dedup_memory: int = 600_000_000
    live_every: int = 1_000_000
    """Least event time between live versions of the longer intervals; 1m goes out with every slice."""
    generation: int = 0


@dataclass(frozen=True, slots=True)
class Slice:
    """Trades of one symbol and source that no bar boundary divides.

    ``first`` and ``last`` are order keys (see order_key), None where no trade may set a price, as are
    ``high`` and ``low``. ``volume`` and ``notional`` are billionths. ``trades`` counts what sets a price or
    adds volume, ``events`` everything.
    """

    source: str
    event_time: int
    first: str | None
    last: str | None
    high: float | None
    low: float | None
    volume: int
    notional: int
    trades: int
    events: int


@dataclass(slots=True)
class Bar:
    """One bar while it can still change; the same fields as a slice, merged."""

    start: int
    first: str | None = None
    last: str | None = None
    high: float | None = None
    low: float | None = None
    volume: int = 0
    notional: int = 0
    trades: int = 0
    events: int = 0
    final: bool = False
    sources: tuple[str, ...] = ()

    def add(self, part: Slice) -> None:
        """Merges a slice; merging is commutative and associative."""
        if (
            part.first is not None
            and part.last is not None
            and part.high is not None
            and part.low is not None
        ):
            self.first = part.first if self.first is None else min(self.first, part.first)
            self.last = part.last if self.last is None else max(self.last, part.last)
            self.high = part.high if self.high is None else max(self.high, part.high)
            self.low = part.low if self.low is None else min(self.low, part.low)
        self.volume += part.volume
        self.notional += part.notional
        self.trades += part.trades
        self.events += part.events
        if part.source not in self.sources:
            self.sources = tuple(sorted((*self.sources, part.source)))


@dataclass(slots=True)
class Change:
    """What applying a slice brought about."""

    candles: list[Candle] = field(default_factory=list)
    """To publish, in this order."""
    timers: list[int] = field(default_factory=list)
    """When, by the watermark, ``advance`` must be called because of it."""


class TooLateError(Exception):
    """A trade that came when its bar could no longer be corrected; the message says by how much."""


@dataclass(slots=True)
class SymbolBars:
    """The bars of one symbol that can still change, and what of the others the versions need."""

    bars: dict[str, dict[int, Bar]] = field(default_factory=lambda: {interval: {} for interval in INTERVALS})
    """interval -> start -> bar"""
    dropped_events: dict[str, int] = field(default_factory=lambda: dict.fromkeys(INTERVALS, 0))
    """interval -> events of the bars that are out of reach and forgotten"""
    greatest_event_time: int = 0
    watermark: int = 0
    """The greatest that this symbol has seen. After a restart Flink knows none until every partition has been
    read; what was final by then must stay final."""
    live_shown_at: int = 0
    live_is_due: bool = False
    """A longer interval has changed since it was last shown."""

    def apply(self, symbol: str, part: Slice, watermark: int, rules: Rules) -> Change:
        """Adds a slice to its bar of every interval.

        Raises TooLateError, changing nothing, for a slice beyond the horizon of the symbol's greatest event
        time, or so old that the dedup before us may have forgotten that it let it through.
        """
        watermark = max(watermark, self.watermark)
        self._refuse_late(part, watermark, rules)
        self.watermark = watermark
        self.greatest_event_time = max(self.greatest_event_time, part.event_time)
        now = max(watermark, self.greatest_event_time)
        show_longer = now - self.live_shown_at >= rules.live_every
        was_due = self.live_is_due
        change = Change()
        for interval, length in INTERVALS.items():
            start = part.event_time - part.event_time % length
            final_at = start + length + rules.grace
            bar = self.bars[interval].get(start)
            if bar is None:
                bar = self.bars[interval][start] = Bar(start)
                if final_at > watermark:
                    change.timers.append(final_at)
            bar.add(part)
            if final_at <= watermark:
                bar.final = True
                change.candles += self._finals_from(symbol, interval, start, rules)
            elif interval == FIRST_INTERVAL or show_longer:
                change.candles.append(self._candle(symbol, interval, bar, rules))
            else:
                self.live_is_due = True
        if show_longer:
            self.live_shown_at = now
            self.live_is_due = False
        elif self.live_is_due and not was_due:
            change.timers.append(self.live_shown_at + rules.live_every)
        return change

    def advance(self, symbol: str, watermark: int, rules: Rules) -> list[Candle]:
        """Makes final what the watermark has passed, shows live bars that are due, forgets what is out of
        reach; returns the candles to publish."""
        watermark = self.watermark = max(watermark, self.watermark)
        candles = []
        for interval, length in INTERVALS.items():
            for start in sorted(self.bars[interval]):
                bar = self.bars[interval][start]
                if not bar.final and start + length + rules.grace <= watermark:
                    bar.final = True
                    candles.append(self._candle(symbol, interval, bar, rules))
        if self.live_is_due and watermark - self.live_shown_at >= rules.live_every:
            candles += self._live_longer(symbol, rules)
            self.live_shown_at = watermark
            self.live_is_due = False
        self._forget(rules)
        return candles

    def _refuse_late(self, part: Slice, watermark: int, rules: Rules) -> None:
        behind = self.greatest_event_time - part.event_time
        if behind > rules.horizon:
            raise TooLateError(
                f"{behind / 1e6:.3f} s behind the symbol's latest trade; bars are corrected for"
                f" {rules.horizon / 1e6:g} s (HORIZON_SECONDS)"
            )
        if watermark - part.event_time > rules.dedup_memory:
            raise TooLateError(
                f"{(watermark - part.event_time) / 1e6:.3f} s behind the watermark; beyond"
                f" {rules.dedup_memory / 1e6:g} s (DEDUP_MEMORY_SECONDS) a repeated trade is not recognised"
            )

    def _finals_from(self, symbol: str, interval: str, start: int, rules: Rules) -> list[Candle]:
        """A corrected final bar and every final bar after it: their versions count its events too."""
        bars = self.bars[interval]
        return [
            self._candle(symbol, interval, bars[later], rules)
            for later in sorted(bars)
            if later >= start and bars[later].final
        ]

    def _live_longer(self, symbol: str, rules: Rules) -> list[Candle]:
        return [
            self._candle(symbol, interval, bar, rules)
            for interval, bars in self.bars.items()
            if interval != FIRST_INTERVAL
            for _, bar in sorted(bars.items())
            if not bar.final
        ]

    def _candle(self, symbol: str, interval: str, bar: Bar, rules: Rules) -> Candle:
        applied = self.dropped_events[interval] + sum(
            other.events for start, other in self.bars[interval].items() if start <= bar.start
        )
        return Candle(
            symbol=symbol,
            interval=interval,
            start=bar.start,
            end=bar.start + INTERVALS[interval],
            open=None if bar.first is None else price_of(bar.first),
            high=bar.high,
            low=bar.low,
            close=None if bar.last is None else price_of(bar.last),
            volume=to_float(bar.volume),
            notional=to_float(bar.notional),
            vwap=bar.notional / bar.volume if bar.volume else None,
            trades=bar.trades,
            final=bar.final,
            version=rules.generation * VERSIONS_PER_GENERATION + 2 * applied + bar.final,
            sources=bar.sources,
        )

    def _forget(self, rules: Rules) -> None:
        """Drops final bars that no trade within the horizon can reach, keeping their events in the count."""
        reach = self.greatest_event_time - rules.horizon
        for interval, length in INTERVALS.items():
            bars = self.bars[interval]
            for start in [start for start, bar in bars.items() if bar.final and start + length <= reach]:
                self.dropped_events[interval] += bars.pop(start).events
