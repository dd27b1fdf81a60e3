"""Times as users write them, and as we answer them. Inside, all times are microseconds since 1970 UTC."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

Now = Callable[[], int]
"""The current time in microseconds since 1970 UTC."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
LEAST_EPOCH_MS = 100_000_000_000
"""March 1973 in ms, and the year 5138 in seconds: what is below was meant as seconds."""

EXPECTED = (
    "write ISO 8601 (2024-08-09T12:00:00Z), a date (2024-08-09) or milliseconds since 1970 (1723204800000)"
)


def wall_clock() -> int:
    """The system's time in microseconds since 1970 UTC."""
    return time.time_ns() // 1000


def to_datetime(time_us: int) -> datetime:
    """Exact to the microsecond, in UTC."""
    return EPOCH + timedelta(microseconds=time_us)


def to_micros(moment: datetime) -> int:
    """Microseconds since 1970 UTC; a time without zone, as the Cassandra driver gives them, is UTC."""
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - EPOCH) // MICROSECOND


def parse_time(text: object) -> int:
    """Microseconds since 1970 UTC of a time in one of the accepted spellings; no zone means UTC.

    Raises ValueError that says what to write.
    """
    if not isinstance(text, str):
        raise ValueError(EXPECTED)  # noqa: TRY004 -- pydantic turns only ValueError into a 422
    if text.isascii() and text.isdigit():
        return _parse_epoch_ms(text)
    # A '+' that was not escaped in the URL arrives as a space.
    spelling = text.replace(" ", "+") if "T" in text else text
    try:
        micros = to_micros(datetime.fromisoformat(spelling))
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is not a time: {EXPECTED}") from None
    if micros < 0:
        raise ValueError(f"{text!r} is before 1970")
    return micros


def _parse_epoch_ms(text: str) -> int:
    millis = int(text) if len(text) <= 15 else -1
    if 0 < millis < LEAST_EPOCH_MS:
        raise ValueError(f"{text} is no time in milliseconds since 1970 (seconds?): {EXPECTED}")
    try:
        to_datetime(millis * 1000)
    except OverflowError:
        millis = -1
    if millis < 0:
        raise ValueError(f"{text} is too far ahead: {EXPECTED}")
    return millis * 1000


Instant = Annotated[
    int,
    BeforeValidator(parse_time),
    WithJsonSchema({"type": "string", "examples": ["2024-08-09T12:00:00Z", "2024-08-09", "1723204800000"]}),
]
"""A query parameter: text in any accepted spelling, microseconds inside."""
