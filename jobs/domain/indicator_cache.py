"""Indicator states of this process, so that a live bar does not replay the bars before it each time."""

from collections import OrderedDict

from jobs.domain.indicators import State


class IndicatorCache:
    """(symbol, interval) -> the state before a bar, and all that it was made of.

    It answers only where what it was made of is equal, value by value, so it cannot change a number. Bounded:
    the one used least recently goes first. An entry of the default indicators takes about 4 kB.
    """

    def __init__(self, capacity: int = 36_000) -> None:
        self._capacity = capacity
        self._entries: OrderedDict[tuple[str, str], tuple[object, State]] = OrderedDict()

    def get(self, symbol: str, interval: str, basis: object) -> State | None:
        """The state made of ``basis``. It is shared: copy it before it is advanced."""
        entry = self._entries.get((symbol, interval))
        if entry is None or entry[0] != basis:
            return None
        self._entries.move_to_end((symbol, interval))
        return entry[1]

    def put(self, symbol: str, interval: str, basis: object, state: State) -> None:
        """Keeps a state, which must not be advanced any more."""
        self._entries[symbol, interval] = (basis, state)
        self._entries.move_to_end((symbol, interval))
        if len(self._entries) > self._capacity:
            self._entries.popitem(last=False)
