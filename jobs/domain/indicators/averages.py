"""Averages that are carried on from value to value."""


class SeededAverage:
    """An exponential average that begins as the simple mean of its first ``period`` values.

    From then on ``average += weight * (value - average)``. A weight of 2 / (period + 1) makes the usual EMA,
    1 / period Wilder's smoothing (J. Welles Wilder, New Concepts in Technical Trading Systems, 1978).

    It holds nothing itself: the caller keeps the number of values so far and one number, which is their sum
    until the average is defined, and the average from then on.
    """

    def __init__(self, period: int, weight: float) -> None:
        self.period = period
        self.weight = weight

    def add(self, count: int, carried: float, value: float) -> float:
        """The number to carry on once ``value`` has come after ``count`` others."""
        if count >= self.period:
            return carried + self.weight * (value - carried)
        total = carried + value
        return total / self.period if count + 1 == self.period else total


def exponential(period: int) -> SeededAverage:
    """The EMA of ``period`` values."""
    return SeededAverage(period, 2 / (period + 1))


def wilder(period: int) -> SeededAverage:
    """Wilder's average of ``period`` values."""
    return SeededAverage(period, 1 / period)
