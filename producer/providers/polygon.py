"""Polygon, now Massive, ``wss://socket.massive.com/stocks``: trades and quotes of all venues, with a key.

* ``{"action":"auth","params":KEY}``, then ``[{"ev":"status","status":"auth_success"}]``, then
  ``{"action":"subscribe","params":"T.AAPL,Q.AAPL"}``. Every message is a list.
* A trade ``{"ev":"T","sym","x","i","p","s","c":[int],"t":ms,"q","trfi"}`` is known by its symbol, venue
  (``x``), reporting facility (``trfi``), id (``i``) and day: ids begin anew every day in New York. ``t`` is
  the tape's time. ``ds`` is the size as a text, with fractions of a share: it wins over ``s``. ``q`` orders.
* Sizes of quotes are in round lots of 100.
* The stream has no cancels and corrections: their trades stay as they were.
* ``wss://delayed.massive.com/stocks`` is the same 15 minutes later: its events are of that time.
* An address that ends in ``/crypto`` has ``XT`` and ``XQ``: ``pair`` is the symbol, sizes are fractions.
* One connection for each address and key: a second one ends the first.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import orjson

from producer.providers.contract import (
    Answered,
    Complaint,
    Frame,
    Handshake,
    Item,
    KeyRefused,
    Limits,
    Parsed,
    SymbolRefused,
)
from producer.providers.reading import codes, mapping, milliseconds, number, read, shown, text, whole
from producer.symbols import ProviderNames
from schemas.errors import PoisonError
from schemas.events import Quote, Trade

NEW_YORK = ZoneInfo("America/New_York")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOUR_US = 3_600_000_000
ROUND_LOT = 100
DELAYED_MS = 15 * 60_000
SYMBOLS_PER_MESSAGE = 100
CHANNEL = re.compile(r"\b(?:T|Q|XT|XQ)\.([A-Z0-9.:\-/]+)")
LIMITS = Limits(symbols=1000, connections=1, messages_per_second=10)


@dataclass(frozen=True, slots=True)
class Polygon:
    """See ``producer.providers.contract.Adapter``."""

    url: str
    names: ProviderNames
    key: str = field(repr=False)
    name: str = "polygon"
    kind: Literal["trades", "quotes"] = "trades"
    limits: Limits = LIMITS
    key_setting: str = "POLYGON_API_KEY"
    url_setting: str = "POLYGON_URL"
    counts_trades: bool = False

    @property
    def secrets(self) -> Sequence[str]:
        return (self.key,)

    @property
    def delay_ms(self) -> int:
        return DELAYED_MS if (urlsplit(self.url).hostname or "").startswith("delayed.") else 0

    def handshake(self) -> Handshake:
        message = orjson.dumps({"action": "auth", "params": self.key}).decode()
        return Handshake(self.url, (message,), answers=1)

    def subscribe(self, symbols: Sequence[str]) -> Sequence[str]:
        return self._requests("subscribe", symbols)

    def unsubscribe(self, symbols: Sequence[str]) -> Sequence[str]:
        return self._requests("unsubscribe", symbols)

    def _requests(self, action: str, symbols: Sequence[str]) -> Sequence[str]:
        channels = ("XT", "XQ") if urlsplit(self.url).path.endswith("/crypto") else ("T", "Q")
        names = [self.names.theirs(symbol) for symbol in symbols]
        messages = []
        for start in range(0, len(names), SYMBOLS_PER_MESSAGE):
            some = names[start : start + SYMBOLS_PER_MESSAGE]
            params = ",".join(f"{channel}.{name}" for name in some for channel in channels)
            messages.append(orjson.dumps({"action": action, "params": params}).decode())
        return messages

    def parse(self, frame: Frame) -> Parsed:
        return read(self.name, frame, _items, lambda item, index: self._item(mapping(item), frame, index))

    def _item(self, item: Mapping[str, Any], frame: Frame, index: int) -> Item:
        event = item.get("ev")
        if event == "T":
            return self._trade(item, frame, index)
        if event == "XT":
            return self._crypto_trade(item, frame, index)
        if event == "Q":
            return self._quote(item, frame, index, "sym", ROUND_LOT)
        if event == "XQ":
            return self._quote(item, frame, index, "pair", 1)
        if event == "status":
            return self._status(item)
        if not isinstance(event, str):
            raise PoisonError("unreadable_frame", "there is no ev")
        return None  # bars and whatever else we did not ask for

    def _trade(self, item: Mapping[str, Any], frame: Frame, index: int) -> Trade:
        traded_us = milliseconds(item, "t")
        venue = whole(item, "x", "invalid_identity")
        facility = whole(item, "trfi", "invalid_identity") if "trfi" in item else 0
        number_of_trade = text(item, "i", "invalid_identity")
        return Trade(
            symbol=self.names.ours(text(item, "sym", "invalid_symbol")),
            event_time=traded_us,
            received_at=frame.received_us,
            price=number(item, "p", "invalid_price"),
            size=number(item, "ds" if "ds" in item else "s", "invalid_size"),
            trade_id=f"{_new_york_day(traded_us)}:{venue}:{facility}:{number_of_trade}",
            sequence=whole(item, "q", "invalid_identity") if "q" in item else frame.order(index),
            source=self.name,
            exchange=str(venue),
            conditions=codes(item.get("c")),
        )

    def _crypto_trade(self, item: Mapping[str, Any], frame: Frame, index: int) -> Trade:
        traded_us = milliseconds(item, "t")
        venue = whole(item, "x", "invalid_identity")
        day = traded_us // (24 * HOUR_US)
        return Trade(
            symbol=self.names.ours(text(item, "pair", "invalid_symbol")),
            event_time=traded_us,
            received_at=frame.received_us,
            price=number(item, "p", "invalid_price"),
            size=number(item, "ds" if "ds" in item else "s", "invalid_size"),
            trade_id=f"{day}:{venue}:{text(item, 'i', 'invalid_identity')}",
            sequence=frame.order(index),
            source="polygon_crypto",  # its condition codes are others than those of stocks
            exchange=str(venue),
            conditions=codes(item.get("c")),
        )

    def _quote(self, item: Mapping[str, Any], frame: Frame, index: int, symbol: str, lot: int) -> Quote:
        return Quote(
            symbol=self.names.ours(text(item, symbol, "invalid_symbol")),
            event_time=milliseconds(item, "t"),
            received_at=frame.received_us,
            bid=number(item, "bp", "invalid_price"),
            bid_size=number(item, "bs", "invalid_size") * lot,
            ask=number(item, "ap", "invalid_price"),
            ask_size=number(item, "as", "invalid_size") * lot,
            sequence=whole(item, "q", "invalid_identity") if "q" in item else frame.order(index),
            source=self.name,
            exchange=text(item, "bx", "invalid_identity") if "bx" in item else "",
        )

    def _status(self, item: Mapping[str, Any]) -> Item:
        status = item.get("status")
        detail = f"{shown(status)}: {shown(item.get('message'))}"
        if status == "auth_success":
            return Answered()
        if status in ("connected", "success"):
            return None
        if status == "auth_failed":
            return KeyRefused(detail)
        channel = CHANNEL.search(detail)
        return SymbolRefused(self.names.ours(channel[1]), detail) if channel else Complaint(detail)


def _items(document: Any) -> Sequence[Any]:
    """The items of a message; a single one may come without its list."""
    return document if isinstance(document, list) else (mapping(document),)


def _new_york_day(event_time_us: int) -> str:
    """The day in New York, ``20260105``."""
    return _day_of_hour(event_time_us // HOUR_US)


@lru_cache(maxsize=64)
def _day_of_hour(hour: int) -> str:
    """Every day there begins with an hour of UTC."""
    try:
        return (EPOCH + timedelta(hours=hour)).astimezone(NEW_YORK).strftime("%Y%m%d")
    except OverflowError as error:
        raise PoisonError("implausible_time", f"no day is {hour} hours after 1970") from error
