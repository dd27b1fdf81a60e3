"""What is newest of each symbol, as far as this process has seen it."""

from collections.abc import Callable
from functools import partial
from typing import Any, Generic, TypeVar

import structlog

from api.live.messages import Incoming, Key, Ticks
from schemas.events import Candle, Correction, Quote, Trade

log = structlog.get_logger()
MAX_ENTRIES = 100_000
"""Newest trades, quotes and bars that are remembered, each for itself; what comes beyond is not."""

E = TypeVar("E", Trade, Quote, Candle)
Order = tuple[int, int]
"""Of trades and quotes event time and sequence, of bars start and version."""


class _Newest(Generic[E]):
    """An event, or how it is made when somebody wants it. Of two the one with the greater ``order`` is
    newer."""

    __slots__ = ("_incoming", "order")

    def __init__(self, order: Order, incoming: Incoming[E] | Callable[[], Incoming[E]]) -> None:
        self.order = order
        self._incoming: Incoming[E] | Callable[[], Incoming[E]] = incoming

    @property
    def incoming(self) -> Incoming[E]:
        if not isinstance(self._incoming, Incoming):
            self._incoming = self._incoming()
        return self._incoming


class Latest:
    """Empty at first: it knows what has come since the process started. Only for the event loop's thread."""

    def __init__(self) -> None:
        self._trades: dict[Key, _Newest[Trade]] = {}
        self._quotes: dict[Key, _Newest[Quote]] = {}
        self._candles: dict[Key, _Newest[Candle]] = {}

    def trade(self, symbol: str) -> Incoming[Trade] | None:
        """The newest trade that may set a price. None, too, from when it is cancelled or corrected until the
        next one comes."""
        found = self._trades.get(("trades", symbol))
        return None if found is None else found.incoming

    def quote(self, symbol: str) -> Incoming[Quote] | None:
        """The newest quote."""
        found = self._quotes.get(("quotes", symbol))
        return None if found is None else found.incoming

    def candle(self, symbol: str, interval: str) -> Incoming[Candle] | None:
        """The newest version of the newest bar, final or not."""
        found = self._candles.get(("candles", symbol, interval))
        return None if found is None else found.incoming

    def knows(self, symbol: str) -> bool:
        """Whether anything of the symbol has come."""
        return (
            ("trades", symbol) in self._trades
            or ("quotes", symbol) in self._quotes
            or ("candles", symbol, "1m") in self._candles
        )

    def add(self, incoming: Incoming) -> bool:
        """Takes an event in; False for a version of a current bar that is not newer than the one before."""
        event = incoming.event
        if isinstance(event, Trade):
            if event.updates_open_close:
                _keep(self._trades, incoming.key, _Newest((event.event_time, event.sequence), incoming))
        elif isinstance(event, Quote):
            _keep(self._quotes, incoming.key, _Newest((event.event_time, event.sequence), incoming))
        elif isinstance(event, Candle):
            order = event.start, event.version
            known = self._candles.get(incoming.key)
            if known and known.order[0] == event.start and known.order >= order:
                return False
            _keep(self._candles, incoming.key, _Newest(order, incoming))
        elif isinstance(event, Correction):
            self._correct(incoming.key, event)
        return True

    def take(self, ticks: Ticks) -> None:
        """Takes in trades or quotes that came together."""
        newest: dict[str, int] = {}
        orders, channel = ticks.orders(), ticks.channel
        for row, (symbol, priced) in enumerate(zip(ticks.symbols, ticks.priced(), strict=True)):
            if priced and (symbol not in newest or orders[row] >= orders[newest[symbol]]):
                newest[symbol] = row
        known: dict[Key, _Newest[Any]] = self._trades if channel == "trades" else self._quotes
        for symbol, row in newest.items():
            _keep(known, (channel, symbol), _Newest(orders[row], partial(ticks.incoming, row)))

    def _correct(self, key: Key, correction: Correction) -> None:
        known = self._trades.get(key)
        if known is None:
            return
        trade = known.incoming.event
        if (trade.source, trade.trade_id) == (correction.source, correction.trade_id):
            del self._trades[key]


def _keep(newest: dict[Key, _Newest[E]], key: Key, known: _Newest[E]) -> None:
    before = newest.get(key)
    if before is None:
        if len(newest) >= MAX_ENTRIES:
            return
        if len(newest) == MAX_ENTRIES - 1:
            log.warning("latest_is_full", entries=MAX_ENTRIES, detail="what else comes is not remembered")
    elif before.order > known.order:
        return
    newest[key] = known
