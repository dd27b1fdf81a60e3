"""Which candles of a batch are worth a write."""

from collections.abc import Callable, Iterable

from schemas.events import Candle


class LiveBars:
    """Lets every final bar through, and of each live one the newest version, at most once in ``every``
    seconds: rows that are rewritten often cost Cassandra compaction.

    Skipping is safe: a live bar is followed by its next version or its final one.
    """

    def __init__(self, every: float, clock: Callable[[], float]) -> None:
        self._every = every
        self._clock = clock
        self._written: dict[tuple[str, str], tuple[int, float]] = {}
        """(symbol, interval) -> (start of the live bar last written, when)"""

    def due(self, candles: Iterable[Candle]) -> list[Candle]:
        """The candles to write now: of each bar the greatest version."""
        newest: dict[tuple[str, str, int], Candle] = {}
        for candle in candles:
            key = (candle.symbol, candle.interval, candle.start)
            if key not in newest or newest[key].version <= candle.version:
                newest[key] = candle
        now = self._clock()
        return [candle for candle in newest.values() if candle.final or self._is_due(candle, now)]

    def _is_due(self, candle: Candle, now: float) -> bool:
        key = (candle.symbol, candle.interval)
        start, at = self._written.get(key, (None, 0.0))
        if start == candle.start and now - at < self._every:
            return False
        self._written[key] = (candle.start, now)
        return True
