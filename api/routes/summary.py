"""The market at a glance."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from api.dependencies import ServicesDep, stored_name
from api.errors import SYMBOL_RESPONSES
from api.parameters import MAX_NAMES, Names, written
from api.summary_models import MarketSummary

router = APIRouter(prefix="/api/v1", tags=["market"])


class SummaryFilter(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    symbols: Annotated[Names, written("AAPL,MSFT")] = Field(
        default_factory=tuple,
        description=f"only these, up to {MAX_NAMES}, separated by commas. Without it: all symbols there are",
    )


@router.get("/market-summary", responses=SYMBOL_RESPONSES, response_model=MarketSummary)
async def market_summary(asked: Annotated[SummaryFilter, Query()], parts: ServicesDep) -> Response:
    """Price, change, day and the closes of the last hour of every symbol, or of those named: those that are
    configured, that trade, or that have stored bars.

    Live symbols are as new as the live feed or up to a second older, or some seconds where there are
    thousands; others, such as those of a replay, were read seconds ago, or minutes ago where there are
    thousands of them.
    """
    if asked.symbols:
        names = list(dict.fromkeys([await stored_name(symbol, parts.store) for symbol in asked.symbols]))
    else:
        names = await parts.hot.names.get()
    rate = parts.metrics.live.events.per_second().get("trades", 0.0)
    return Response(await parts.hot.summary.answer(names, rate), media_type="application/json")
