"""How long to wait before the next attempt."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MOST_RETRY_AFTER_S = 3600.0
"""Of what a server asks for: it may be wrong, and nobody watches for a day."""


@dataclass(slots=True)
class Backoff:
    """Waits that grow with each failure, up to a cap, each between nothing and all of it (full jitter), so
    that clients that failed together do not come back together. ``random``: a number of [0, 1)."""

    base_s: float
    cap_s: float
    random: Callable[[], float]
    failures: int = 0

    def next_s(self, retry_after_s: float | None = None) -> float:
        """The wait after one more failure; never less than the server has asked for."""
        most_s = min(self.cap_s, self.base_s * 2 ** min(self.failures, 32))
        self.failures += 1
        return max(retry_after_s or 0.0, most_s * self.random())

    def reset(self) -> None:
        """After a time in which all was well."""
        self.failures = 0


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
