"""The market at a glance, as the API answers it."""

from datetime import datetime

from pydantic import Field

from api.models import Answer


class SymbolSummary(Answer):
    """One line of the market. Unknown is null."""

    symbol: str = Field(examples=["AAPL"])
    price: float | None = Field(description="`last_price` of the symbol's quote", examples=[187.42])
    change: float | None = Field(description="price - previous_close", examples=[3.42])
    change_percent: float | None = Field(description="change in % of previous_close", examples=[1.8587])
    previous_close: float | None = Field(description="close of the day before", examples=[184.0])
    volume: float | None = Field(description="of the day", examples=[1250400.0])
    high: float | None = Field(description="of the day", examples=[188.0])
    low: float | None = Field(description="of the day", examples=[183.75])
    time: datetime | None = Field(
        description="of the trade that set the price; where it is not kept, the end of its bar",
        examples=["2026-01-05T14:31:12.250000Z"],
    )
    age_seconds: float | None = Field(description="how long ago that was", examples=[0.42])
    stale: bool = Field(description="there is no price, or it is more than 30 seconds old", examples=[False])
    quality: float | None = Field(description="of the newest 1m bar: 1 is best", examples=[1.0])
    sparkline: list[float] = Field(
        description="closes of the newest 60 1m bars, oldest first; bars without a price are left out",
        examples=[[187.2, 187.35, 187.42]],
    )


class Totals(Answer):
    symbols: int = Field(examples=[10])
    up: int = Field(examples=[6])
    down: int = Field(examples=[3])
    unchanged: int = Field(description="since the close of the day before", examples=[1])
    stale: int = Field(examples=[0])
    trades_per_second: float = Field(
        description="of all symbols, over the last ten seconds, as the live feed counts them",
        examples=[100.4],
    )


class MarketSummary(Answer):
    symbols: list[SymbolSummary] = Field(description="by name, or in the order asked for")
    totals: Totals
    time: datetime = Field(description="when this was put together", examples=["2026-01-05T14:31:12.670000Z"])
