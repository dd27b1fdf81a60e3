"""One GET of a provider's REST API: when its gate allows it, bounded in time and size, sent nowhere else, and
with a key that is shown nowhere.

Keys are in addresses, and httpx shows addresses: in its log, in the messages of its errors and in what they
hold. So nothing of it gets out of here: no log line, and no exception, not even as the cause of ours.
"""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Self

import httpx

from producer.providers.request_gate import Answer, RequestError, RequestGate, RequestLimits, TokenBucket
from producer.providers.settings import ProviderSettings
from producer.providers.tls import trusted_certificates
from schemas.errors import ConfigurationError

MOST_WAITING = 100
"""Requests that may wait for a provider's limit."""

DAY_S = 86_400
ENCODED = ("", "identity")
"""What an answer may be encoded with: its size is known before it is unpacked."""

HEADERS = {"User-Agent": "Mozilla/5.0 (compatible; tickstream)", "Accept-Encoding": "identity"}
"""Yahoo refuses clients that do not look like a browser."""

for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)


@dataclass(frozen=True, slots=True)
class Request:
    """What to get: ``url`` without its query, the query, and the part of it that holds the key."""

    url: str
    query: Mapping[str, str] = field(default_factory=dict)
    key: Mapping[str, str] = field(default_factory=dict, repr=False)


class RestClient:
    """A provider's REST API. To be closed in the event loop in which it is used."""

    def __init__(self, provider: str, gate: RequestGate, settings: ProviderSettings) -> None:
        """Raises ConfigurationError where PROVIDER_CA_FILE cannot be read."""
        self._provider = provider
        self.gate = gate
        self._request_s = settings.provider_request_seconds
        self._most_bytes = settings.provider_max_frame_bytes
        self._http = httpx.AsyncClient(
            verify=trusted_certificates(settings),
            timeout=httpx.Timeout(
                settings.provider_request_seconds, connect=settings.provider_handshake_seconds
            ),
            headers=HEADERS,
            follow_redirects=False,  # another host must not get our key
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def get(self, request: Request) -> Answer:
        """The answer, of a status of 2xx, or of 4xx apart from 429: what that means is the caller's business.

        Raises RequestError where there is none now, ConfigurationError for an address that is none."""
        return await self.gate.send(lambda: self._get(request))

    async def _get(self, request: Request) -> Answer:
        try:
            _check(httpx.URL(request.url))
            async with asyncio.timeout(self._request_s):
                return await self._exchange(request)
        except httpx.InvalidURL:
            problem = None
        except (TimeoutError, httpx.TimeoutException):
            problem = "timeout", f"does not answer within {self._request_s:g} s"
        except httpx.ConnectError as error:
            problem = (
                ("tls", "has no good certificate") if _tls(error) else ("unreachable", "does not answer")
            )
        except httpx.LocalProtocolError:
            problem = "protocol", "does not speak HTTP"
        except httpx.HTTPError as error:
            problem = "closed", f"breaks off: {type(error).__name__}"
        # Out of the except clauses: none of theirs is the context of ours.
        if problem is None:
            raise ConfigurationError(f"the address of {self._provider} is none: it begins with https://")
        raise RequestError(self._provider, *problem)

    async def _exchange(self, request: Request) -> Answer:
        query = {**request.query, **request.key}
        async with self._http.stream("GET", request.url, params=query) as response:
            if 300 <= response.status_code < 400:
                raise RequestError(
                    self._provider, "redirect", f"sends us elsewhere (HTTP {response.status_code})"
                )
            if response.headers.get("Content-Encoding", "").lower() not in ENCODED:
                raise RequestError(self._provider, "protocol", "answers with an encoding not asked for")
            body = bytearray()
            async for part in response.aiter_raw():
                body += part
                if len(body) > self._most_bytes:
                    raise RequestError(
                        self._provider, "too_big", "answers with more than PROVIDER_MAX_FRAME_BYTES"
                    )
            return Answer(response.status_code, bytes(body), response.headers.get("Retry-After"))


def gate_of(
    provider: str,
    limits: RequestLimits,
    now_us: Callable[[], int],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> RequestGate:
    """The gate of a provider with these limits. No minute and no day has more requests than it allows,
    wherever they are taken to begin: half of a day's may go at once, and the rest comes in over the day."""
    buckets = [TokenBucket.full(limits.per_minute / 60, 1, MOST_WAITING, now_us())]
    if limits.per_day:
        burst = max(1, limits.per_day // 2)
        per_second = max(1, limits.per_day - burst) / DAY_S
        buckets.append(TokenBucket.full(per_second, burst, MOST_WAITING, now_us()))
    return RequestGate(provider, buckets, now_us, sleep)


def _check(url: httpx.URL) -> None:
    """Raises httpx.InvalidURL where nothing can be asked there; httpx itself looks at less."""
    if url.scheme not in ("http", "https") or not url.host or not 0 < (url.port or 1) < 65_536:
        raise httpx.InvalidURL("no address")


def _tls(error: BaseException) -> bool:
    """Whether TLS is at the bottom of it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
