"""Which slices of the market the bars have shown, and how late. Nothing here knows of Kafka or of clocks.

Every slice counts, from its last trade to the first bar that holds it: also one that was never shown by
itself, because the bars put it together with the next, or had no time for its live bar.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

MINUTE_S = 60
PAUSE_S = 1.0
"""Where no trade was looked at for so long, none is taken for it."""


class Sampling:
    """One trade in so much of the market's time, also of those that come together after a pause of whoever
    reads them."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._next = 0.0

    def takes(self, at: float) -> bool:
        """Whether a trade of ``at`` (s since 1970) is one; they come in the order of the market."""
        if at - self._next > PAUSE_S:
            self._next = at
        if at < self._next:
            return False
        self._next += self._every_s
        return True


class Shown(NamedTuple):
    """A slice whose last trade was at ``at`` (s since 1970). ``alone``: a bar was shown that ends with it."""

    at: float
    alone: bool


@dataclass(slots=True)
class _Minute:
    """Event times (s) of the trades of a symbol so far, in the order of the market."""

    times: list[float] = field(default_factory=list)
    covered: int = 0
    before: int | None = None
    """Trades of all minutes before it, which the versions of its bar count, too."""


class Slices:
    """Of all symbols of a partition of the trades, read from ``since`` (s since 1970) on. Of minutes that had
    begun by then the first trades are not known, so they are left out."""

    def __init__(self, slice_ms: int, since: float) -> None:
        self._slice_ms = slice_ms
        self.first_minute = int(-(-since // MINUTE_S))
        self._minutes: dict[bytes, dict[int, _Minute]] = defaultdict(dict)
        self.unmatched = 0
        """Trades that were not in the final bar of their minute."""

    @property
    def symbols(self) -> int:
        """So many have traded."""
        return len(self._minutes)

    def traded(self, symbol: bytes, at: float) -> None:
        """A trade has come."""
        number = int(at) // MINUTE_S
        if number < self.first_minute:
            return
        minutes = self._minutes[symbol]
        minute = minutes.get(number)
        if minute is None:
            minute = minutes[number] = _Minute()
        minute.times.append(at)

    def shown(self, symbol: bytes, number: int, trades: int, version: int, *, final: bool) -> list[Shown]:
        """The slices that a version of the bar of a minute is the first to hold; it has so many trades."""
        minutes = self._minutes.get(symbol, {})
        minute = minutes.get(number)
        if minute is None:
            return []
        minute.before = version // 2 - trades
        times, found = minute.times, []
        trades = min(trades, len(times))  # bars may be read before the trades that they hold
        for place in range(minute.covered, trades):
            last = place == trades - 1
            if last or self._slice(times[place]) != self._slice(times[place + 1]):
                found.append(Shown(times[place], last))
        minute.covered = max(minute.covered, trades)
        if final:
            self.unmatched += len(times) - minute.covered
            del minutes[number]
        return found

    def began(self, symbol: bytes, number: int, version: int) -> float | None:
        """When the slice began that a version of a bar ends with; None where that is not known."""
        minute = self._minutes.get(symbol, {}).get(number)
        if minute is None or minute.before is None:
            return None
        trades = version // 2 - minute.before
        if not 0 < trades <= len(minute.times):
            return None
        last = self._slice(minute.times[trades - 1])
        return next(at for at in minute.times if self._slice(at) == last)

    def waiting(self) -> Iterator[float]:
        """Of each minute with trades that no bar holds yet, when the first of these was."""
        for minutes in self._minutes.values():
            for minute in minutes.values():
                if minute.covered < len(minute.times):
                    yield minute.times[minute.covered]

    def give_up(self, before: float) -> list[float]:
        """The last trades of slices until ``before`` that no bar holds; they are waited for no longer."""
        found: list[float] = []
        for minutes in self._minutes.values():
            for minute in minutes.values():
                times = [at for at in minute.times[minute.covered :] if at < before]
                found += [
                    at
                    for at, after in zip(times, [*times[1:], None], strict=True)
                    if after is None or self._slice(at) != self._slice(after)
                ]
                minute.covered += len(times)
        return found

    def _slice(self, at: float) -> int:
        return round(at * 1e3) // self._slice_ms
