"""Binance spot, ``wss://stream.binance.com:9443/stream``: trades and best bid and ask, without a key.

* ``{"stream":"btcusdt@trade","data":{"e":"trade","s","t":id,"p","q","T":ms}}``: texts for numbers. Ids of a
  symbol are whole numbers without holes.
* ``aggTrade`` puts the trades of one order at one price together, ``f`` to ``l``: its ids are others, and its
  count is not that of the trades. Only where BINANCE_TRADES=aggTrade asks for it.
* ``bookTicker`` ``{"u","s","b","B","a","A"}`` has no time: it is that of receipt.
* A symbol that does not exist is accepted like any other, and never sends anything.
* Everything that we send counts as one of five messages a second, a connection lives for 24 hours at most.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from producer.providers.contract import (
    Complaint,
    Frame,
    Handshake,
    Item,
    KeyRefused,
    Limits,
    Parsed,
)
from producer.providers.reading import mapping, milliseconds, number, read, shown, single, text, whole
from producer.symbols import ProviderNames
from schemas.events import Quote, Trade

SYMBOLS_PER_MESSAGE = 100
UNAUTHORISED = -2015
LIMITS = Limits(symbols=500, connections=10, messages_per_second=4)


@dataclass(frozen=True, slots=True)
class Binance:
    """See ``producer.providers.contract.Adapter``."""

    url: str
    names: ProviderNames
    trades: Literal["trade", "aggTrade"] = "trade"
    name: str = "binance"
    kind: Literal["trades", "quotes"] = "trades"
    limits: Limits = LIMITS
    key_setting: str = ""
    url_setting: str = "BINANCE_URL"
    secrets: Sequence[str] = ()
    delay_ms: int = 0

    @property
    def counts_trades(self) -> bool:
        return self.trades == "trade"

    def handshake(self) -> Handshake:
        return Handshake(self.url)

    def subscribe(self, symbols: Sequence[str]) -> Sequence[str]:
        return self._requests("SUBSCRIBE", symbols)

    def unsubscribe(self, symbols: Sequence[str]) -> Sequence[str]:
        return self._requests("UNSUBSCRIBE", symbols)

    def _requests(self, method: str, symbols: Sequence[str]) -> Sequence[str]:
        names = [self.names.theirs(symbol).lower() for symbol in symbols]
        messages = []
        for start in range(0, len(names), SYMBOLS_PER_MESSAGE):
            some = names[start : start + SYMBOLS_PER_MESSAGE]
            streams = [f"{name}@{stream}" for name in some for stream in (self.trades, "bookTicker")]
            message = {"method": method, "params": streams, "id": start // SYMBOLS_PER_MESSAGE + 1}
            messages.append(orjson.dumps(message).decode())
        return messages

    def parse(self, frame: Frame) -> Parsed:
        return read(self.name, frame, single, lambda item, _: self._item(mapping(item), frame))

    def _item(self, item: Mapping[str, Any], frame: Frame) -> Item:
        if "error" in item:
            return _error(item["error"])
        if "stream" not in item and "data" not in item:
            return None  # the answer to a subscription: {"result":null,"id":1}
        data = mapping(item.get("data"))
        event = data.get("e")
        if event in ("trade", "aggTrade"):
            return self._trade(data, frame, event)
        if event is None and "b" in data and "a" in data:
            return self._quote(data, frame)
        return None  # a stream that we did not ask for

    def _trade(self, data: Mapping[str, Any], frame: Frame, event: str) -> Trade:
        single_trade = event == "trade"
        number_of_trade = whole(data, "t" if single_trade else "a", "invalid_identity")
        return Trade(
            symbol=self.names.ours(text(data, "s", "invalid_symbol")),
            event_time=milliseconds(data, "T"),
            received_at=frame.received_us,
            price=number(data, "p", "invalid_price"),
            size=number(data, "q", "invalid_size"),
            trade_id=str(number_of_trade) if single_trade else f"agg{number_of_trade}",
            sequence=number_of_trade,
            source=self.name,
        )

    def _quote(self, data: Mapping[str, Any], frame: Frame) -> Quote:
        return Quote(
            symbol=self.names.ours(text(data, "s", "invalid_symbol")),
            event_time=frame.received_us,
            received_at=frame.received_us,
            bid=number(data, "b", "invalid_price"),
            bid_size=number(data, "B", "invalid_size"),
            ask=number(data, "a", "invalid_price"),
            ask_size=number(data, "A", "invalid_size"),
            sequence=whole(data, "u", "invalid_identity"),
            source=self.name,
        )


def _error(error: object) -> Item:
    code = error.get("code") if isinstance(error, dict) else None
    said = error.get("msg") if isinstance(error, dict) else error
    detail = f"{shown(said)} (code {shown(code)})"
    return KeyRefused(detail) if code == UNAUTHORISED else Complaint(detail)
