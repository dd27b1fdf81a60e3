"""What was not observed."""

from fastapi import APIRouter

from api.cursors import gap_cursor, gap_place
from api.dependencies import GapPageDep, ServicesDep, stored_name
from api.errors import SYMBOL_RESPONSES
from api.gap_store import GapPlace
from api.models import Gaps

router = APIRouter(prefix="/api/v1", tags=["market"])


@router.get("/gaps", responses=SYMBOL_RESPONSES)
async def gaps(page: GapPageDep, parts: ServicesDep) -> Gaps:
    """Times within `[from, to)` at which nobody watched what a symbol traded, and why, **newest first**: the
    newest `limit`, and a cursor to the older ones. Bars over them may lack trades.

    A gap longer than an hour is several, one for each hour of UTC. While `closed` is false it may still grow.
    Once it is `filled`, the trades that it lacked have been published from a provider's history.
    `failover` marks the moment from which another source is followed; it has no length. Without `from` the
    range reaches back from its end as long as gaps are kept (GAPS_TTL_DAYS, 365 by default).
    """
    symbol = await stored_name(page.symbol, parts.store)
    start, end = page.kept(parts.store.latest(), parts.gaps.oldest)
    before = GapPlace(end)
    if page.cursor is not None:
        before = min(before, gap_place(page.cursor))
    found, more = await parts.gaps.gaps(symbol, start, before, page.limit)
    return Gaps(symbol=symbol, gaps=found, next_cursor=gap_cursor(more) if more else None)
