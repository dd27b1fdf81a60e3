"""What trades add up to: the slice that SQL makes of them, and totals that merge in any order."""

from typing import NamedTuple


class Slice(NamedTuple):
    """Trades of one symbol and source that no minute divides, all correctable or none.

    ``first`` and ``last`` are order keys (see order_key), None where no trade may set open and close;
    ``high`` and ``low`` are None where none may set those. ``volume`` and ``notional`` are billionths.
    ``trades`` counts what sets a price or adds volume, ``events`` everything, ``skewed`` those whose clock
    was off. ``log`` is the text of trade_log for the same trades, where their source sends cancels.
    ``on_time``: no watermark had passed them when they were summed.
    """

    source: str
    event_time: int
    first: str | None
    last: str | None
    high: float | None
    low: float | None
    volume: int
    notional: int
    trades: int
    events: int
    skewed: int = 0
    log: str | None = None
    on_time: bool = False


class Totals(NamedTuple):
    """What any number of slices add up to; the fields of a slice, and

    ``undone``: events that only versions count: corrections, and the trades that they cancelled. ``events``
    does not have them, so that a trade that was cancelled leaves nothing behind.
    """

    first: str | None
    last: str | None
    high: float | None
    low: float | None
    volume: int
    notional: int
    trades: int
    events: int
    skewed: int
    sources: tuple[str, ...]
    undone: int

    def merge(self, other: "Totals") -> "Totals":
        """Commutative and associative, to the last digit: sums are integers, and nothing else is computed."""
        first, last, high, low = self.first, self.last, self.high, self.low
        if other.first is not None and (first is None or other.first < first):
            first = other.first
        if other.last is not None and (last is None or other.last > last):
            last = other.last
        if other.high is not None and (high is None or other.high > high):
            high = other.high
        if other.low is not None and (low is None or other.low < low):
            low = other.low
        sources = self.sources
        if other.sources != sources:
            sources = tuple(sorted({*sources, *other.sources}))
        return Totals(
            first, last, high, low, self.volume + other.volume, self.notional + other.notional,
            self.trades + other.trades, self.events + other.events, self.skewed + other.skewed, sources,
            self.undone + other.undone,
        )  # fmt: skip


NOTHING = Totals(None, None, None, None, 0, 0, 0, 0, 0, (), 0)
"""The totals of no trades at all."""


def of_slice(part: Slice) -> Totals:
    """The totals of one slice."""
    return Totals(
        part.first, part.last, part.high, part.low, part.volume, part.notional, part.trades, part.events,
        part.skewed, (part.source,), 0,
    )  # fmt: skip
