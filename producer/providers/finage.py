"""Finage, at the address that an account is given: best bid and ask of US stocks, with a socket key.

* Two ``{"status_code":200,"message":..}`` come first, then
  ``{"action":"subscribe","symbols":"AAPL,TSLA"}``.
* A quote is ``{"s","ap","bp","as","bs","t"}`` or ``{"s","a","as","b","bs","dc","dd","t"}``; numbers may be
  texts. Some have no sizes: then they are 0. No message has a trade with its size, so there are **no
  trades**: bars need another source.
* ``t`` is in milliseconds by the documentation; its magnitude is looked at, because others have seen others.
* The socket key is not the key of the REST API.

Nothing of this has been proven against recorded messages: there are none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlencode

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
)
from producer.providers.reading import mapping, number, read, shown, text, whole
from producer.symbols import ProviderNames
from schemas.errors import PoisonError
from schemas.events import Quote

OK = 200
KEY_REFUSED = (401, 403)
LIMITS = Limits(symbols=50, connections=1, messages_per_second=5)


@dataclass(frozen=True, slots=True)
class Finage:
    """See ``producer.providers.contract.Adapter``."""

    url: str
    names: ProviderNames
    key: str = field(repr=False)
    name: str = "finage"
    kind: Literal["trades", "quotes"] = "quotes"
    limits: Limits = LIMITS
    key_setting: str = "FINAGE_SOCKET_KEY"
    url_setting: str = "FINAGE_URL"
    delay_ms: int = 0
    counts_trades: bool = False

    @property
    def secrets(self) -> Sequence[str]:
        return (self.key,)

    def handshake(self) -> Handshake:
        return Handshake(f"{self.url}?{urlencode({'token': self.key})}", answers=2)

    def subscribe(self, symbols: Sequence[str]) -> Sequence[str]:
        return self._requests("subscribe", symbols)

    def unsubscribe(self, symbols: Sequence[str]) -> Sequence[str]:
        return self._requests("unsubscribe", symbols)

    def _requests(self, action: str, symbols: Sequence[str]) -> Sequence[str]:
        names = ",".join(self.names.theirs(symbol) for symbol in symbols)
        return (orjson.dumps({"action": action, "symbols": names}).decode(),)

    def parse(self, frame: Frame) -> Parsed:
        return read(self.name, frame, _items, lambda item, index: self._item(mapping(item), frame, index))

    def _item(self, item: Mapping[str, Any], frame: Frame, index: int) -> Item:
        if "status_code" in item:
            return _status(item)
        if "s" not in item:
            raise PoisonError("unreadable_frame", "neither a status nor a symbol")
        bid, ask = ("bp", "ap") if "bp" in item or "ap" in item else ("b", "a")
        return Quote(
            symbol=self.names.ours(text(item, "s", "invalid_symbol")),
            event_time=_time(whole(item, "t", "implausible_time")),
            received_at=frame.received_us,
            bid=number(item, bid, "invalid_price"),
            bid_size=number(item, "bs", "invalid_size") if "bs" in item else 0.0,
            ask=number(item, ask, "invalid_price"),
            ask_size=number(item, "as", "invalid_size") if "as" in item else 0.0,
            sequence=frame.order(index),
            source=self.name,
        )


def _items(document: Any) -> Sequence[Any]:
    return document if isinstance(document, list) else (mapping(document),)


def _status(item: Mapping[str, Any]) -> Item:
    code = item["status_code"]
    if code == OK:
        return Answered()
    detail = f"{shown(item.get('message'))} (status {shown(code)})"
    return KeyRefused(detail) if code in KEY_REFUSED else Complaint(detail)


def _time(value: int) -> int:
    """Microseconds: by its magnitude ``value`` is in seconds, milli-, micro- or nanoseconds since 1970."""
    for limit, factor in ((10**11, 1_000_000), (10**14, 1000), (10**17, 1)):
        if value < limit:
            return value * factor
    return value // 1000
