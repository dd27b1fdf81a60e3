"""How far the bars of a provider agree with ours."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path

from api import comparison
from api.comparison_models import Comparison
from api.dependencies import ComparedDayDep, ServicesDep, stored_name
from api.errors import SYMBOL_RESPONSES
from api.parameters import PROVIDER_NAME
from api.store import Span
from api.times import to_datetime
from schemas.intervals import INTERVALS

router = APIRouter(prefix="/api/v1", tags=["market"])
DAY_US = INTERVALS["1d"]
MOST_BARS = DAY_US // INTERVALS["1m"]

ProviderName = Annotated[str, Path(pattern=PROVIDER_NAME, description="in lower case", examples=["yahoo"])]


@router.get("/providers/{name}/comparison", responses=SYMBOL_RESPONSES)
async def compare(name: ProviderName, asked: ComparedDayDep, parts: ServicesDep) -> Comparison:
    """The bars of a provider beside ours, of one symbol and one UTC day: how many both have, how far their
    prices and volumes agree, and how late the provider's come.

    Only bars that are final on both sides are compared. A feed that sees a part of the market, such as that
    of one exchange, has less volume than a provider of all of them: the ratio says how much. A provider
    without bars of the symbol has counts of 0, and null where nothing can be said.
    """
    symbol = await stored_name(asked.symbol, parts.store)
    now = parts.providers.now()
    time = now if asked.day is None else asked.day
    day = Span(time - time % DAY_US, time - time % DAY_US + DAY_US)
    ours, theirs = await asyncio.gather(
        parts.store.candles(symbol, asked.interval, day, MOST_BARS),
        parts.providers.candles(name, symbol, asked.interval, day, MOST_BARS),
    )
    compared = comparison.pairs(ours, theirs)
    return Comparison(
        provider=name,
        symbol=symbol,
        day=to_datetime(day.start).date(),
        interval=asked.interval,
        bars=comparison.counts(ours, theirs),
        volume=comparison.volume(compared),
        delay=comparison.delay(theirs, now),
        **comparison.prices(compared),
    )
