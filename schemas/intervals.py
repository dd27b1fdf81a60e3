"""The bar intervals and their spelling."""

from schemas.errors import ConfigurationError

MINUTE_US = 60_000_000
INTERVALS: dict[str, int] = {
    "1m": MINUTE_US,
    "5m": 5 * MINUTE_US,
    "15m": 15 * MINUTE_US,
    "1h": 60 * MINUTE_US,
    "4h": 240 * MINUTE_US,
    "1d": 1440 * MINUTE_US,
}
"""Interval -> length in microseconds. Each divides the next, and all divide the UTC day."""

ALIASES = {
    "1min": "1m",
    "5min": "5m",
    "15min": "15m",
    "60m": "1h",
    "60min": "1h",
    "1hour": "1h",
    "1day": "1d",
}


def parse_interval(text: str) -> str:
    """The canonical spelling of an interval; raises ConfigurationError naming the ones there are."""
    interval = ALIASES.get(text, text)
    if interval not in INTERVALS:
        raise ConfigurationError(f"unknown interval {text!r}: use one of {', '.join(INTERVALS)}")
    return interval


def bar_start(event_time_us: int, interval: str) -> int:
    """Start (microseconds) of the bar of ``interval`` that holds ``event_time_us``, on the UTC day."""
    length = INTERVALS[interval]
    return event_time_us - event_time_us % length
