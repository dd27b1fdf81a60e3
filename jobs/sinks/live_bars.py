"""Which candles of a batch are worth a write."""

from collections.abc import Callable, Iterable, Iterator

from schemas.events import Candle
from schemas.intervals import INTERVALS, MINUTE_US

MOST = 15.0
"""Times ``every``: so seldom is the longest bar written."""

MOST_A_SECOND = 200
"""Live bars of a minute, of all symbols. Each is two rows that will be written again; of some hundred symbols
they would cost Cassandra more than all trades. What is newest the API has from Kafka."""


class LiveBars:
    """Lets every final bar through, and of each live one the newest version, at most once in ``every``
    seconds if it is of a minute, of a longer one in as many times that as it has minutes, up to MOST: what
    changes it less is not worth a write of its own, and rows that are rewritten often cost Cassandra
    compaction. With so many symbols that it would be MOST_A_SECOND and more, all of them wait longer.

    What comes sooner is held, and goes with the first batch after its time unless something newer has taken
    its place: a day's bar may be final hours after the last trade, but its last minute's is soon, and brings
    a batch. One candle is held for each symbol and interval, no more.
    """

    def __init__(self, every: float, clock: Callable[[], float]) -> None:
        self._every = every
        self._times = {interval: min(MOST, length / MINUTE_US) for interval, length in INTERVALS.items()}
        self._clock = clock
        self._written: dict[str, dict[str, tuple[int, float]]] = {interval: {} for interval in INTERVALS}
        """interval -> symbol -> (start of the live bar last written, when)"""
        self._held: dict[str, dict[str, Candle]] = {interval: {} for interval in INTERVALS}
        """interval -> symbol -> the live bar that came too soon; the one held longest first"""

    def due(self, candles: Iterable[Candle]) -> list[Candle]:
        """The candles to write now: every final version, and of each live bar the greatest one."""
        now = self._clock()
        finals: list[Candle] = []
        newest: dict[tuple[str, str, int], Candle] = {}
        for candle in (*self._released(now), *candles):
            key = (candle.symbol, candle.interval, candle.start)
            if candle.final:
                finals.append(candle)
            if key not in newest or newest[key].version <= candle.version:
                newest[key] = candle
        live = [candle for candle in newest.values() if self._is_due(candle, now) and not candle.final]
        return finals + live

    def _released(self, now: float) -> Iterator[Candle]:
        for interval, held in self._held.items():
            while held:
                symbol = next(iter(held))
                if now - self._written[interval][symbol][1] < self._pause(interval):
                    break
                yield held.pop(symbol)

    def _is_due(self, candle: Candle, now: float) -> bool:
        symbol, interval = candle.symbol, candle.interval
        held, written = self._held[interval], self._written[interval]
        if candle.final:
            if symbol in held and held[symbol].start <= candle.start:
                del held[symbol]
            return True
        start, at = written.get(symbol, (None, 0.0))
        if start == candle.start and now - at < self._pause(interval):
            held[symbol] = candle
            return False
        held.pop(symbol, None)
        written[symbol] = (candle.start, now)
        return True

    def _pause(self, interval: str) -> float:
        return max(self._every, len(self._written["1m"]) / MOST_A_SECOND) * self._times[interval]
