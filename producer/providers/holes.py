"""Trades that were missed, by the ids of those that were not."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from schemas.events import Trade


class Hole(NamedTuple):
    """``trades`` trades of a symbol between two others, at ``from_us`` and ``to_us``."""

    symbol: str
    from_us: int
    to_us: int
    trades: int


class Holes:
    """Follows symbols whose trade ids are whole numbers, each one more than the one before; others it leaves
    alone."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[int, int]] = {}  # symbol -> greatest id and its event time

    def forget(self, symbols: Iterable[str]) -> None:
        """What comes next of these symbols does not follow on what came before."""
        for symbol in symbols:
            self._last.pop(symbol, None)

    def follow(self, trades: Sequence[Trade]) -> Iterator[Hole]:
        """The holes before these trades. One that comes late, or again, makes none."""
        for trade in trades:
            if not trade.trade_id.isdecimal():
                continue
            number = int(trade.trade_id)
            last = self._last.get(trade.symbol)
            if last is not None and number <= last[0]:
                continue
            self._last[trade.symbol] = number, trade.event_time
            if last is not None and number > last[0] + 1:
                yield Hole(trade.symbol, last[1], trade.event_time, number - last[0] - 1)
