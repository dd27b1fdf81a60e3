"""What the API answers with. Times are UTC; unknown is null, never 0."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.events import AlertStatus, GapReason, Severity

NextCursor = Annotated[
    str | None,
    Field(
        description="give it as `cursor` to get the next, older page; null: nothing older is in the range",
        examples=["WzE3MjMxNjE2MDAwMDAwMDBd"],
    ),
]
IndicatorValues = Annotated[
    dict[str, float],
    Field(
        description="by name; one that is not yet defined is absent. Provisional while `final` is false",
        examples=[{"sma_20": 61710.4, "rsi_14": 54.2, "session_vwap": 61723.7}],
    ),
]

ProviderMark = Annotated[
    str | None,
    Field(
        description="the provider that published this bar, which saw trades that we did not; null or absent:"
        " it is ours, made of trades",
        examples=[None],
    ),
]


class Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class Candle(Answer):
    """One version of the bar `[start, end)`: the newest, or the one that was known at `as_of`."""

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
    notional: float | None = Field(
        description="sum of price x size; null in a bar of a provider", examples=[2546102.5]
    )
    vwap: float | None = Field(description="notional / volume; null while volume is 0", examples=[61723.7])
    trades: int | None = Field(
        description="trades that fed the bar; null where a provider does not say", examples=[1873]
    )
    final: bool = Field(
        description="false: the bar still grows. A late trade may still correct a final bar", examples=[True]
    )
    version: int = Field(
        description="a greater version of the same bar replaces a smaller one", examples=[3747]
    )
    sources: list[str] = Field(description="providers that fed the bar", examples=[["binance"]])
    late_trades: int | None = Field(
        description="of its trades, those that came when it was final already; null: not recorded",
        examples=[0],
    )
    updated_at: datetime | None = Field(
        description="when this version was made, or received from a provider, by our clock; null: not"
        " recorded",
        examples=["2024-08-09T00:05:00.512345Z"],
    )
    quality: float | None = Field(
        description="1: nothing to object to in its trades; 0: none can be relied on; null: not recorded",
        examples=[1.0],
    )
    observed: float | None = Field(
        description="the part of the bar, 0 to 1, in which no gap is known (see /gaps); of a bar that still"
        " grows, of what has passed; null: not recorded",
        examples=[1.0],
    )
    indicators: IndicatorValues = Field({}, description="only with `include=indicators`")
    filled: bool = Field(
        False,
        description="only with `fill=forward`: nobody traded, so this is no bar but the close before it, with"
        " version 0; if one comes after all, it replaces this",
        examples=[False],
    )
    provider_bar: ProviderMark = None


AsOf = Annotated[
    datetime | None,
    Field(
        description="only with `as_of`: the time as of which this was known",
        examples=["2024-08-09T00:07:30Z"],
    ),
]


class Candles(Answer):
    symbol: str = Field(examples=["BTCUSDT"])
    interval: str = Field(examples=["5m"])
    as_of: AsOf = None
    candles: list[Candle] = Field(description="newest first")
    next_cursor: NextCursor


class BarIndicators(Answer):
    """The indicators as of the end of one bar, or as of now while the bar still grows."""

    start: datetime = Field(description="of the bar", examples=["2024-08-09T00:00:00Z"])
    end: datetime = Field(description="of the bar", examples=["2024-08-09T00:05:00Z"])
    final: bool = Field(description="false: provisional, the bar still grows", examples=[True])
    version: int = Field(description="of the bar", examples=[3747])
    values: IndicatorValues
    provider_bar: ProviderMark = None


class Indicators(Answer):
    symbol: str = Field(examples=["BTCUSDT"])
    interval: str = Field(examples=["5m"])
    as_of: AsOf = None
    indicators: list[BarIndicators] = Field(description="newest first")
    next_cursor: NextCursor


class Trade(Answer):
    """One valid trade as it was first reported; `(symbol, source, trade_id)` is its identity, `(event_time,
    sequence)` its order. Where it was cancelled or corrected afterwards, `/corrections` says so."""

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


class Correction(Answer):
    """What became of a trade: it never counted (`cancel`), or counts as it stands here (`correct`). Of
    several corrections of a trade the greatest `(event_time, sequence)` counts."""

    symbol: str = Field(examples=["AAPL"])
    event_time: datetime = Field(description="when it was reported", examples=["2026-01-05T14:31:19.500000Z"])
    received_at: datetime = Field(description="when we saw it", examples=["2026-01-05T14:31:19.512000Z"])
    correction_id: str = Field(
        description="with symbol and source its identity", examples=["simulator-cancel-3291"]
    )
    sequence: int = Field(examples=[3310])
    source: str = Field(examples=["simulator"])
    trade_id: str = Field(description="of the trade of this symbol and source", examples=["3291"])
    trade_time: datetime | None = Field(
        description="`event_time` of that trade, where the report has it",
        examples=["2026-01-05T14:31:12.250000Z"],
    )
    kind: Literal["cancel", "correct"] = Field(examples=["cancel"])
    price: float | None = Field(description="of `correct`", examples=[None])
    size: float | None = Field(description="of `correct`", examples=[None])
    exchange: str = Field(description="empty where unknown", examples=["SIM"])
    conditions: list[str] = Field(description="the provider's condition codes", examples=[[]])
    updates_open_close: bool = Field(description="may set open and close of a bar", examples=[True])
    updates_high_low: bool = Field(description="may set high and low of a bar", examples=[True])
    updates_volume: bool = Field(description="adds to the volume of a bar", examples=[True])


class Corrections(Answer):
    symbol: str = Field(examples=["AAPL"])
    corrections: list[Correction] = Field(description="newest first")
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
    ready: bool = Field(examples=[True])
    reason: str = Field(
        description="what was seen, or what is missing", examples=["RUNNING, checkpoint 7 s ago"]
    )


class Readiness(Answer):
    ready: bool = Field(description="all parts are", examples=[True])
    parts: dict[str, Part] = Field(
        description="kafka, registry, cassandra, bars and store (Flink jobs), producer, freshness"
    )


class Health(Answer):
    status: str = Field(examples=["ok"])


class Alert(Answer):
    """The newest revision of something out of the ordinary."""

    alert_id: str = Field(
        description="the same for the same cause", examples=["price_spike:AAPL:2026-01-05T14:31:00Z"]
    )
    revision: int = Field(description="grows with each change of status or severity", examples=[0])
    symbol: str = Field(description="* where it is about the system and no symbol", examples=["AAPL"])
    type: str = Field(examples=["price_spike"])
    severity: Severity = Field(examples=["high"])
    status: AlertStatus = Field(
        description="raised; resolved: it is over; retracted: a later version of the data took its cause"
        " away",
        examples=["raised"],
    )
    event_time: datetime = Field(
        description="when its cause happened", examples=["2026-01-05T14:31:12.500000Z"]
    )
    updated_at: datetime = Field(
        description="when this revision was made, by our clock", examples=["2026-01-05T14:31:12.731000Z"]
    )
    interval: str | None = Field(description="of the bar that it was seen on, if on one", examples=["1m"])
    bar_start: datetime | None = Field(examples=["2026-01-05T14:31:00Z"])
    bar_version: int | None = Field(
        description="the version of the bar that caused this revision", examples=[3746]
    )
    value: float = Field(description="what was measured, in the unit that the message names", examples=[6.4])
    threshold: float = Field(description="what it must not pass", examples=[5.0])
    message: str = Field(description="for people", examples=["AAPL rose 6.4 % within 60 s"])


class Alerts(Answer):
    alerts: list[Alert] = Field(description="newest first")
    next_cursor: NextCursor


class Gap(Answer):
    """A time `[start, end)` at which nobody watched what the symbol traded."""

    gap_id: str = Field(examples=["disconnect:AAPL:finnhub:1767623472500000"])
    symbol: str = Field(examples=["AAPL"])
    source: str = Field(
        description="the provider whose trades are missing; of a failover the one followed from then on",
        examples=["finnhub"],
    )
    start: datetime = Field(
        description="the last time at which it was observed", examples=["2026-01-05T14:31:12.500000Z"]
    )
    end: datetime = Field(
        description="when it was observed again, or so far", examples=["2026-01-05T14:31:15.750000Z"]
    )
    closed: bool = Field(description="false: it may still grow", examples=[True])
    reason: GapReason = Field(examples=["disconnect"])
    detail: str = Field(description="for people", examples=["connection reset by peer"])
    updated_at: datetime = Field(
        description="when this was recorded, by our clock", examples=["2026-01-05T14:31:15.751000Z"]
    )
    filled: bool = Field(
        False,
        description="a backfill has published the trades that were missing: bars are `observed` here again",
        examples=[False],
    )


class Gaps(Answer):
    symbol: str = Field(examples=["AAPL"])
    gaps: list[Gap] = Field(description="newest first")
    next_cursor: NextCursor


class Day(Answer):
    """The newest 1d bar; which hours it covers, the calendar of the symbol's market decides."""

    start: datetime = Field(examples=["2026-01-05T00:00:00Z"])
    end: datetime = Field(examples=["2026-01-06T00:00:00Z"])
    open: float | None = Field(examples=[184.1])
    high: float | None = Field(examples=[188.0])
    low: float | None = Field(examples=[183.75])
    close: float | None = Field(examples=[187.42])
    volume: float = Field(examples=[1250400.0])
    vwap: float | None = Field(examples=[186.03])
    trades: int = Field(examples=[48210])
    final: bool = Field(description="the day is over", examples=[False])


