"""How long a server asks us to wait."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MOST_RETRY_AFTER_S = 3600.0
"""Of what a server asks for: it may be wrong, and nobody watches for a day."""


def retry_after_s(header: str | None, now_us: int) -> float | None:
    """The seconds of a ``Retry-After``, which is a number of them or a date; None where it is neither."""
    if not header:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            moment = parsedate_to_datetime(header)
        except ValueError:
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = (moment - datetime.fromtimestamp(now_us / 1e6, UTC)).total_seconds()
    return min(max(0.0, seconds), MOST_RETRY_AFTER_S) if seconds == seconds else None  # noqa: PLR0124 -- NaN
