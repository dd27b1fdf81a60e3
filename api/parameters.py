"""The query parameters, as the routes get them."""

from collections.abc import Callable, Collection
from datetime import date
from typing import Annotated, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)

from api.alert_store import AlertFilter
from api.times import Instant
from schemas.errors import ConfigurationError
from schemas.events import AlertStatus, Severity
from schemas.intervals import ALIASES, INTERVALS, parse_interval

MAX_NAMES = 50
"""Names in one parameter."""
JSON_ROWS = 100
"""Rows of a page as JSON where no limit is given."""
Format = Literal["json", "csv", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)
SEVERITIES: tuple[str, ...] = get_args(Severity)
NOBODY = "none"
"""No provider: only ours."""
PROVIDER_NAME = r"^[a-z0-9][a-z0-9_.-]{0,63}$"
"""As sources are called."""
STATUSES: tuple[str, ...] = get_args(AlertStatus)


def _interval(text: object) -> str:
    try:
        return parse_interval(str(text))
    except ConfigurationError as error:
        raise ValueError(str(error)) from None


Interval = Annotated[
    str,
    BeforeValidator(_interval),
    WithJsonSchema({"type": "string", "enum": [*INTERVALS, *ALIASES], "examples": ["5m"]}),
]


def _split(given: object) -> tuple[str, ...]:
    texts = given if isinstance(given, list) else [given]  # a parameter may come more than once
    names = (name.strip() for text in texts for name in str(text).split(","))
    return tuple(dict.fromkeys(name for name in names if name))


