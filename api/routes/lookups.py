"""What is looked up at a provider: companies, and days of before."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from api.dependencies import ServicesDep, SymbolPath
from api.errors import (
    COMMON_RESPONSES,
    LookupNotConfigured,
    UnknownCompany,
    UnknownSymbol,
    documented,
)
from api.lookups.models import Company, DailyHistory
from api.parameters import DayRange
from schemas.symbols import one_spelling
from schemas.validation import SYMBOL

router = APIRouter(prefix="/api/v1", tags=["lookups"])
RESPONSES: dict[int | str, dict[str, Any]] = {
    404: documented("The provider knows no such company", UnknownCompany("NOPE", "finnhub")),
    **COMMON_RESPONSES,
    503: documented(
        "No provider is configured (the message names the setting), or it does not answer; Retry-After says"
        " when to try again",
        LookupNotConfigured(),
    ),
}
DayRangeDep = Annotated[DayRange, Query()]


@router.get("/companies/{symbol:path}", responses=RESPONSES)
async def company(symbol: SymbolPath, parts: ServicesDep) -> Company:
    """Who a symbol stands for, from the provider of lookups (LOOKUP_PROVIDER); remembered for a day. Any
    symbol that the provider knows can be asked for, whether it is streamed or not."""
    return await parts.lookups.company(_name(symbol))


@router.get("/history/{symbol:path}", responses=RESPONSES)
async def history(symbol: SymbolPath, days: DayRangeDep, parts: ServicesDep) -> DailyHistory:
    """Daily bars of the last year **as the provider has them**, newest first; remembered for an hour. They
    are never mixed with our own, which `/candles?interval=1d` has."""
    found = await parts.lookups.history(_name(symbol))
    wanted = [bar for bar in found.bars if days.has(bar.date)]
    return found.model_copy(update={"bars": wanted[: days.limit]})


def _name(symbol: str) -> str:
    """In our spelling; raises UnknownSymbol for what is none."""
    name = one_spelling(symbol.upper())
    if not SYMBOL.fullmatch(name):
        raise UnknownSymbol(symbol)
    return name
