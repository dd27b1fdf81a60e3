"""The gap ledger: what was not observed, as records that a reader finds again."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from schemas.events import Gap, GapReason
from schemas.validation import gap_limit

TOLD_EVERY_US = 60_000_000
"""While a hole is open, it is told again how far it has come this often."""


@dataclass(slots=True)
class _Hole:
    """``start`` is that of the newest record: whole hours behind it are told already."""

    source: str
    reason: GapReason
    detail: str
    start: int
    told: int


class Missed(NamedTuple):
    """What of ``symbol`` a source did not tell: ``[start, end)`` of the market's time, and why."""

    symbol: str
    source: str
    start: int
    end: int
    reason: GapReason
    detail: str


class Holes:
    """Opens, extends and closes the holes of all symbols, at most one of each at a time, and hands out what
    is to be recorded. A record reaches no further than the next full hour of UTC: a longer hole is several,
    without anything between them."""

    def __init__(self) -> None:
        self._open: dict[str, _Hole] = {}
        self._gaps: list[Gap] = []

    def is_open(self, symbol: str) -> bool:
        return symbol in self._open

    def open(self, missed: Missed, now: int) -> None:
        """Nothing is observed since its start. Without effect where that is known already."""
        if missed.symbol not in self._open:
            hole = _Hole(missed.source, missed.reason, missed.detail, missed.start, missed.start)
            self._open[missed.symbol] = hole
            self._tell(missed.symbol, hole, max(missed.start, missed.end), now, closed=False)

    def resume(self, gap: Gap, now: int) -> None:
        """A gap that an earlier run has left open goes on. Of several of a symbol, which come by their ends,
        the last one does; the others end where they were told to have come."""
        if (hole := self._open.get(gap.symbol)) is not None:
            self.close(gap.symbol, hole.told, now)
        self._open[gap.symbol] = _Hole(gap.source, gap.reason, gap.detail, gap.start, gap.end)

    def extend(self, symbol: str, end: int, now: int) -> None:
        """Still nothing at ``end``: told where it is a while since the last time."""
        hole = self._open.get(symbol)
        if hole is not None and end - hole.told >= TOLD_EVERY_US:
            self._tell(symbol, hole, end, now, closed=False)

    def close(self, symbol: str, end: int, now: int) -> None:
        """It is observed again since ``end``."""
        hole = self._open.pop(symbol, None)
        if hole is not None:
            self._tell(symbol, hole, max(hole.start, end), now, closed=True)

    def add(self, missed: Missed, now: int) -> None:
        """A hole that is known from its start to its end."""
        hole = _Hole(missed.source, missed.reason, missed.detail, missed.start, missed.start)
        self._tell(missed.symbol, hole, max(missed.start, missed.end), now, closed=True)

    def drain(self) -> list[Gap]:
        """What is to be recorded since the last time."""
        gaps, self._gaps = self._gaps, []
        return gaps

    def _tell(self, symbol: str, hole: _Hole, end: int, now: int, *, closed: bool) -> None:
        for start, until in _within_hours(hole.start, end):
            gap_id = f"{hole.reason}:{symbol}:{hole.source}:{start}"
            done = closed or until < end
            self._gaps.append(
                Gap(gap_id, symbol, hole.source, start, until, done, hole.reason, hole.detail, now)
            )
            hole.start = start
        hole.told = end


def _within_hours(start: int, end: int) -> Iterator[tuple[int, int]]:
    """``[start, end)`` in pieces of which none reaches over a full hour; at least one."""
    while end > (limit := gap_limit(start)):
        yield start, limit
        start = limit
    yield start, end
