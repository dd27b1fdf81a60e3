"""What the producer tells of itself over HTTP, at STATE_PATH beside its metrics, and who else may read it."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

STATE_PATH = "/state"

StreamStatus = Literal["running", "stopped"]


class _State(BaseModel):
    model_config = ConfigDict(frozen=True)


class ProviderLimits(_State):
    """What the provider allows; null: not limited in this way, as far as we know."""

    symbols_per_connection: int | None = Field(examples=[50])
    connections: int | None = Field(description="at the same time, with one key", examples=[1])
    messages_per_second: float | None = Field(description="that we send", examples=[25.0])
    requests_per_minute: float | None = Field(examples=[5.0])
    requests_per_day: int | None = Field(examples=[25])


class ProviderBudget(_State):
    """What was left of the limit of requests after the last one."""

    requests: float = Field(description="that could follow it at once; below 0: so many wait", examples=[4.0])
    paused_until: datetime | None = Field(
        description="the provider asked for a pause until then; null: it did not",
        examples=["2026-01-05T14:32:12.250000Z"],
    )


class ProviderState(_State):
    """A source of market data. Counts are since the producer started."""

    name: str = Field(examples=["finnhub"])
    about: str = Field(examples=["trades: of US stocks those of IEX"])
    kind: Literal["websocket", "polling", "simulator"] = Field(examples=["websocket"])
    gives: list[str] = Field(description="trades, quotes, provider_bars", examples=[["trades"]])
    needs: list[str] = Field(
        description="settings without which it cannot be used", examples=[["FINNHUB_API_KEY"]]
    )
    configured: bool = Field(description="all of `needs` are set", examples=[True])
    proven: bool = Field(
        description="its messages were proven against recorded ones; false: not proven against recorded data",
        examples=[True],
    )
    limits: ProviderLimits | None = Field(description="null: it has none")
    in_use: bool = Field(description="one of SOURCES, or beside a demo", examples=[True])
    priority: int | None = Field(description="among SOURCES, 1 first; null: not in use", examples=[1])
    connections: int = Field(description="open and subscribed now", examples=[1])
    health: dict[str, int] | None = Field(
        description="number of symbols by what failover thinks of it for them: fit, or what is wrong; null:"
        " it is not one that failover chooses from",
        examples=[{"fit": 9, "silence": 1}],
    )
    following: int | None = Field(description="symbols that follow it now; null likewise", examples=[10])
    received: int = Field(description="messages that it sent, protocol included", examples=[52_000])
    published: int = Field(description="events of it that went on to Kafka", examples=[51_900])
    refused: int = Field(description="messages and events that became dead letters", examples=[3])
    last_message: datetime | None = Field(
        description="when anything came from it last", examples=["2026-01-05T14:31:12.250000Z"]
    )
    disconnects: dict[str, int] = Field(
        description="lost connections and failed attempts, by reason", examples=[{"closed": 2}]
    )
    reconnects: int = Field(description="sum of `disconnects`", examples=[2])
    budget: ProviderBudget | None = Field(description="of requests, where it is asked by requests")


class StreamState(_State):
    """A symbol that the producer produces. Counts are since the producer started."""

    symbol: str = Field(examples=["AAPL"])
    status: StreamStatus = Field(examples=["running"])
    stopped_since: datetime | None = Field(
        description="of the market's time; null: it runs", examples=["2026-01-05T14:31:12.250000Z"]
    )
    source: str | None = Field(description="the source that is followed", examples=["finnhub"])
    trades: int = Field(description="that went on to Kafka", examples=[48_210])
    quotes: int = Field(description="likewise", examples=[90_400])
    last_event: datetime | None = Field(
        description="event time of the last one", examples=["2026-01-05T14:31:12.250000Z"]
    )


class ProducerState(_State):
    at: datetime
    providers: list[ProviderState]
    streams: list[StreamState]
