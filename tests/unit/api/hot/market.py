"""A feed, a store and a clock that the test turns."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry

from api.errors import StorageUnavailable
from api.hot.candles import SETTLE_SECONDS, CandleCache
from api.live.continuity import Continuity
from api.live.messages import from_event
from api.metrics import CacheMetrics
from api.models import Candle as CandleModel
from api.store import Span
from api.times import to_datetime
from schemas.events import Candle
from schemas.intervals import MINUTE_US
from tests.unit.api.live.events import NOON

T = TypeVar("T")
ALL = Span(0, NOON + 10_000 * MINUTE_US)


def model(bar: Candle) -> CandleModel:
    """As Cassandra's reader gives it."""
    return CandleModel(
        symbol=bar.symbol, interval=bar.interval, start=to_datetime(bar.start), end=to_datetime(bar.end),
        open=bar.open, high=bar.high, low=bar.low, close=bar.close, volume=bar.volume,
        notional=bar.notional, vwap=bar.vwap, trades=bar.trades, final=bar.final, version=bar.version,
        sources=list(bar.sources), late_trades=bar.late_trades, updated_at=to_datetime(bar.updated_at),
        quality=bar.quality, observed=bar.observed, indicators=dict(bar.indicators),
    )  # fmt: skip


class Market:
    """Time stands still unless ``wait`` moves it."""

    def __init__(self, max_bars: int = 10_000) -> None:
        self.micros = NOON
        self.seconds = 1000.0
        self.stored: dict[tuple[str, str], dict[int, Candle]] = {}
        self.reads: list[tuple[str, str]] = []
        self.away = False
        self.gate: asyncio.Event | None = None
        self.continuity = Continuity(lambda: self.micros, lambda: self.seconds)
        self.continuity.begin({0})
        self.continuity.connected = True
        self.metrics = CacheMetrics(CollectorRegistry())
        self.cache = CandleCache(self.load, self.continuity, self.metrics, max_bars)
        self.wait(SETTLE_SECONDS)

    def wait(self, seconds: float) -> None:
        """Time goes by; the producer's heartbeats come."""
        self.seconds += seconds
        self.micros += int(seconds * 1e6)
        self.continuity.ticked(0, self.micros // 1000)

    def feed(self, *bars: Candle) -> None:
        for bar in bars:
            self.cache.add(from_event(bar))

    def store(self, *bars: Candle) -> None:
        """As the store job writes: a greater version stays."""
        for bar in bars:
            table = self.stored.setdefault((bar.symbol, bar.interval), {})
            if bar.start not in table or table[bar.start].version < bar.version:
                table[bar.start] = bar

    async def load(self, symbol: str, interval: str, limit: int) -> list[CandleModel]:
        self.reads.append((symbol, interval))
        if self.away:
            raise StorageUnavailable("away")
        table = self.stored.get((symbol, interval), {})
        newest = [table[start] for start in sorted(table, reverse=True)[:limit]]
        if self.gate is not None:
            await self.gate.wait()
        return [model(bar) for bar in newest]

    def page(
        self, limit: int = 100, span: Span = ALL, symbol: str = "AAPL", interval: str = "1m"
    ) -> list[tuple[int, int]] | None:
        """Number of the minute and version of each bar."""
        held = run(self.cache.page(symbol, interval, span, limit))
        return held and [((bar.start - NOON) // MINUTE_US, bar.version) for bar in held]

    def counted(self) -> dict[str, int]:
        return {result: count for (_, result), count in self.metrics.counts.items()}


_LOOP = asyncio.new_event_loop()


def run(steps: Coroutine[Any, Any, T]) -> T:
    """On one loop: fills in the background go on with the next step."""
    return _LOOP.run_until_complete(steps)
