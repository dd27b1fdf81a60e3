"""The events that travel through the system: immutable, each with when it happened and when we saw it.

All times are integers: microseconds since 1970-01-01 UTC. Prices are doubles and are never computed with
on the way; sizes are in units of the symbol.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade. ``(symbol, source, trade_id)`` is its identity; ``(event_time, sequence)`` is its order."""

    symbol: str
    event_time: int
    received_at: int
    price: float
    size: float
    trade_id: str
    sequence: int
    source: str
    exchange: str = ""
    conditions: tuple[str, ...] = ()
    updates_price: bool = True
    updates_volume: bool = True


@dataclass(frozen=True, slots=True)
class Quote:
    """Best bid and ask of a symbol at ``event_time``."""

    symbol: str
    event_time: int
    received_at: int
    bid: float
    bid_size: float
    ask: float
    ask_size: float
    sequence: int
    source: str
    exchange: str = ""


@dataclass(frozen=True, slots=True)
class Candle:
    """One version of the bar ``[start, end)``; a consumer keeps the greatest ``version`` of each
    ``(symbol, interval, start)``. Prices are None while no trade that may set a price has come."""

    symbol: str
    interval: str
    start: int
    end: int
    open: float | None
    high: float | None
    low: float | None
    close: float | None
    volume: float
    notional: float
    vwap: float | None
    trades: int
    final: bool
    version: int
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A refused record. ``partition`` and ``offset`` are None where it never reached Kafka."""

    reason: str
    detail: str
    origin: str
    topic: str
    partition: int | None = None
    offset: int | None = None
    payload: bytes | None = None


Event = Trade | Quote | Candle | DeadLetter
