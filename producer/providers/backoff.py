"""How long to wait before the next attempt."""

from collections.abc import Callable
from dataclasses import dataclass


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
