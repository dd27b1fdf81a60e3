"""What bars of providers have in common."""

from typing import Any

from producer.providers.reading import UNREADABLE, shown
from schemas.errors import ConfigurationError, PoisonError
from schemas.intervals import parse_interval

SETTLED_US = 20 * 60 * 1_000_000
"""After its end: also where the provider is the usual 15 minutes behind, nothing is missing any more."""


def is_final(end: int, received_us: int, *, newest: bool) -> bool:
    """Whether a bar is over: another one follows it, or it ended long ago."""
    return received_us >= end and (not newest or received_us >= end + SETTLED_US)


def interval_of(name: Any) -> str:
    """Our name of an interval; raises PoisonError where there is none."""
    try:
        return parse_interval(name)
    except (ConfigurationError, TypeError):
        raise PoisonError(UNREADABLE, f"the interval of bars is {shown(name)}") from None
