"""Lookups, wired together: which provider is asked, and what is remembered of its answers."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Protocol

import httpx
import structlog

from api.errors import ApiError, LookupNotConfigured, UnknownCompany
from api.lookups import finnhub, fmp
from api.lookups.client import Access, LookupClient
from api.lookups.models import Company, DailyBar, DailyHistory, LookedUpQuote
from api.lookups.remembered import MOST, Remembered
from api.lookups.settings import LookupSettings
from api.metrics import CacheMetrics
from api.models import Quote
from api.quote_store import DELAYED_US
from api.times import Now, to_datetime

log = structlog.get_logger()

HISTORY_DAYS = 366
"""Daily history that is asked for, whatever part of it is wanted: one request for all of them."""
HEADERS = {"User-Agent": "tickstream"}


class Provider(Protocol):
    """A provider of lookups. Every method is None for what the provider does not know, and raises
    LookupUnavailable."""

    name: str

    async def company(self, symbol: str) -> Company | None: ...

    async def quote(self, symbol: str) -> LookedUpQuote | None: ...

    async def history(self, symbol: str, start: date, end: date) -> Sequence[DailyBar] | None:
        """Days of [start, end], newest first."""


class Lookups:
    """Only for the event loop's thread. Everything raises LookupNotConfigured where nobody can be asked, and
    LookupUnavailable where there is no answer."""

    def __init__(
        self, provider: Provider | None, settings: LookupSettings, metrics: CacheMetrics, now: Now
    ) -> None:
        self._provider = provider
        self._now = now
        failed_s = settings.lookup_failed_seconds
        self._companies: Remembered[Company] = Remembered(
            "companies", self._ask_company, settings.lookup_company_seconds, failed_s, metrics
        )
        self._quotes: Remembered[LookedUpQuote] = Remembered(
            "quote_lookups", self._ask_quote, settings.lookup_quote_seconds, failed_s, metrics
        )
        self._history: Remembered[DailyHistory] = Remembered(
            "history_lookups", self._ask_history, settings.lookup_history_seconds, failed_s, metrics
        )

    @property
    def configured(self) -> bool:
        """Whether anybody can be asked."""
        return self._provider is not None

    @property
    def uses(self) -> Mapping[str, tuple[int, int]]:
        """Name of each cache -> what it holds, and the most it may."""
        caches: dict[str, Remembered[Any]] = {
            "companies": self._companies,
            "quote_lookups": self._quotes,
            "history_lookups": self._history,
        }
        return {name: (cache.entries, MOST) for name, cache in caches.items()}

    async def company(self, symbol: str) -> Company:
        """Raises UnknownCompany, too."""
        provider = self._asked()
        found = await self._companies.get(symbol)
        if found is None:
            raise UnknownCompany(symbol, provider.name)
        return found

    async def history(self, symbol: str) -> DailyHistory:
        """The last HISTORY_DAYS. Raises UnknownCompany, too."""
        provider = self._asked()
        found = await self._history.get(symbol)
        if found is None:
            raise UnknownCompany(symbol, provider.name)
        return found

    async def quote(self, symbol: str) -> Quote | None:
        """As a snapshot; None where the provider has none, or there is no answer: then there is no quote."""
        if self._provider is None:
            return None
        try:
            found = await self._quotes.get(symbol)
        except ApiError:
            return None
        return None if found is None else to_quote(symbol, found, self._provider.name, self._now())

    async def warm(self, symbols: Sequence[str]) -> None:
        """Looks up companies, one after the other, so that nobody has to wait for them."""
        for symbol in symbols if self._provider is not None else ():
            try:
                await self._companies.get(symbol)
            except ApiError as error:
                log.warning("lookups_not_warmed", detail=str(error))
                return

    async def _ask_company(self, symbol: str) -> Company | None:
        return await self._asked().company(symbol)

    async def _ask_quote(self, symbol: str) -> LookedUpQuote | None:
        return await self._asked().quote(symbol)

    async def _ask_history(self, symbol: str) -> DailyHistory | None:
        provider, at = self._asked(), to_datetime(self._now())
        bars = await provider.history(symbol, at.date() - timedelta(days=HISTORY_DAYS), at.date())
        if bars is None:
            return None
        return DailyHistory(symbol=symbol, provider=provider.name, looked_up_at=at, bars=list(bars))

    def _asked(self) -> Provider:
        if self._provider is None:
            raise LookupNotConfigured
        return self._provider


def to_quote(symbol: str, found: LookedUpQuote, provider: str, now: int) -> Quote:
    """A snapshot that says where it comes from."""
    previous = found.previous_close
    change = None if previous is None else found.price - previous
    at = to_datetime(found.event_time)
    return Quote(
        symbol=symbol,
        last_price=found.price,
        last_size=None,
        last_time=at,
        bid=None,
        bid_size=None,
        ask=None,
        ask_size=None,
        mid=None,
        spread=None,
        quote_time=None,
        day=None,
        previous_close=previous,
        change=change,
        change_percent=100 * change / previous if change is not None and previous else None,
        event_time=at,
        received_at=None,
        source=provider,
        delayed=now - found.event_time > DELAYED_US,
        age_seconds=max(0.0, (now - found.event_time) / 1e6),
        looked_up=True,
    )


def http_client(settings: LookupSettings) -> httpx.AsyncClient:
    """For requests to a provider: it goes nowhere else, as another host must not get our key."""
    timeout_s = settings.lookup_timeout_seconds
    return httpx.AsyncClient(timeout=timeout_s, headers=HEADERS, follow_redirects=False)


def provider_of(settings: LookupSettings, http: httpx.AsyncClient, now: Now) -> Provider | None:
    """The provider that the settings name; None: nobody is asked."""
    if settings.lookups_from is None:
        return None
    name, key = settings.lookups_from
    finnhub_asked = name == "finnhub"
    access = Access(
        provider=name,
        url=settings.lookup_url or (finnhub.URL if finnhub_asked else fmp.URL),
        key={"X-Finnhub-Token" if finnhub_asked else "apikey": key},
        key_setting=f"{name.upper()}_API_KEY",
        per_minute=settings.lookup_requests_per_minute,
        seconds=settings.lookup_timeout_seconds,
    )
    client = LookupClient(http, access)
    return finnhub.Finnhub(client, now) if finnhub_asked else fmp.Fmp(client, now)
