"""What the API answers with. Times are UTC; unknown is null, never 0."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

NextCursor = Annotated[
    str | None,
    Field(
        description="give it as `cursor` to get the next, older page; null: nothing older is in the range",
        examples=["WzE3MjMxNjE2MDAwMDAwMDBd"],
    ),
]


class Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class Candle(Answer):
    """The newest version of the bar `[start, end)`."""

    symbol: str = Field(examples=["BTCUSDT"])
    interval: str = Field(examples=["5m"])
    start: datetime = Field(examples=["2024-08-09T00:00:00Z"])
    end: datetime = Field(examples=["2024-08-09T00:05:00Z"])
    open: float | None = Field(
        description="null while no trade that may set a price has come", examples=[61700.1]
    )
    high: float | None = Field(examples=[61755.0])
    low: float | None = Field(examples=[61690.5])
    close: float | None = Field(examples=[61722.3])
    volume: float = Field(description="in units of the symbol", examples=[41.25])
    notional: float = Field(description="sum of price x size", examples=[2546102.5])
    vwap: float | None = Field(description="notional / volume; null while volume is 0", examples=[61723.7])
    trades: int = Field(description="trades that fed the bar", examples=[1873])
    final: bool = Field(description="false: the bar still grows. A late trade may still correct a final bar")
    version: int = Field(
        description="a greater version of the same bar replaces a smaller one", examples=[3747]
    )
    sources: list[str] = Field(description="providers that fed the bar", examples=[["binance"]])


class Candles(Answer):
    symbol: str = Field(examples=["BTCUSDT"])
    interval: str = Field(examples=["5m"])
    candles: list[Candle] = Field(description="newest first")
    next_cursor: NextCursor


class Trade(Answer):
    """One valid trade; `(symbol, source, trade_id)` is its identity, `(event_time, sequence)` its order."""

    symbol: str = Field(examples=["BTCUSDT"])
    event_time: datetime = Field(description="when it was traded", examples=["2024-08-09T00:00:00.123000Z"])
    received_at: datetime | None = Field(
        description="when we saw it first", examples=["2024-08-09T00:00:00.187250Z"]
    )
    price: float = Field(examples=[61700.1])
    size: float = Field(description="in units of the symbol", examples=[0.0125])
    trade_id: str = Field(examples=["3726471123"])
    sequence: int = Field(examples=[3726471123])
    source: str = Field(examples=["binance"])
    exchange: str = Field(description="empty where unknown", examples=["BINANCE"])
    conditions: list[str] = Field(description="the provider's condition codes", examples=[[]])
    updates_open_close: bool = Field(description="may set open and close of a bar", examples=[True])
    updates_high_low: bool = Field(description="may set high and low of a bar", examples=[True])
    updates_volume: bool = Field(description="adds to the volume of a bar", examples=[True])


class Trades(Answer):
    symbol: str = Field(examples=["BTCUSDT"])
    trades: list[Trade] = Field(description="newest first")
    next_cursor: NextCursor


class Symbol(Answer):
    symbol: str = Field(examples=["AAPL"])
    configured: bool = Field(
        description="one of SYMBOLS; false: only stored data of it is there", examples=[True]
    )
    last_price: float | None = Field(description="close of the newest 1m bar", examples=[187.42])
    last_bar: datetime | None = Field(
        description="start of the newest 1m bar", examples=["2026-01-05T14:31:00Z"]
    )


class Symbols(Answer):
    symbols: list[Symbol] = Field(description="by name")


class Part(Answer):
    ready: bool
    reason: str = Field(
        description="what was seen, or what is missing", examples=["RUNNING, checkpoint 7 s ago"]
    )


class Readiness(Answer):
    ready: bool = Field(description="all parts are")
    parts: dict[str, Part] = Field(
        description="kafka, registry, cassandra, bars and store (Flink jobs), producer, freshness"
    )


class Health(Answer):
    status: str = Field(examples=["ok"])
