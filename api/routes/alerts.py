"""Alerts."""

from fastapi import APIRouter

from api.alert_store import AlertPlace
from api.cursors import alert_cursor, alert_place
from api.dependencies import AlertPageDep, ServicesDep, stored_name
from api.errors import SYMBOL_RESPONSES
from api.models import Alerts

router = APIRouter(prefix="/api/v1", tags=["alerts"])
SYSTEM = "*"
"""What stands for a symbol in alerts about the system."""


@router.get("/alerts", responses=SYMBOL_RESPONSES)
async def alerts(page: AlertPageDep, parts: ServicesDep) -> Alerts:
    """Alerts whose cause happened in `[from, to)`, **newest first**: the newest `limit`, and a cursor to the
    older ones. Each is shown as its newest revision, so a `status` may change from one answer to the next.

    Without `from` the range reaches back from its end as long as alerts are kept (ALERTS_TTL_DAYS, 365 by
    default). One page looks at 5,000 alerts and about three years at most: it may hold fewer than `limit`,
    or none, although `next_cursor` says that there is more.
    """
    symbol = page.symbol
    if symbol is not None and symbol != SYSTEM:
        symbol = await stored_name(symbol, parts.store)
    start, end = page.kept(parts.store.latest(), parts.alerts.oldest)
    place = AlertPlace(end)
    if page.cursor is not None and (asked := alert_place(page.cursor)).event_time < end:
        place = asked
    found, more = await parts.alerts.alerts(symbol, page.filter, start, place, page.limit)
    return Alerts(alerts=found, next_cursor=alert_cursor(more) if more else None)
