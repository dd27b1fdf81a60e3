"""The extreme prices of the last seconds, kept so that each question takes a look at one end of a list.

A *staircase* holds of all prices only those that no later price has undercut, so its first entry from a time
on is the least price since then. Of a random walk of n prices some sqrt(n) are left.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field

Point = tuple[int, float]
"""(event time in us, price)"""

MOST_STEPS = 128
"""Of a staircase. Only a market that moves one way, slice after slice, gets there; every second step in the
middle is then left out, and the least price of a time may be judged a step too high."""


@dataclass(slots=True)
class Staircase:
    """The least prices, by time; times do not fall and prices rise. Greatest prices are kept negated."""

    times: list[int] = field(default_factory=list)
    prices: list[float] = field(default_factory=list)

    def add(self, time: int, price: float) -> None:
        """Takes up a price, of whatever time."""
        at = bisect_right(self.times, time)
        if at < len(self.times) and self.prices[at] <= price:
            return
        first = at
        while first and self.prices[first - 1] >= price:
            first -= 1
        self.times[first:at] = [time]
        self.prices[first:at] = [price]
        if len(self.times) > MOST_STEPS:
            del self.times[1:-1:2]
            del self.prices[1:-1:2]

    def expire(self, before: int) -> None:
        """Drops what is older."""
        if self.times and self.times[0] < before:
            count = bisect_left(self.times, before)
            del self.times[:count]
            del self.prices[:count]

    def least(self, since: int, until: int) -> Point | None:
        """The least price in ``[since, until]`` of those that no price after ``until`` has undercut."""
        at = bisect_left(self.times, since)
        if at == len(self.times) or self.times[at] > until:
            return None
        return self.times[at], self.prices[at]

    def raise_to(self, start: int, end: int, floor: float | None) -> None:
        """Corrects what was taken up of ``[start, end)``: nothing there was below ``floor``; None: nothing
        was there at all. What a price that never was had undercut is not known any more."""
        at = bisect_left(self.times, start)
        if at == len(self.times) or self.times[at] >= end:
            return
        if floor is not None and self.prices[at] >= floor:
            return
        points = list(zip(self.times, self.prices, strict=True))
        self.times.clear()
        self.prices.clear()
        for time, price in points:
            if not start <= time < end:
                self.add(time, price)
            elif floor is not None:
                self.add(time, max(price, floor))


@dataclass(slots=True)
class PriceWindow:
    """The least and greatest prices of the last ``length`` us of a symbol's slices."""

    length: int
    newest: int = 0
    lows: Staircase = field(default_factory=Staircase)
    highs: Staircase = field(default_factory=Staircase)
    """Negated."""

    def add(self, time: int, high: float, low: float) -> None:
        """Takes up a slice, unless it is older than the window."""
        self.newest = max(self.newest, time)
        since = self.newest - self.length
        self.lows.expire(since)
        self.highs.expire(since)
        if time >= since:
            self.lows.add(time, low)
            self.highs.add(time, -high)

    def least(self, since: int, until: int) -> Point | None:
        """Where the least price of that time was, as far as it is known."""
        return self.lows.least(since, until)

    def greatest(self, since: int, until: int) -> Point | None:
        """Likewise the greatest."""
        point = self.highs.least(since, until)
        return None if point is None else (point[0], -point[1])

    def correct(self, start: int, end: int, high: float | None, low: float | None) -> None:
        """A bar ``[start, end)`` turned out to have these extremes."""
        self.lows.raise_to(start, end, low)
        self.highs.raise_to(start, end, None if high is None else -high)

    def dump(self) -> list[object]:
        return [self.newest, self.lows.times, self.lows.prices, self.highs.times, self.highs.prices]

    def load(self, fields: Iterable[object]) -> None:
        self.newest, self.lows.times, self.lows.prices, self.highs.times, self.highs.prices = fields  # type: ignore[assignment]
