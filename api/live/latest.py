"""What is newest of each symbol, as far as this process has seen it."""

from typing import TypeVar, cast

import structlog

from api.live.messages import Incoming, Key
from schemas.events import Candle, Correction, Quote, Trade

log = structlog.get_logger()
MAX_ENTRIES = 100_000
"""Newest trades, quotes and bars that are remembered, each for itself; what comes beyond is not."""

E = TypeVar("E", Trade, Quote, Candle)


class Latest:
    """Empty at first: it knows what has come since the process started. Only for the event loop's thread."""

    def __init__(self) -> None:
        self._trades: dict[Key, Incoming[Trade]] = {}
        self._quotes: dict[Key, Incoming[Quote]] = {}
        self._candles: dict[Key, Incoming[Candle]] = {}

    def trade(self, symbol: str) -> Incoming[Trade] | None:
        """The newest trade that may set a price. None, too, from when it is cancelled or corrected until the
        next one comes."""
        return self._trades.get(("trades", symbol))

    def quote(self, symbol: str) -> Incoming[Quote] | None:
        """The newest quote."""
        return self._quotes.get(("quotes", symbol))

    def candle(self, symbol: str, interval: str) -> Incoming[Candle] | None:
        """The newest version of the newest bar, final or not."""
        return self._candles.get(("candles", symbol, interval))

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
                _keep(self._trades, incoming.key, incoming)
        elif isinstance(event, Quote):
            _keep(self._quotes, incoming.key, incoming)
        elif isinstance(event, Candle):
            known = self._candles.get(incoming.key)
            if known and known.event.start == event.start and known.event.version >= event.version:
                return False
            _keep(self._candles, incoming.key, incoming)
        elif isinstance(event, Correction):
            self._correct(incoming.key, event)
        return True

    def _correct(self, key: Key, correction: Correction) -> None:
        known = self._trades.get(key)
        if known and (known.event.source, known.event.trade_id) == (correction.source, correction.trade_id):
            del self._trades[key]


def _order(event: Trade | Quote | Candle) -> tuple[int, int]:
    if isinstance(event, Candle):
        return event.start, event.version
    return event.event_time, event.sequence


def _keep(newest: dict[Key, Incoming[E]], key: Key, known: Incoming[E]) -> None:
    before = newest.get(key)
    if before is None:
        if len(newest) >= MAX_ENTRIES:
            return
        if len(newest) == MAX_ENTRIES - 1:
            log.warning("latest_is_full", entries=MAX_ENTRIES, detail="what else comes is not remembered")
    elif _order(cast(Trade | Quote | Candle, before.event)) > _order(known.event):
        return
    newest[key] = known
