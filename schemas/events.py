"""The events that travel through the system: immutable, each with when it happened and when we saw it.

All times are integers: microseconds since 1970-01-01 UTC. Prices are doubles and are never computed with
on the way; sizes are in units of the symbol.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


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
    updates_open_close: bool = True
    updates_high_low: bool = True
    updates_volume: bool = True
    correctable: bool = False


@dataclass(frozen=True, slots=True)
class Correction:
    """A trade of before never counted (``cancel``), or has price, size and flags as given here (``correct``).

    ``(symbol, source, correction_id)`` is its own identity, ``trade_id`` that of the trade it is about. Of
    several corrections of a trade the greatest ``(event_time, sequence)`` counts."""

    symbol: str
    event_time: int
    received_at: int
    correction_id: str
    sequence: int
    source: str
    trade_id: str
    trade_time: int | None = None
    kind: str = "cancel"
    price: float | None = None
    size: float | None = None
    exchange: str = ""
    conditions: tuple[str, ...] = ()
    updates_open_close: bool = True
    updates_high_low: bool = True
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
    ``(symbol, interval, start)``. Prices are None while no trade that may set a price has come. ``observed``
    is the part of it, 0 to 1, in which no gap is known."""

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
    late_trades: int = 0
    updated_at: int = 0
    quality: float = 1.0
    indicators: Mapping[str, float] = field(default_factory=dict)
    observed: float = 1.0


Severity = Literal["low", "medium", "high", "critical"]
AlertStatus = Literal["raised", "resolved", "retracted"]


@dataclass(frozen=True, slots=True)
class Alert:
    """One revision of an alert; a consumer keeps the greatest ``revision`` of each ``alert_id``."""

    alert_id: str
    revision: int
    symbol: str
    type: str
    severity: Severity
    status: AlertStatus
    event_time: int
    updated_at: int
    value: float
    threshold: float
    message: str
    interval: str | None = None
    bar_start: int | None = None
    bar_version: int | None = None


GapReason = Literal[
    "start",
    "disconnect",
    "silence",
    "errors",
    "stale",
    "throttled",
    "sequence_hole",
    "shed",
    "stopped",
    "failover",
]


@dataclass(frozen=True, slots=True)
class Gap:
    """A time ``[start, end)`` in which what ``symbol`` traded was not observed; a consumer keeps the greatest
    ``end`` of each ``gap_id``. While it is not ``closed`` it may still grow. A ``failover`` marks the moment
    from which ``source`` is followed: it ends where it starts. One that is ``filled`` is over: what it lacked
    has been published after all."""

    gap_id: str
    symbol: str
    source: str
    start: int
    end: int
    closed: bool
    reason: GapReason
    detail: str = ""
    updated_at: int = 0
    filled: bool = False

    @property
    def order(self) -> int:
        """Grows with each record of a gap: its end moves on, when it is known the gap is closed, and then it
        may be filled."""
        return self.end + self.closed + self.filled


@dataclass(frozen=True, slots=True)
class ProviderBar:
    """The bar ``[start, end)`` as a provider publishes it; nothing of it enters bars of ours.

    As published it has no indicators and version 0. As the jobs hand it on, a consumer keeps the greatest
    ``version`` of each ``(symbol, source, interval, start)``: it grows with ``received_at``, and when bars
    before it have changed its indicators. ``vwap`` and ``trades`` are None where the provider does not say;
    ``final``: it was over when it was asked for."""

    symbol: str
    source: str
    interval: str
    start: int
    end: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    vwap: float | None
    trades: int | None
    final: bool
    received_at: int
    version: int = 0
    indicators: Mapping[str, float] = field(default_factory=dict)


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


Event = Trade | Correction | Quote | Candle | Alert | Gap | ProviderBar | DeadLetter
