"""The one way to a provider's REST API: no faster than it allows, and not while it does not answer."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import httpx
from pybreaker import CircuitBreaker, CircuitBreakerError

from producer.providers.backoff import retry_after_s
from schemas.errors import UnavailableError

DEFAULT_PAUSE_S = 60.0
"""After a 429 that does not say for how long."""


@dataclass(slots=True)
class TokenBucket:
    """``per_second`` requests on average, ``burst`` at once; ``most_waiting`` may wait for their turn.

    Each request takes a token; with none left it gets one that is still to come, and waits for it. ``level``
    below 0 is how many wait."""

    per_second: float
    burst: int
    most_waiting: int
    level: float
    filled_us: int

    @classmethod
    def full(cls, per_second: float, burst: int, most_waiting: int, now_us: int) -> "TokenBucket":
        return cls(per_second, burst, most_waiting, burst, now_us)

    def reserve(self, now_us: int) -> float | None:
        """Seconds to wait before the request may be sent; None: too many wait already, it is not to be
        sent."""
        if now_us > self.filled_us:
            self.level = min(self.burst, self.level + (now_us - self.filled_us) * self.per_second / 1e6)
            self.filled_us = now_us
        if self.level - 1 < -self.most_waiting:
            return None
        self.level -= 1
        return max(0.0, self.filled_us - now_us) / 1e6 + max(0.0, -self.level) / self.per_second

    def pause(self, until_us: int) -> None:
        """No token comes before ``until_us``, and those that were left are gone."""
        self.level = min(self.level, 0.0)
        self.filled_us = max(self.filled_us, until_us)


class RequestGate:
    """Sends requests when the provider's limit allows it.

    A 429 or 503 stops all requests for as long as its ``Retry-After`` says. After ``failures`` answers in a
    row of 500 and above, or none, the circuit opens: for ``rest_s`` nothing is sent; then one request tries.
    """

    def __init__(
        self,
        provider: str,
        bucket: TokenBucket,
        now_us: Callable[[], int],
        sleep: Callable[[float], Awaitable[None]],
        breaker: CircuitBreaker,
    ) -> None:
        self._provider = provider
        self._bucket = bucket
        self._now_us = now_us
        self._sleep = sleep
        self._breaker = breaker
        self.paused_until_us = 0

    async def send(self, request: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
        """The answer, whatever its status below 500 apart from 429.

        Raises UnavailableError, which names the provider and never the address, as that may hold the key."""
        wait_s = self._bucket.reserve(self._now_us())
        if wait_s is None:
            raise UnavailableError(f"{self._provider}: too many requests wait for its limit already")
        if wait_s:
            await self._sleep(wait_s)
        try:
            with self._breaker.calling():
                response = await request()
                if response.status_code >= 500 and response.status_code != 503:
                    raise UnavailableError(f"{self._provider} answers with {response.status_code}")
        except httpx.TransportError as error:
            raise UnavailableError(f"{self._provider} does not answer: {type(error).__name__}") from None
        except CircuitBreakerError:
            raise UnavailableError(f"{self._provider} has not answered for a while: not asked now") from None
        if response.status_code in (429, 503):
            raise self._told_to_wait(response)
        return response

    def _told_to_wait(self, response: httpx.Response) -> UnavailableError:
        now_us = self._now_us()
        pause_s = retry_after_s(response.headers.get("Retry-After"), now_us)
        pause_s = DEFAULT_PAUSE_S if pause_s is None else pause_s
        self.paused_until_us = now_us + round(pause_s * 1e6)
        self._bucket.pause(self.paused_until_us)
        return UnavailableError(
            f"{self._provider} answers with {response.status_code}: nothing is asked for {pause_s:.0f} s"
        )


def circuit_breaker(provider: str, failures: int = 5, rest_s: float = 30.0) -> CircuitBreaker:
    """One for each provider; see ``RequestGate``."""
    return CircuitBreaker(fail_max=failures, reset_timeout=rest_s, name=provider)
