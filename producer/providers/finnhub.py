"""Finnhub, ``wss://ws.finnhub.io``: trades, with a key. Of US stocks it has IEX's, about 2.5 % of the volume.

* ``{"type":"trade","data":[{"s","p","t":ms,"v","c":["1","12"]}]}``: several trades, of several symbols. Times
  go backwards inside a message; ``c`` may be null.
* There is **no trade id**, and two trades that are alike in everything do occur: what tells them apart is
  where they stand: connection, message, index.
* ``v`` 0 is the price of a venue that does not report trades: it sets prices and adds no volume.
* 50 symbols; one connection for each key, a second one ends the first. A subscription is not answered.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlencode

import orjson

from producer.providers.contract import (
    Complaint,
    Frame,
    Handshake,
    Item,
    KeyRefused,
    Limits,
    Parsed,
    SymbolRefused,
)
from producer.providers.reading import codes, mapping, milliseconds, number, read, shown, text
from producer.symbols import ProviderNames
from schemas.errors import PoisonError
from schemas.events import Trade

BAD_KEY = re.compile(r"invalid api key|invalid token|unauthori[sz]ed|not authori[sz]ed", re.IGNORECASE)
BAD_SYMBOL = re.compile(
    r"symbol\W+([A-Z0-9.:_\-/]+)|([A-Z0-9.:_\-/]+)\W+is not a? ?(?:valid )?symbol", re.IGNORECASE
)
LIMITS = Limits(symbols=50, connections=1, messages_per_second=25)


@dataclass(frozen=True, slots=True)
class Finnhub:
    """See ``producer.providers.contract.Adapter``."""

    url: str
    names: ProviderNames
    key: str = field(repr=False)
    name: str = "finnhub"
    kind: Literal["trades", "quotes"] = "trades"
    limits: Limits = LIMITS
    key_setting: str = "FINNHUB_API_KEY"
    url_setting: str = "FINNHUB_URL"
    delay_ms: int = 0
    counts_trades: bool = False

    @property
    def secrets(self) -> Sequence[str]:
        return (self.key,)

    def handshake(self) -> Handshake:
        return Handshake(f"{self.url}?{urlencode({'token': self.key})}")

    def subscribe(self, symbols: Sequence[str]) -> Sequence[str]:
        return self._requests("subscribe", symbols)

    def unsubscribe(self, symbols: Sequence[str]) -> Sequence[str]:
        return self._requests("unsubscribe", symbols)

    def _requests(self, kind: str, symbols: Sequence[str]) -> Sequence[str]:
        return [
            orjson.dumps({"type": kind, "symbol": self.names.theirs(symbol)}).decode() for symbol in symbols
        ]

    def parse(self, frame: Frame) -> Parsed:
        return read(self.name, frame, _items, lambda item, index: self._item(item, frame, index))

    def _item(self, item: Any, frame: Frame, index: int) -> Item:
        item = mapping(item)
        if "type" not in item:
            return self._trade(item, frame, index)
        if item["type"] != "error":
            return None  # ping, and what else there may be one day
        detail = f"{shown(item.get('msg'))}"
        if BAD_KEY.search(detail):
            return KeyRefused(detail)
        found = BAD_SYMBOL.search(detail)
        name = (found[1] or found[2]) if found else ""
        return SymbolRefused(self.names.ours(name), detail) if name else Complaint(detail)

    def _trade(self, item: Mapping[str, Any], frame: Frame, index: int) -> Trade:
        size = number(item, "v", "invalid_size")
        return Trade(
            symbol=self.names.ours(text(item, "s", "invalid_symbol")),
            event_time=milliseconds(item, "t"),
            received_at=frame.received_us,
            price=number(item, "p", "invalid_price"),
            size=size,
            trade_id=f"{frame.connection}-{frame.number}-{index}",
            sequence=frame.order(index),
            source=self.name,
            conditions=codes(item.get("c")),
            updates_volume=size != 0,
        )


def _items(document: Any) -> Sequence[Any]:
    """The trades of a message, or the message itself."""
    document = mapping(document)
    kind = document.get("type")
    if kind != "trade":
        if not isinstance(kind, str):
            raise PoisonError("unreadable_frame", "there is no type")
        return (document,)
    data = document.get("data")
    if not isinstance(data, list):
        raise PoisonError("unreadable_frame", "a message of trades without a list of them")
    return data
