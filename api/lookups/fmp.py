"""The REST API of Financial Modeling Prep (``/stable``), as documented; not proven against recorded answers.
What it does not know is an empty list. Classes of shares have a hyphen: BRK-B."""

from collections.abc import Sequence
from datetime import date
from typing import TypeVar

from pydantic import ValidationError

from api.lookups.client import LookupClient
from api.lookups.models import Company, DailyBar, LookedUpQuote
from api.lookups.reading import Day, Given, Number, SecondsOrMillis, Text, Whole
from api.times import Now, to_datetime
from schemas.symbols import SHARE_CLASS

URL = "https://financialmodelingprep.com/stable"
T = TypeVar("T", bound=Given)
MILLISECONDS_FROM = 10**11
"""Times are in seconds; those of the hours after the market in milliseconds."""


class _Profile(Given):
    companyName: Text = None
    exchangeFullName: Text = None
    exchange: Text = None
    currency: Text = None
    country: Text = None
    industry: Text = None
    sector: Text = None
    website: Text = None
    ipoDate: Day = None
    marketCap: Number = None
    fullTimeEmployees: Whole = None
    description: Text = None


class _Quote(Given):
    price: Number = None
    timestamp: SecondsOrMillis
    previousClose: Number = None


class _Day(Given):
    date: date
    open: float
    high: float
    low: float
    close: float
    volume: Number = None


class Fmp:
    """See ``api.lookups.lookups.Provider``."""

    def __init__(self, client: LookupClient, now: Now) -> None:
        self.name = client.provider
        self._client = client
        self._now = now

    async def company(self, symbol: str) -> Company | None:
        profiles = await self._get(_Profile, "profile", symbol)
        if not profiles or profiles[0].companyName is None:
            return None
        found = profiles[0]
        return Company(
            symbol=symbol,
            name=profiles[0].companyName,
            exchange=found.exchangeFullName or found.exchange,
            currency=found.currency,
            country=found.country,
            industry=found.industry,
            sector=found.sector,
            website=found.website,
            ipo=found.ipoDate,
            market_cap=found.marketCap,
            shares=None,
            employees=found.fullTimeEmployees,
            description=found.description,
            provider=self.name,
            looked_up_at=to_datetime(self._now()),
        )

    async def quote(self, symbol: str) -> LookedUpQuote | None:
        quotes = await self._get(_Quote, "quote", symbol)
        if not quotes or not quotes[0].price:
            return None
        at = quotes[0].timestamp
        at_us = at * 1000 if at >= MILLISECONDS_FROM else at * 1_000_000
        return LookedUpQuote(quotes[0].price, at_us, quotes[0].previousClose)

    async def history(self, symbol: str, start: date, end: date) -> Sequence[DailyBar] | None:
        days = await self._get(
            _Day, "historical-price-eod/full", symbol, **{"from": start.isoformat()}, to=end.isoformat()
        )
        bars = [DailyBar.model_validate(day.model_dump()) for day in days]
        return sorted(bars, key=lambda bar: bar.date, reverse=True) or None

    async def _get(self, kind: type[T], path: str, symbol: str, **query: str) -> list[T]:
        share = SHARE_CLASS.fullmatch(symbol)
        name = f"{share[1]}-{share[2]}" if share else symbol
        found = await self._client.get(path, symbol=name, **query)
        if not isinstance(found, list):
            raise self._client.no_sense()
        try:
            return [kind.model_validate(item) for item in found]
        except ValidationError:
            raise self._client.no_sense() from None
