"""How often somebody may ask. Counted in memory, by each process for itself: behind a load balancer with n
processes a key may ask n times as often. A sliding window: no double burst around a full second."""

import math
import time
from dataclasses import dataclass

from limits import RateLimitItem, RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from api.security.settings import SecuritySettings, parse_rate


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of the limit that is closest to its end."""

    allowed: bool
    limit: int
    remaining: int
    reset_seconds: int
    """Until there is more."""

    @property
    def headers(self) -> dict[str, str]:
        """For the answer."""
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset_seconds),
        }


class Rate:
    """Some limits that hold together, for any number of callers. Memory: two counters for each limit and each
    caller of the last two windows."""

    def __init__(self, limits: tuple[RateLimitItem, ...], limiter: SlidingWindowCounterRateLimiter) -> None:
        self._limits = limits
        self._limiter = limiter

    def hit(self, *caller: str, cost: int = 1) -> Allowance | None:
        """Counts a request; None where there is no limit."""
        return self._strictest([self._take(limit, caller, cost) for limit in self._limits])

    def look(self, *caller: str) -> Allowance | None:
        """What ``hit`` would say, without counting."""
        return self._strictest(
            [self._left(limit, caller, self._limiter.test(limit, *caller)) for limit in self._limits]
        )

    def _take(self, limit: RateLimitItem, caller: tuple[str, ...], cost: int) -> Allowance:
        # A limit below the cost would refuse for ever.
        allowed = self._limiter.hit(limit, *caller, cost=min(cost, limit.amount))
        return self._left(limit, caller, allowed)

    def _left(self, limit: RateLimitItem, caller: tuple[str, ...], allowed: bool) -> Allowance:
        stats = self._limiter.get_window_stats(limit, *caller)
        wait = max(1, math.ceil(stats.reset_time - time.time()))
        return Allowance(allowed, limit.amount, stats.remaining, wait)

    @staticmethod
    def _strictest(found: list[Allowance]) -> Allowance | None:
        refused = [each for each in found if not each.allowed]
        if refused:
            return max(refused, key=lambda each: each.reset_seconds)
        return min(found, key=lambda each: each.remaining / each.limit, default=None)


class Rates:
    """All rates of one process."""

    def __init__(self, settings: SecuritySettings, ws_messages_per_second: int) -> None:
        limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

        def rate(text: str) -> Rate:
            return Rate(parse_rate(text), limiter)

        self.key = rate(settings.api_rate_key)
        self.address = rate(settings.api_rate_address)
        self.local = rate(settings.api_rate_local)
        self.failures = rate(settings.api_rate_failures)
        self.messages = Rate((RateLimitItemPerSecond(ws_messages_per_second),), limiter)
