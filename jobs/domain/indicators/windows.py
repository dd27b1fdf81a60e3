"""Indicators that are made of the last closes alone, anew each time: no running sum that could drift.

Closes are always added up oldest first, so the same closes give the same bits.
"""

import math
from abc import ABC, abstractmethod
from array import array


class WindowIndicator(ABC):
    """An indicator of the last ``length`` closes."""

    names: tuple[str, ...]
    length: int

    @abstractmethod
    def read(self, window: "array[float]") -> tuple[float, ...]:
        """The values, in the order of ``names``, of exactly ``length`` closes, oldest first."""


class Sma(WindowIndicator):
    """Simple moving average: the mean of the last ``period`` closes."""

    def __init__(self, period: int) -> None:
        self.names = (f"sma_{period}",)
        self.length = period

    def read(self, window: "array[float]") -> tuple[float]:
        return (sum(window) / self.length,)


class Bollinger(WindowIndicator):
    """Bands ``deviations`` population standard deviations around the mean of the last ``period`` closes.

    John Bollinger, Bollinger on Bollinger Bands, 2001: 20 and 2, with the population's deviation.
    """

    def __init__(self, period: int, deviations: float) -> None:
        suffix = f"{period}_{str(deviations).removesuffix('.0')}"
        self.names = (f"bollinger_upper_{suffix}", f"bollinger_middle_{suffix}", f"bollinger_lower_{suffix}")
        self.length = period
        # sqrt(sum of squares / n) is the Euclidean distance to the mean / sqrt(n).
        self._scale = deviations / math.sqrt(period)

    def read(self, window: "array[float]") -> tuple[float, float, float]:
        middle = sum(window) / self.length
        width = self._scale * math.dist(window, (middle,) * self.length)
        return middle + width, middle, middle - width
