"""What lookups answer with. Unknown is null."""

import datetime as dt
from typing import Literal, NamedTuple

from pydantic import Field

from api.models import Answer


class Company(Answer):
    symbol: str = Field(examples=["AAPL"])
    name: str = Field(examples=["Apple Inc"])
    exchange: str | None = Field(examples=["NASDAQ NMS - GLOBAL MARKET"])
    currency: str | None = Field(examples=["USD"])
    country: str | None = Field(examples=["US"])
    industry: str | None = Field(examples=["Technology"])
    sector: str | None = Field(examples=["Technology"])
    website: str | None = Field(examples=["https://www.apple.com/"])
    ipo: dt.date | None = Field(description="first day on an exchange", examples=["1980-12-12"])
    market_cap: float | None = Field(description="in units of the currency", examples=[3.4e12])
    shares: float | None = Field(description="outstanding", examples=[1.51e10])
    employees: int | None = Field(examples=[164_000])
    description: str | None = Field(examples=["Designs, manufactures and markets smartphones."])
    provider: str = Field(description="who said so", examples=["finnhub"])
    looked_up_at: dt.datetime = Field(examples=["2026-01-05T14:31:12.250000Z"])


class DailyBar(Answer):
    """A day as the provider has it: never mixed with the bars that are made of trades here."""

    date: dt.date = Field(examples=["2026-01-05"])
    open: float = Field(examples=[184.1])
    high: float = Field(examples=[188.0])
    low: float = Field(examples=[183.75])
    close: float = Field(examples=[187.42])
    volume: float | None = Field(examples=[41_250_400.0])


class DailyHistory(Answer):
    symbol: str = Field(examples=["AAPL"])
    provider: str = Field(description="whose bars these are", examples=["fmp"])
    provider_bar: Literal[True] = Field(
        True, description="these are not made of trades here", examples=[True]
    )
    looked_up_at: dt.datetime = Field(examples=["2026-01-05T14:31:12.250000Z"])
    bars: list[DailyBar] = Field(description="newest first")


class LookedUpQuote(NamedTuple):
    """``event_time`` in microseconds since 1970 UTC."""

    price: float
    event_time: int
    previous_close: float | None
