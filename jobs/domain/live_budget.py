"""The budget of live bars: how many may be shown in a second, over all symbols, and how soon after one
another those of a symbol that is behind."""

from collections.abc import Callable

LATE_SHARE = 0.25
"""Of how late a symbol's live bars are, they wait for one another: who is two seconds behind shows two a
second instead of five, and has the more time for catching up. On time, that is less than a slice."""
LONGEST_S = 1.0
DEARER_EVERY_S = 5.0
"""So late, a live bar takes twice as much of the budget, three times as much twice as late. While a log is
made up for nobody waits for what a bar was then, and of thousands of symbols they would take most of the
time."""
DEAREST = 10.0
RESERVED = 0.5
"""Of the bucket: so much is left to the bars of a minute, which go out with every slice. With many symbols it
is the longer bars that go out more seldom."""


class LiveBudget:
    """A token bucket: ``per_second`` live candles on average, and as many at once after a quiet second.

    Only live versions ask it; late ones take more than a token each. What it refuses stays due, and is shown
    by a later trade or timer; final bars and corrections never wait.
    """

    def __init__(self, per_second: float, monotonic: Callable[[], float]) -> None:
        self._per_second = per_second
        self._monotonic = monotonic
        self._left = per_second
        self._filled_at = monotonic()
        self._shown_at: dict[str, float] = {}  # by symbol

    def may_show(self, symbol: str, late_s: float, count: int) -> bool:
        """Whether ``count`` live candles of a symbol, that come so many seconds after their newest trade, may
        be shown now; then they are counted. More than one: longer bars are among them."""
        now, late_s = self._monotonic(), max(0.0, late_s)
        pause = min(LONGEST_S, late_s * LATE_SHARE)
        if now - self._shown_at.get(symbol, float("-inf")) < pause:
            return False
        self._left = min(self._per_second, self._left + (now - self._filled_at) * self._per_second)
        self._filled_at = now
        if count > self._left or (count > 1 and self._left < self._per_second * RESERVED):
            return False
        self._left -= count * min(DEAREST, 1.0 + late_s / DEARER_EVERY_S)
        self._shown_at[symbol] = now
        return True
