"""What routes ask for, and the parameters that more than one takes."""

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Path, Query, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from api.cached import Cached
from api.errors import UnknownSymbol
from api.metrics import ApiMetrics
from api.models import Readiness, Symbol
from api.store import Store
from api.times import Instant
from schemas.errors import ConfigurationError
from schemas.intervals import ALIASES, INTERVALS, parse_interval
from schemas.validation import SYMBOL


@dataclass(frozen=True, slots=True)
class Services:
    """What one application is made of; built in ``main.create_app``."""

    store: Store
    symbols: Cached[list[Symbol]]
    readiness: Cached[Readiness]
    metrics: ApiMetrics


async def services(request: Request) -> Services:
    """Async although it waits for nothing: FastAPI would run a plain function on another thread."""
    return cast(Services, request.app.state.services)


ServicesDep = Annotated[Services, Depends(services)]


async def known_symbol(
    symbol: Annotated[str, Path(description="upper or lower case", examples=["AAPL"])], parts: ServicesDep
) -> str:
    """The symbol as it is stored; raises UnknownSymbol."""
    name = symbol.upper()
    if not SYMBOL.fullmatch(name) or not await parts.store.is_known(name):
        raise UnknownSymbol(symbol)
    return name


KnownSymbol = Annotated[str, Depends(known_symbol)]


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


class Page(BaseModel):
    """A range of time and how much of it to answer with."""

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
    limit: int = Field(100, ge=1, le=1000, description="most rows to answer with: the newest of the range")
    cursor: str | None = Field(
        None, max_length=1000, description="`next_cursor` of an answer: the page after it, all else unchanged"
    )

    @model_validator(mode="after")
    def _in_order(self) -> "Page":
        if self.from_ is not None and self.to is not None and self.from_ >= self.to:
            raise ValueError("from must be before to")
        return self


class CandlePage(Page):
    interval: Interval = Field("1m", description=f"length of a bar: {', '.join(INTERVALS)}")


TradePageDep = Annotated[Page, Query()]
CandlePageDep = Annotated[CandlePage, Query()]
