"""What the rules look at of a slice of trades."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SliceSeen:
    """Of a slice of trades, or one late trade, what the rules look at. ``event_time`` (us) is its first
    trade's, ``skewed`` counts the trades that are dated ahead of their receipt; prices are None where none
    may be set."""

    symbol: str
    source: str
    event_time: int
    high: float | None
    low: float | None
    skewed: int
    events: int
