"""Finnhub's REST API, as documented; not proven against recorded answers. What it does not know is ``{}``, a
quote of zeros, or a history of ``no_data``. A market capitalisation is in millions, shares too."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from typing import Literal, TypeVar

from pydantic import ValidationError

from api.lookups.client import LookupClient
from api.lookups.models import Company, DailyBar, LookedUpQuote
from api.lookups.reading import Day, Given, Number, Seconds, Text, day_of
from api.times import Now, to_datetime

URL = "https://finnhub.io/api/v1"
MILLION = 1e6
T = TypeVar("T", bound=Given)


class _Profile(Given):
    ticker: Text = None
    name: Text = None
    exchange: Text = None
    currency: Text = None
    country: Text = None
    finnhubIndustry: Text = None
    weburl: Text = None
    ipo: Day = None
    marketCapitalization: Number = None
    shareOutstanding: Number = None


class _Quote(Given):
    c: float
    pc: Number = None
    t: Seconds


class _Candles(Given):
    s: Literal["ok", "no_data"]
    o: tuple[float, ...] = ()
    h: tuple[float, ...] = ()
    l: tuple[float, ...] = ()  # noqa: E741
    c: tuple[float, ...] = ()
    v: tuple[float, ...] = ()
    t: tuple[Seconds, ...] = ()


class Finnhub:
    """See ``api.lookups.lookups.Provider``."""

    def __init__(self, client: LookupClient, now: Now) -> None:
        self.name = client.provider
        self._client = client
        self._now = now

    async def company(self, symbol: str) -> Company | None:
        found = await self._get(_Profile, "stock/profile2", symbol=symbol)
        if found.name is None:
            return None
        return Company(
            symbol=symbol,
            name=found.name,
            exchange=found.exchange,
            currency=found.currency,
            country=found.country,
            industry=found.finnhubIndustry,
            sector=None,
            website=found.weburl,
            ipo=found.ipo,
            market_cap=None if found.marketCapitalization is None else found.marketCapitalization * MILLION,
            shares=None if found.shareOutstanding is None else found.shareOutstanding * MILLION,
            employees=None,
            description=None,
            provider=self.name,
            looked_up_at=to_datetime(self._now()),
        )

    async def quote(self, symbol: str) -> LookedUpQuote | None:
        found = await self._get(_Quote, "quote", symbol=symbol)
        if not found.t or not found.c:
            return None
        return LookedUpQuote(found.c, found.t * 1_000_000, found.pc or None)

    async def history(self, symbol: str, start: date, end: date) -> Sequence[DailyBar] | None:
        found = await self._get(
            _Candles, "stock/candle", symbol=symbol, resolution="D", **{"from": _seconds(start)},
            to=_seconds(end),
        )  # fmt: skip
        if found.s == "no_data":
            return None
        columns = (found.t, found.o, found.h, found.l, found.c, found.v)
        if len({len(column) for column in columns}) != 1:
            raise self._client.no_sense()
        return [
            DailyBar(date=day_of(at), open=first, high=high, low=low, close=last, volume=volume)
            for at, first, high, low, last, volume in sorted(zip(*columns, strict=True), reverse=True)
        ]

    async def _get(self, kind: type[T], path: str, **query: str) -> T:
        try:
            return kind.model_validate(await self._client.get(path, **query))
        except ValidationError:
            raise self._client.no_sense() from None


def _seconds(day: date) -> str:
    return str(int(datetime.combine(day, time(), UTC).timestamp()))
