"""Events as clients get them: one JSON text for all of them, with the names and spelling of REST."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Generic, cast

import orjson
from typing_extensions import TypeVar

from api.live.wire import text_frame
from api.times import to_datetime
from schemas.errors import PoisonError
from schemas.events import Alert, Candle, Correction, Event, Quote, Trade
from schemas.quotes import mid, spread

Key = tuple[str, ...]
"""What can be subscribed to: (trades, symbol), (quotes, symbol), (candles, symbol, interval),
(alerts, symbol)."""

ALL_ALERTS: Key = ("alerts", "*")
"""Alerts of every symbol, those about the system included: their symbol is ``*``, too."""


E = TypeVar("E", bound=Event, default=Any)


class Incoming(Generic[E]):
    """An event that came from Kafka. Its JSON is made when somebody first wants it: of most trades nobody
    ever does."""

    __slots__ = ("_data", "event", "key", "kind")

    def __init__(self, kind: str, key: Key, event: E) -> None:
        self.kind = kind
        self.key = key
        self.event = event
        self._data: str | None = None

    @property
    def data(self) -> str:
        """The event's JSON as clients get it. Raises PoisonError where it has none."""
        if self._data is None:
            fields_of = SHAPES[type(cast(Event, self.event))][2]
            try:
                self._data = orjson.dumps(fields_of(self.event), option=orjson.OPT_UTC_Z).decode()
            except OverflowError as error:
                raise PoisonError("implausible_time", f"a time is no date: {error}") from error
            except orjson.JSONEncodeError as error:
                raise PoisonError("not_avro", f"it cannot be written as JSON: {error}") from error
        return self._data


class Ticks:
    """Trades or quotes that came together, in columns: an event is made of a row when somebody wants it, and
    of most nobody ever does. ``symbols`` has that of each row."""

    __slots__ = ("_columns", "_type", "channel", "symbols")

    def __init__(self, event_type: type[Trade] | type[Quote], columns: Mapping[str, Sequence[Any]]) -> None:
        """``columns``: those of the type's fields."""
        self._type = event_type
        self._columns = {name: columns[name] for name in event_type.__dataclass_fields__}
        self.symbols: Sequence[str] = columns["symbol"]
        self.channel = CHANNELS[event_type]

    def __len__(self) -> int:
        return len(self.symbols)

    def event(self, row: int) -> Trade | Quote:
        """The event of a row."""
        return self._type(*(column[row] for column in self._columns.values()))

    def incoming(self, row: int) -> Incoming:
        """The same with its key."""
        return from_event(self.event(row))

    def orders(self) -> Sequence[tuple[int, int]]:
        """Event time and sequence of each row."""
        return list(zip(self._columns["event_time"], self._columns["sequence"], strict=True))

    def priced(self) -> Sequence[bool]:
        """Which trades may set a price; of quotes all."""
        return self._columns["updates_open_close"] if self._type is Trade else [True] * len(self)


class Message:
    """What is sent to clients: an answer, or a numbered event in its envelope."""

    __slots__ = ("_content", "_frame", "at", "event_time", "key", "lossy", "seq", "slot")

    def __init__(  # noqa: PLR0913, PLR0917 -- what a message says
        self,
        seq: int,
        key: Key,
        content: str | Incoming,
        event_time: int,
        at: float,
        lossy: bool = False,
        slot: Hashable = None,
    ) -> None:
        self.seq = seq
        """0 for answers, which are meant for one client."""
        self.key = key
        self._content = content
        self._frame: bytes | None = None
        self.event_time = event_time
        """Microseconds since 1970 UTC; 0 for answers."""
        self.at = at
        """When it was ready for sending, seconds of the monotonic clock."""
        self.lossy = lossy
        """May be skipped for a client that is slow."""
        self.slot = slot
        """A newer message of the same slot may take its place while it waits."""

    @property
    def text(self) -> str:
        """What is sent; made once, for all clients, when the first of them is sent it."""
        content = self._content
        if isinstance(content, Incoming):
            kind, channel, symbol = content.kind, self.key[0], orjson.dumps(self.key[1]).decode()
            content = self._content = (
                f'{{"type":"{kind}","seq":{self.seq},"channel":"{channel}","symbol":{symbol},'
                f'"data":{content.data}}}'
            )
        return content

    @property
    def frame(self) -> bytes:
        """The same as it goes over a WebSocket; made once, too."""
        if self._frame is None:
            self._frame = text_frame(self.text)
        return self._frame


def from_event(event: Event) -> Incoming:
    """The event with its key. Raises KeyError for a type of event that is on no channel."""
    kind, key_of, _ = SHAPES[type(event)]
    return Incoming(kind, key_of(event), event)


