"""Symbols, candles and trades."""

from fastapi import APIRouter

from api.cursors import candle_cursor, candle_place, trade_cursor, trade_place
from api.dependencies import CandlePageDep, KnownSymbol, ServicesDep, TradePageDep
from api.errors import COMMON_RESPONSES, SYMBOL_RESPONSES
from api.models import Candles, Symbols, Trades
from api.store import Position, Span
from api.times import to_micros

router = APIRouter(prefix="/api/v1", tags=["market"])


@router.get("/symbols", responses=COMMON_RESPONSES)
async def symbols(parts: ServicesDep) -> Symbols:
    """Every symbol that is configured or has stored bars, with its newest price."""
    return Symbols(symbols=await parts.symbols.get())


@router.get("/candles/{symbol:path}", responses=SYMBOL_RESPONSES)
async def candles(symbol: KnownSymbol, page: CandlePageDep, parts: ServicesDep) -> Candles:
    """Bars that start in `[from, to)`, **newest first**: the newest `limit`, and a cursor to the older ones.

    Without a range these are the latest bars there are, however old. A bar without trades does not exist.
    The newest bar is usually still growing (`final` is false); a bar seen again with a greater `version`
    replaces the one before.
    """
    end = parts.store.latest() if page.to is None else page.to
    if page.cursor is not None:
        end = min(end, candle_place(page.cursor))
    span = Span(page.from_ or 0, end)
    found = await parts.store.candles(symbol, page.interval, span, page.limit + 1)
    shown = found[: page.limit]
    more = candle_cursor(to_micros(shown[-1].start)) if len(found) > len(shown) else None
    return Candles(symbol=symbol, interval=page.interval, candles=shown, next_cursor=more)


@router.get("/trades/{symbol:path}", responses=SYMBOL_RESPONSES)
async def trades(symbol: KnownSymbol, page: TradePageDep, parts: ServicesDep) -> Trades:
    """Valid trades in `[from, to)`, **newest first**: the newest `limit`, and a cursor to the older ones.

    The newest 15 minutes of the range are read as they are, before that the minutes that have a 1m bar. One
    page looks at 2,000 minutes at most: it may hold fewer than `limit` trades, or none, although
    `next_cursor` says that there is more.
    """
    start = page.from_ or 0
    before = Position(parts.store.latest() if page.to is None else page.to)
    if page.cursor is not None:
        before = min(before, trade_place(page.cursor))
    found, more = await parts.store.trades(symbol, start, before, page.limit)
    return Trades(symbol=symbol, trades=found, next_cursor=trade_cursor(more) if more else None)
