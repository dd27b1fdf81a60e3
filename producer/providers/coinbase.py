"""Coinbase Exchange, ``wss://ws-feed.exchange.coinbase.com``: trades and best bid and ask, without a key.

* Channel ``matches``: ``{"type":"match","trade_id","sequence","product_id","price","size","time"}``, texts
  for numbers, time in microseconds. ``trade_id`` counts the trades of a product without holes; ``sequence``
  counts everything that happens to it, and increases.
* ``last_match`` comes first: the last trade before the subscription. It counts, its id says whether we have
  it; one that is too old for any bar does not.
* Channel ``ticker``: best bid and ask with each match; older ones have no sizes: then they are 0.
* A product that does not exist fails the whole message that names it: each has a message of its own.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import orjson

from producer.providers.contract import (
    Complaint,
    Frame,
    Handshake,
    Item,
    Limits,
    Parsed,
    SymbolRefused,
)
from producer.providers.reading import mapping, number, read, shown, single, text, whole
from producer.symbols import ProviderNames
from schemas.errors import PoisonError
from schemas.events import Quote, Trade

CHANNELS = ("matches", "ticker")
NO_PRODUCT = re.compile(r"([A-Z0-9]+-[A-Z0-9]+) is not a valid product")
LAST_MATCH_US = 300_000_000
"""Age of a ``last_match`` from which on no bar could take it."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
LIMITS = Limits(symbols=100, connections=5, messages_per_second=20)


@dataclass(frozen=True, slots=True)
class Coinbase:
    """See ``producer.providers.contract.Adapter``."""

    url: str
    names: ProviderNames
    name: str = "coinbase"
    kind: Literal["trades", "quotes"] = "trades"
    limits: Limits = LIMITS
    key_setting: str = ""
    url_setting: str = "COINBASE_URL"
    secrets: Sequence[str] = ()
    delay_ms: int = 0
    counts_trades: bool = True

    def handshake(self) -> Handshake:
        return Handshake(self.url)

    def subscribe(self, symbols: Sequence[str]) -> Sequence[str]:
        return self._requests("subscribe", symbols)

    def unsubscribe(self, symbols: Sequence[str]) -> Sequence[str]:
        return self._requests("unsubscribe", symbols)

    def _requests(self, kind: str, symbols: Sequence[str]) -> Sequence[str]:
        return [
            orjson.dumps(
                {"type": kind, "product_ids": [self.names.theirs(symbol)], "channels": CHANNELS}
            ).decode()
            for symbol in symbols
        ]

    def parse(self, frame: Frame) -> Parsed:
        return read(self.name, frame, single, lambda item, _: self._item(mapping(item), frame))

    def _item(self, item: Mapping[str, Any], frame: Frame) -> Item:
        kind = item.get("type")
        if kind == "match":
            return self._trade(item, frame)
        if kind == "last_match":
            trade = self._trade(item, frame)
            return trade if frame.received_us - trade.event_time < LAST_MATCH_US else None
        if kind == "ticker":
            return self._quote(item, frame)
        if kind == "error":
            return self._error(item)
        if not isinstance(kind, str):
            raise PoisonError("unreadable_frame", "there is no type")
        return None  # subscriptions, heartbeat, and channels that we did not ask for

    def _trade(self, item: Mapping[str, Any], frame: Frame) -> Trade:
        return Trade(
            symbol=self.names.ours(text(item, "product_id", "invalid_symbol")),
            event_time=time_of(item),
            received_at=frame.received_us,
            price=number(item, "price", "invalid_price"),
            size=number(item, "size", "invalid_size"),
            trade_id=str(whole(item, "trade_id", "invalid_identity")),
            sequence=whole(item, "sequence", "invalid_identity"),
            source=self.name,
        )

    def _quote(self, item: Mapping[str, Any], frame: Frame) -> Quote:
        return Quote(
            symbol=self.names.ours(text(item, "product_id", "invalid_symbol")),
            event_time=time_of(item) if "time" in item else frame.received_us,
            received_at=frame.received_us,
            bid=number(item, "best_bid", "invalid_price"),
            bid_size=number(item, "best_bid_size", "invalid_size") if "best_bid_size" in item else 0.0,
            ask=number(item, "best_ask", "invalid_price"),
            ask_size=number(item, "best_ask_size", "invalid_size") if "best_ask_size" in item else 0.0,
            sequence=whole(item, "sequence", "invalid_identity"),
            source=self.name,
        )

    def _error(self, item: Mapping[str, Any]) -> Item:
        detail = f"{shown(item.get('message'))} {shown(item.get('reason', ''))}"
        product = NO_PRODUCT.search(detail)
        return SymbolRefused(self.names.ours(product[1]), detail) if product else Complaint(detail)


def time_of(item: Mapping[str, Any]) -> int:
    """``time``, ISO 8601, in microseconds."""
    value = text(item, "time", "implausible_time")
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise PoisonError("implausible_time", f"time is {shown(value)}") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - EPOCH) // MICROSECOND