def to_message(incoming: Incoming, seq: int, at: float) -> Message:
    """The numbered event in its envelope."""
    event = incoming.event
    return Message(
        seq=seq,
        key=incoming.key,
        content=incoming,
        event_time=event.start if isinstance(event, Candle) else event.event_time,
        at=at,
        lossy=isinstance(event, Trade | Quote),
        slot=_slot(incoming.key, event),
    )


def is_live_bar(message: Message) -> bool:
    """Whether it is a version of a bar that still grows."""
    return message.slot is not None and not message.lossy


def must_be_sent(message: Message) -> bool:
    """Whether it is nothing that may be skipped or that a newer message makes worthless."""
    return message.slot is None and not message.lossy


def _slot(key: Key, event: Event) -> Hashable:
    if isinstance(event, Quote):
        return key
    return (key, event.start) if isinstance(event, Candle) and not event.final else None


def _trade(trade: Trade) -> Mapping[str, Any]:
    return {
        "symbol": trade.symbol,
        "event_time": to_datetime(trade.event_time),
        "received_at": to_datetime(trade.received_at),
        "price": trade.price,
        "size": trade.size,
        "trade_id": trade.trade_id,
        "sequence": trade.sequence,
        "source": trade.source,
        "exchange": trade.exchange,
        "conditions": trade.conditions,
        "updates_open_close": trade.updates_open_close,
        "updates_high_low": trade.updates_high_low,
        "updates_volume": trade.updates_volume,
    }


def _correction(correction: Correction) -> Mapping[str, Any]:
    return {
        "symbol": correction.symbol,
        "event_time": to_datetime(correction.event_time),
        "received_at": to_datetime(correction.received_at),
        "correction_id": correction.correction_id,
        "sequence": correction.sequence,
        "source": correction.source,
        "trade_id": correction.trade_id,
        "trade_time": None if correction.trade_time is None else to_datetime(correction.trade_time),
        "kind": correction.kind,
        "price": correction.price,
        "size": correction.size,
        "exchange": correction.exchange,
        "conditions": correction.conditions,
        "updates_open_close": correction.updates_open_close,
        "updates_high_low": correction.updates_high_low,
        "updates_volume": correction.updates_volume,
    }


def _quote(quote: Quote) -> Mapping[str, Any]:
    return {
        "symbol": quote.symbol,
        "event_time": to_datetime(quote.event_time),
        "received_at": to_datetime(quote.received_at),
        "bid": quote.bid,
        "bid_size": quote.bid_size,
        "ask": quote.ask,
        "ask_size": quote.ask_size,
        "mid": mid(quote.bid, quote.ask),
        "spread": spread(quote.bid, quote.ask),
        "sequence": quote.sequence,
        "source": quote.source,
        "exchange": quote.exchange,
    }


def _candle(candle: Candle) -> Mapping[str, Any]:
    return {
        "symbol": candle.symbol,
        "interval": candle.interval,
        "start": to_datetime(candle.start),
        "end": to_datetime(candle.end),
        "open": candle.open,
        "high": candle.high,
        "low": candle.low,
        "close": candle.close,
        "volume": candle.volume,
        "notional": candle.notional,
        "vwap": candle.vwap,
        "trades": candle.trades,
        "final": candle.final,
        "version": candle.version,
        "sources": candle.sources,
        "late_trades": candle.late_trades,
        "updated_at": to_datetime(candle.updated_at) if candle.updated_at else None,
        "quality": candle.quality,
        "observed": candle.observed,
        "indicators": candle.indicators,
    }


def _alert(alert: Alert) -> Mapping[str, Any]:
    return {
        "alert_id": alert.alert_id,
        "revision": alert.revision,
        "symbol": alert.symbol,
        "type": alert.type,
        "severity": alert.severity,
        "status": alert.status,
        "event_time": to_datetime(alert.event_time),
        "updated_at": to_datetime(alert.updated_at),
        "interval": alert.interval,
        "bar_start": None if alert.bar_start is None else to_datetime(alert.bar_start),
        "bar_version": alert.bar_version,
        "value": alert.value,
        "threshold": alert.threshold,
        "message": alert.message,
    }


Shape = tuple[str, Callable[[Any], Key], Callable[[Any], Mapping[str, Any]]]
SHAPES: Mapping[type[Event], Shape] = {
    Trade: ("trade", lambda trade: ("trades", trade.symbol), _trade),
    Correction: ("correction", lambda correction: ("trades", correction.symbol), _correction),
    Quote: ("quote", lambda quote: ("quotes", quote.symbol), _quote),
    Candle: ("candle", lambda candle: ("candles", candle.symbol, candle.interval), _candle),
    Alert: ("alert", lambda alert: ("alerts", alert.symbol), _alert),
}
"""Type of event -> the type of its message, its key, and the fields of its data."""

CHANNELS: Mapping[type[Trade] | type[Quote], str] = {Trade: "trades", Quote: "quotes"}
