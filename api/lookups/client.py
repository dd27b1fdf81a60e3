"""Asking a provider: bounded in time, in size and in number, not while it asks for a pause, and with a key
that is in a header, so in no address, and in none of our errors."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from api.errors import LookupUnavailable
from api.times import wall_clock
from schemas.retry_after import retry_after_s

MOST_BYTES = 8 * 1024 * 1024
PAUSE_S = 60.0
"""After a 429 that does not say for how long."""


@dataclass(frozen=True, slots=True)
class Access:
    """Where and how a provider is asked. ``key``: the header that holds the key; ``key_setting``: where it
    comes from; ``seconds``: the longest that an answer may take."""

    provider: str
    url: str
    key: Mapping[str, str] = field(repr=False)
    key_setting: str
    per_minute: int
    seconds: float


class LookupClient:
    """One provider's REST API."""

    def __init__(
        self, http: httpx.AsyncClient, access: Access, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """``http`` follows no redirects: another host must not get our key."""
        self.provider = access.provider
        self._http = http
        self._access = access
        self._url = access.url.rstrip("/")
        self._monotonic = monotonic
        self._limit = RateLimitItemPerMinute(access.per_minute)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._paused_until = 0.0

    async def get(self, path: str, **query: str) -> Any:
        """The JSON of an answer. Raises LookupUnavailable."""
        self._count()
        try:
            async with (
                asyncio.timeout(self._access.seconds),
                self._http.stream(
                    "GET", f"{self._url}/{path}", params=query, headers=self._access.key
                ) as answer,
            ):
                self._check(answer)
                body = await self._body(answer)
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._unavailable(f"does not answer ({type(error).__name__})") from None
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            raise self.no_sense() from None

    def no_sense(self) -> LookupUnavailable:
        """The answer is not what it should be."""
        return self._unavailable("answers with something else than it documents")

    def _count(self) -> None:
        left_s = self._paused_until - self._monotonic()
        if left_s > 0:
            raise self._unavailable("has asked us to wait", left_s)
        if not self._limiter.hit(self._limit):
            raise self._unavailable("has been asked as often as LOOKUP_REQUESTS_PER_MINUTE allows", PAUSE_S)

    def _check(self, answer: httpx.Response) -> None:
        status = answer.status_code
        if status in (429, 503):
            asked_s = retry_after_s(answer.headers.get("Retry-After"), wall_clock())
            pause_s = PAUSE_S if asked_s is None else asked_s
            self._paused_until = self._monotonic() + pause_s
            raise self._unavailable(f"asks us to wait (HTTP {status})", pause_s)
        if status in (401, 402, 403):
            raise self._unavailable(
                f"refuses this with our key (HTTP {status}): set {self._access.key_setting} to one that may"
            )
        if status != 200:
            raise self._unavailable(f"answers with HTTP {status}")

    async def _body(self, answer: httpx.Response) -> bytes:
        body = bytearray()
        async for part in answer.aiter_bytes():
            body += part
            if len(body) > MOST_BYTES:
                raise self._unavailable("answers with too much")
        return bytes(body)

    def _unavailable(self, why: str, retry_after_s: float = 0.0) -> LookupUnavailable:
        return LookupUnavailable(self.provider, why, retry_after_s)
