"""The budget of live bars: how many may be shown in a second, over all symbols."""

from collections.abc import Callable


class LiveBudget:
    """A token bucket: ``per_second`` live candles on average, and as many at once after a quiet second.

    Only live versions ask it. What it refuses stays due, and is shown by a later trade or timer; final bars
    and corrections never wait.
    """

    def __init__(self, per_second: float, monotonic: Callable[[], float]) -> None:
        self._per_second = per_second
        self._monotonic = monotonic
        self._left = per_second
        self._filled_at = monotonic()

    def may_show(self, count: int) -> bool:
        """Whether ``count`` live candles may be shown now; then they are counted."""
        now = self._monotonic()
        self._left = min(self._per_second, self._left + (now - self._filled_at) * self._per_second)
        self._filled_at = now
        if count > self._left:
            return False
        self._left -= count
        return True
