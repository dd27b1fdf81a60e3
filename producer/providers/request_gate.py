"""The one way to a provider's REST API: no faster than it allows, and not while it does not answer."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from pybreaker import STATE_CLOSED, STATE_OPEN, CircuitBreaker, CircuitBreakerError, CircuitMemoryStorage

from schemas.errors import UnavailableError
from schemas.retry_after import retry_after_s

DEFAULT_PAUSE_S = 60.0
"""After a 429 that does not say for how long."""


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """What a provider's REST API allows, of requests; ``per_day`` 0: no limit of that kind."""

    per_minute: float
    per_day: int = 0


class Rest(NamedTuple):
    """Failures in a row that open the circuit, and how long it is open."""

    failures: int = 5
    seconds: float = 30.0


REST = Rest()


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

    def left(self, now_us: int) -> float:
        """Tokens that are there; below 0: so many wait for one."""
        return min(self.burst, self.level + max(0, now_us - self.filled_us) * self.per_second / 1e6)

    def pause(self, until_us: int) -> None:
        """No token comes before ``until_us``, and those that were left are gone."""
        self.level = min(self.level, 0.0)
        self.filled_us = max(self.filled_us, until_us)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. ``retry_after``: the header of that name, as it is."""

    status: int
    body: bytes = b""
    retry_after: str | None = None


class RequestError(UnavailableError):
    """A request without an answer that is of use; to be tried again, though not before ``wait_s``, if it has
    one. ``reason`` is one of ``REASONS``. The message names the provider, never the address or the key."""

    def __init__(self, provider: str, reason: str, detail: str, wait_s: float | None = None) -> None:
        super().__init__(f"{provider} {detail}")
        self.reason = reason
        self.detail = detail
        self.wait_s = wait_s


REASONS = {
    "unreachable": "no connection to the address",
    "tls": "the certificate, or what goes with it, is not good",
    "timeout": "no whole answer in time",
    "http_status": "an HTTP status that is no answer",
    "rate_limited": "the provider says that we ask too often",
    "redirect": "sent elsewhere, where no key of ours goes",
    "protocol": "not HTTP, or encoded in a way that was not asked for",
    "too_big": "an answer above PROVIDER_MAX_FRAME_BYTES",
    "closed": "broken off before the end of the answer",
    "resting": "not asked: it has failed too often in a row",
    "complaint": "the provider says that something is wrong",
    "queue_full": "not asked: too many requests wait for its limit already",
}


class Breaker(CircuitMemoryStorage):
    """The state of a circuit breaker, on our clock: the library knows only the machine's."""

    def __init__(self, now_us: Callable[[], int], rest_s: float) -> None:
        super().__init__(STATE_CLOSED)
        self._now_us = now_us
        self._rest_us = round(rest_s * 1e6)
        self._opened_us: int | None = None

    @property
    def opened_at(self) -> datetime | None:
        """As long ago by the machine's clock as it is by ours."""
        if self._opened_us is None:
            return None
        return datetime.now(UTC) - timedelta(microseconds=self._now_us() - self._opened_us)

    @opened_at.setter
    def opened_at(self, _: datetime) -> None:
        self._opened_us = self._now_us()

    @property
    def rests_s(self) -> float:
        """Seconds for which nothing is to be sent."""
        if self.state != STATE_OPEN or self._opened_us is None:
            return 0.0
        return max(0, self._opened_us + self._rest_us - self._now_us()) / 1e6


class RequestGate:
    """Sends requests when the provider's limits allow it.

    A 429 or 503 stops all requests for as long as its ``Retry-After`` says. After some answers in a row
    of 500 and above, or none, the circuit opens: for a while nothing is sent; then one request tries.
    """

    def __init__(
        self,
        provider: str,
        buckets: Sequence[TokenBucket],
        now_us: Callable[[], int],
        sleep: Callable[[float], Awaitable[None]],
        rest: Rest = REST,
    ) -> None:
        """``buckets``: one for each limit; a request needs a token of all."""
        self._provider = provider
        self._buckets = buckets
        self._now_us = now_us
        self._sleep = sleep
        self._state = Breaker(now_us, rest.seconds)
        self._breaker = CircuitBreaker(
            fail_max=rest.failures,
            reset_timeout=rest.seconds,
            name=provider,
            state_storage=self._state,
            throw_new_error_on_trip=False,
        )
        self.paused_until_us = 0

    @property
    def left(self) -> float:
        """Requests that may be sent at once now; below 0: so many wait."""
        now_us = self._now_us()
        return min((bucket.left(now_us) for bucket in self._buckets), default=0.0)

    async def send(self, request: Callable[[], Awaitable[Answer]]) -> Answer:
        """The answer, whatever its status below 500 apart from 429. ``request`` raises RequestError where
        there is none.

        Raises RequestError."""
        self._let_rest()
        wait_s = self._reserve()
        if wait_s is None:
            raise RequestError(
                self._provider, "queue_full", "has too many requests waiting for its limit already"
            )
        if wait_s:
            await self._sleep(wait_s)
        try:
            with self._breaker.calling():
                answer = await request()
                if answer.status >= 500 and answer.status != 503:
                    raise RequestError(self._provider, "http_status", f"answers with {answer.status}")
        except CircuitBreakerError:  # it has opened while this request waited
            self._let_rest()
            raise RequestError(self._provider, "resting", "has not answered: not asked now") from None
        if answer.status in (429, 503):
            pause_s = retry_after_s(answer.retry_after, self._now_us())
            raise self.told_to_wait(f"answers with {answer.status}", pause_s)
        return answer

    def told_to_wait(self, detail: str, pause_s: float | None = None) -> RequestError:
        """Lets nothing more pass for ``pause_s``; returns the error that says so."""
        pause_s = DEFAULT_PAUSE_S if pause_s is None else pause_s
        self.paused_until_us = self._now_us() + round(pause_s * 1e6)
        for bucket in self._buckets:
            bucket.pause(self.paused_until_us)
        return RequestError(
            self._provider, "rate_limited", f"{detail}: nothing is asked for {pause_s:.0f} s", pause_s
        )

    def _let_rest(self) -> None:
        if rests_s := self._state.rests_s:
            raise RequestError(
                self._provider, "resting", "has not answered for a while: not asked now", rests_s
            )

    def _reserve(self) -> float | None:
        """A token of every bucket, or of none."""
        now_us, waits = self._now_us(), list[float]()
        for bucket in self._buckets:
            wait_s = bucket.reserve(now_us)
            if wait_s is None:
                for before in self._buckets[: len(waits)]:
                    before.level += 1
                return None
            waits.append(wait_s)
        return max(waits, default=0.0)