class Quote(Answer):
    """What is known of a symbol now. Unknown is null."""

    symbol: str = Field(examples=["AAPL"])
    last_price: float | None = Field(
        description="of the newest trade that may set a price, as corrected where its bar is final",
        examples=[187.42],
    )
    last_size: float | None = Field(examples=[100.0])
    last_time: datetime | None = Field(examples=["2026-01-05T14:31:12.250000Z"])
    bid: float | None = Field(examples=[187.41])
    bid_size: float | None = Field(examples=[300.0])
    ask: float | None = Field(examples=[187.43])
    ask_size: float | None = Field(examples=[200.0])
    mid: float | None = Field(description="(bid + ask) / 2", examples=[187.42])
    spread: float | None = Field(description="ask - bid; below 0: a crossed quote", examples=[0.02])
    quote_time: datetime | None = Field(
        description="when bid and ask were quoted", examples=["2026-01-05T14:31:12.500000Z"]
    )
    day: Day | None = Field(description="null before the day's first bar is stored")
    previous_close: float | None = Field(description="close of the day before", examples=[184.0])
    change: float | None = Field(description="last_price - previous_close", examples=[3.42])
    change_percent: float | None = Field(description="change in % of previous_close", examples=[1.8587])
    event_time: datetime | None = Field(
        description="when the newer of bid/ask and last trade happened",
        examples=["2026-01-05T14:31:12.500000Z"],
    )
    received_at: datetime | None = Field(
        description="when we saw it first", examples=["2026-01-05T14:31:12.531000Z"]
    )
    source: str | None = Field(description="the provider that it came from", examples=["finnhub"])
    delayed: bool | None = Field(
        description="it reached us more than a minute after it happened: not real time", examples=[False]
    )
    age_seconds: float | None = Field(description="how long ago it happened", examples=[0.42])
    looked_up: bool = Field(
        False,
        description="nothing of it is streamed: `source` was asked for it, at most LOOKUP_QUOTE_SECONDS ago",
        examples=[False],
    )


class Quotes(Answer):
    quotes: list[Quote] = Field(description="in the order asked for")
