"""The newest bar as a snapshot has it."""

import asyncio
from typing import Any, cast

from api.hot.newest import NewestBars
from api.models import Candle as CandleModel
from api.store import Span, Store
from tests.unit.api.hot.market import ALL, Market, model
from tests.unit.api.live.events import NOON, candle


class Storage:
    """Cassandra, read past the memory."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.asked: list[tuple[Any, ...]] = []

    def latest(self) -> int:
        return ALL.end

    async def candles(
        self, symbol: str, interval: str, span: Span, limit: int, *, indicators: bool
    ) -> list[CandleModel]:
        self.asked.append((symbol, interval, span, limit, indicators))
        held = self.market.stored.get((symbol, interval), {})
        return [model(held[start]) for start in sorted(held, reverse=True)][:limit]


def test_the_newest_bar_comes_from_memory_or_from_cassandra() -> None:
    """The same as REST has, indicators included."""

    async def run() -> None:
        market = Market()
        storage = Storage(market)
        newest = NewestBars(market.cache, cast(Store, storage))
        assert await newest.read("AAPL", "1m") is None
        bars = [candle(3, bar=0, final=True), candle(4, bar=1)]
        market.stored["AAPL", "1m"] = {bar.start: bar for bar in bars}
        read = await newest.read("AAPL", "1m")
        assert read is not None
        assert (read.start, read.version) == (NOON + 60_000_000, 4)
        assert '"indicators":{"rsi_14":54.25}' in read.data
        assert storage.asked == [("AAPL", "1m", ALL, 1, True)] * 2
        market.feed(candle(6, bar=1))
        assert await market.cache.page("AAPL", "1m", ALL, 1)
        read = await newest.read("AAPL", "1m")
        assert read is not None
        assert read.version == 6
        assert len(storage.asked) == 2

    asyncio.run(run())
