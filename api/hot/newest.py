"""The newest bar of a symbol, from where REST answers."""

from api.hot.bars import from_store
from api.hot.candles import PRICES, CandleCache
from api.live.current import Bar
from api.store import Span, Store


class NewestBars:
    """From memory where that has all bars, otherwise from Cassandra."""

    def __init__(self, candles: CandleCache, store: Store) -> None:
        self._candles = candles
        self._store = store

    async def read(self, symbol: str, interval: str) -> Bar | None:
        """The newest bar with its indicators; None: there is none. Raises StorageUnavailable."""
        everything = Span(0, self._store.latest())
        held = self._candles.held(symbol, interval, everything, 1, PRICES)
        if held is None:
            rows = await self._store.candles(symbol, interval, everything, 1, indicators=True)
            held = [from_store(row) for row in rows]
        return Bar(held[0].start, held[0].version, held[0].data.decode()) if held else None
