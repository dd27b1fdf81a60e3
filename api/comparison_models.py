"""What the comparison of a provider's bars with ours answers with."""

from datetime import date, datetime

from pydantic import Field

from api.models import Answer


class BarCounts(Answer):
    """Final bars of the day."""

    both: int = Field(description="final on both sides: these are compared", examples=[388])
    only_ours: int = Field(examples=[2])
    only_theirs: int = Field(examples=[0])


class PriceAgreement(Answer):
    """Relative differences, abs(theirs - ours) / ours, over the compared bars."""

    max_difference: float = Field(examples=[0.0012])
    mean_difference: float = Field(examples=[0.00003])
    equal_share: float = Field(description="of the bars, those that differ by 1e-6 at most", examples=[0.91])
    close_share: float = Field(description="by 0.1 % at most", examples=[0.99])


class VolumeAgreement(Answer):
    """Volume of the compared bars."""

    ours: float = Field(examples=[1250400.0])
    theirs: float = Field(examples=[48210000.0])
    ratio: float | None = Field(description="theirs / ours; null while ours is 0", examples=[38.56])


class Delay(Answer):
    """How late the provider's bars are."""

    newest_bar: datetime | None = Field(
        description="start of the newest one, final or not; null: there is none",
        examples=["2026-01-05T14:31:00Z"],
    )
    newest_bar_age_seconds: float | None = Field(
        description="how long ago it ended; 0 while it still grows", examples=[42.5]
    )
    p50_seconds: float | None = Field(
        description="median time from the end of a final bar to its receipt; null: there is none",
        examples=[3.25],
    )
    max_seconds: float | None = Field(description="the longest", examples=[61.0])


class Comparison(Answer):
    """One provider, one symbol, one UTC day."""

    provider: str = Field(examples=["yahoo"])
    symbol: str = Field(examples=["AAPL"])
    day: date = Field(examples=["2026-01-05"])
    interval: str = Field(examples=["1m"])
    bars: BarCounts
    open: PriceAgreement | None = Field(description="null where nothing can be compared")
    high: PriceAgreement | None
    low: PriceAgreement | None
    close: PriceAgreement | None
    volume: VolumeAgreement
    delay: Delay