def _some_of(possible: Collection[str]) -> AfterValidator:
    def check(names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in possible:
                raise ValueError(f"{name[:50]!r}: use one or several of {', '.join(possible)}")
        return names

    return AfterValidator(check)


Names = Annotated[tuple[str, ...], Field(max_length=MAX_NAMES), BeforeValidator(_split)]
"""Text separated by commas in the URL; without repetitions inside."""


def written(example: str) -> WithJsonSchema:
    """``Names`` as they stand in the URL. Examples of the field itself would not reach the documentation:
    FastAPI applies the schema of an annotation after them."""
    return WithJsonSchema({"type": "string", "examples": [example]})


Cursor = Annotated[
    str | None,
    Field(max_length=1000, description="`next_cursor` of an answer: the page after it, all else unchanged"),
]


class Range(BaseModel):
    """A range of time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    from_: Instant | None = Field(
        None,
        alias="from",
        description="start of the range, inclusive: ISO 8601, a date, or milliseconds since 1970; UTC where"
        " no zone is given. Without it: as far back as data is kept",
    )
    to: Instant | None = Field(
        None, description="end of the range, exclusive, written likewise. Without it: now"
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.from_ is not None and self.to is not None and self.from_ >= self.to:
            raise ValueError("from must be before to")
        return self

    def kept(self, latest: int, oldest: Callable[[int], int]) -> tuple[int, int]:
        """Start and end of what is asked for, of rows that expire: until ``latest`` at most, and where no
        start is named from ``oldest`` of the end on."""
        end = latest if self.to is None else min(self.to, latest)
        return oldest(end) if self.from_ is None else self.from_, end


class Page(Range):
    """A range of time and how much of it to answer with."""

    limit: int = Field(
        JSON_ROWS,
        ge=1,
        le=1000,
        description="most rows to answer with: the newest of the range",
        examples=[50],
    )
    cursor: Cursor = None


class HistoryPage(Range):
    """Rows as JSON, a page at a time, or as a file, which may hold the whole range."""

    limit: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="most rows to answer with: the newest of the range. Without it: 100 as JSON; as CSV or"
        " Parquet the whole range, up to as many rows as the setting API_DOWNLOAD_ROWS allows. The header"
        " `X-Row-Limit` of a file says how many: with fewer rows it is whole, else ask again with `to` at its"
        " last time",
        examples=[500],
    )
    cursor: Cursor = Field(
        None,
        examples=["WzE3MjMxNjE2MDAxMjMwMDAsMzcyNjQ3MTEyMywiYmluYW5jZSIsIjM3MjY0NzExMjMiXQ"],
    )
    format: Format | None = Field(
        None,
        description=f"{', '.join(FORMATS)}. Without it: what the header `Accept` names, else json",
        examples=["csv"],
    )


class BarPage(HistoryPage):
    cursor: Cursor = Field(None, examples=["WzE3MjMxNjE2MDAwMDAwMDBd"])
    interval: Interval = Field("1m", description=f"length of a bar: {', '.join(INTERVALS)}")
    as_of: Instant | None = Field(
        None,
        description="each bar as it was known at this time, written like `from`; live bars to the second. A"
        " time to come is now. Without it: as it is known now",
        examples=["2024-08-09T12:00:00Z"],
    )
    provider: str | None = Field(
        None,
        pattern=PROVIDER_NAME,
        description="the bars that this provider publishes instead of ours, each marked with `provider_bar`;"
        " `none`: only ours. Without it: ours, and of a symbol of which there are none those of a provider",
        examples=["yahoo"],
    )

    @model_validator(mode="after")
    def _only_ours_have_versions(self) -> Self:
        if self.as_of is not None and self.provider not in (None, NOBODY):
            raise ValueError("as_of: only our own bars are kept in all versions: leave out as_of or provider")
        return self


class CandlePage(BarPage):
    fill: Literal["none", "forward"] = Field(
        "none",
        description="`forward`: where nobody traded while the market was open, up to the newest bar, the"
        " close before as a bar without trades, marked as `filled`",
        examples=["forward"],
    )
    include: Literal["indicators"] | None = Field(
        None,
        description="`indicators`: with the values of the indicators in every bar",
        examples=["indicators"],
    )


class IndicatorPage(BarPage):
    names: Annotated[Names, written("rsi_14,sma_20")] = Field(
        default_factory=tuple,
        description="only these, separated by commas; names that are not there are absent. Without it: all",
    )


class AlertPage(Page):
    cursor: Cursor = Field(
        None, examples=["WzE3Njc2MjM0NzI3MzEwMDAsInByaWNlX3NwaWtlOkFBUEw6MjAyNi0wMS0wNVQxNDozMTowMFoiXQ"]
    )
    symbol: str | None = Field(
        None,
        max_length=100,
        description="upper or lower case; `*`: alerts about the system. Without it: all alerts",
        examples=["AAPL"],
    )
    type: Annotated[Names, written("price_spike,volume_anomaly")] = Field(
        default_factory=tuple, description="of exactly these types, separated by commas. Without it: all"
    )
    severity: Annotated[Names, _some_of(SEVERITIES), written("high,critical")] = Field(
        default_factory=tuple,
        description=f"of exactly these severities, separated by commas: {', '.join(SEVERITIES)}."
        " Without it: all",
    )
    status: Annotated[Names, _some_of(STATUSES), written("raised")] = Field(
        default_factory=tuple,
        description=f"in one of these states, separated by commas: {', '.join(STATUSES)}. Without it: all",
    )

    @property
    def filter(self) -> AlertFilter:
        """What the parameters leave of the alerts."""
        return AlertFilter(frozenset(self.type), frozenset(self.severity), frozenset(self.status))


class CorrectionPage(Page):
    cursor: Cursor = Field(
        None, examples=["WzE3Njc2MjM0Nzk1MDAwMDAsMzMxMCwic2ltdWxhdG9yIiwic2ltdWxhdG9yLWNhbmNlbC0zMjkxIl0"]
    )


class GapPage(Page):
    cursor: Cursor = Field(
        None,
        examples=["WzE3Njc2MjM0NzI1MDAwMDAsImRpc2Nvbm5lY3Q6QUFQTDpmaW5uaHViOjE3Njc2MjM0NzI1MDAwMDAiXQ"],
    )
    symbol: str = Field(max_length=100, description="upper or lower case", examples=["AAPL"])


class ComparedDay(BaseModel):
    """A symbol's day."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    symbol: str = Field(max_length=100, description="upper or lower case", examples=["AAPL"])
    day: Instant | None = Field(
        None,
        description="the UTC day that holds this time, written like `from`. Without it: today",
        examples=["2024-08-09"],
    )
    interval: Interval = Field("1m", description=f"length of a bar: {', '.join(INTERVALS)}")


class DayRange(BaseModel):
    """Days to answer with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    from_: date | None = Field(None, alias="from", description="first day", examples=["2026-01-05"])
    to: date | None = Field(None, description="the day after the last one", examples=["2026-02-01"])
    limit: int = Field(
        JSON_ROWS, ge=1, le=1000, description="most days to answer with: the newest", examples=[50]
    )

    def has(self, day: date) -> bool:
        """Whether a day is in the range."""
        return (self.from_ is None or day >= self.from_) and (self.to is None or day < self.to)


class SymbolList(BaseModel):
    """The symbols to answer with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    symbols: Annotated[Names, written("AAPL,MSFT")] = Field(
        min_length=1, description=f"up to {MAX_NAMES} symbols, separated by commas, upper or lower case"
    )
