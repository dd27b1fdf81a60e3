"""Providers and streams, as the API answers with them."""

from datetime import datetime

from pydantic import Field

from api.models import Answer
from schemas.producer_state import ProviderState, StreamState, StreamStatus


class Providers(Answer):
    at: datetime = Field(description="when the producer said so", examples=["2026-01-05T14:31:12.250000Z"])
    providers: list[ProviderState] = Field(description="every source that it knows, in use or not")


class Streams(Answer):
    at: datetime = Field(description="when the producer said so", examples=["2026-01-05T14:31:12.250000Z"])
    streams: list[StreamState] = Field(description="every symbol that it produces, stopped ones too")


class StreamOrdered(Answer):
    """An order that is kept for good: it outlives every restart, until there is another one."""

    symbol: str = Field(examples=["AAPL"])
    ordered: StreamStatus = Field(description="what the stream is to be", examples=["stopped"])
    obeyed: bool = Field(
        description="the producer says that it is so; false: it has not said so in time, or does not run, and"
        " obeys when it does",
        examples=[True],
    )
