"""Symbols, candles, indicators, trades and quotes."""

from fastapi import APIRouter

from api.cursors import candle_cursor, candle_place, trade_cursor, trade_place
from api.dependencies import (
    CandlePageDep,
    IndicatorPageDep,
    KnownSymbol,
    Services,
    ServicesDep,
    SymbolListDep,
    TradePageDep,
    stored_name,
)
from api.errors import COMMON_RESPONSES, SYMBOL_RESPONSES
from api.models import BarIndicators, Candle, Candles, Indicators, Quote, Quotes, Symbols, Trades
from api.parameters import BarPage
from api.store import Position, Span
from api.times import to_micros

router = APIRouter(prefix="/api/v1", tags=["market"])


@router.get("/symbols", responses=COMMON_RESPONSES)
async def symbols(parts: ServicesDep) -> Symbols:
    """Every symbol that is configured or has stored bars, with its newest price."""
    return Symbols(symbols=await parts.symbols.get())


@router.get("/candles/{symbol:path}", responses=SYMBOL_RESPONSES, response_model_exclude_unset=True)
async def candles(symbol: KnownSymbol, page: CandlePageDep, parts: ServicesDep) -> Candles:
    """Bars that start in `[from, to)`, **newest first**: the newest `limit`, and a cursor to the older ones.

    Without a range these are the latest bars there are, however old. A bar without trades does not exist.
    The newest bar is usually still growing (`final` is false); a bar seen again with a greater `version`
    replaces the one before. Bars of 4h and 1d follow the calendar of the symbol's market: they may be
    shorter or longer than their name, so go by `start` and `end`.
    """
    found, more = await _bars(parts, symbol, page, indicators=page.include == "indicators")
    return Candles(symbol=symbol, interval=page.interval, candles=found, next_cursor=more)


@router.get("/indicators/{symbol:path}", responses=SYMBOL_RESPONSES)
async def indicators(symbol: KnownSymbol, page: IndicatorPageDep, parts: ServicesDep) -> Indicators:
    """Indicators of the bars that start in `[from, to)`, **newest first**, with the same pages as candles.

    Which ones there are, the setting INDICATORS of the jobs decides; a name carries its parameters
    (`sma_20`, `macd_12_26_9`, `bollinger_upper_20_2`). One that is not yet defined, because too few bars
    have come, is absent. The values of a bar are as of its close; they are provisional while it grows.
    """
    found, more = await _bars(parts, symbol, page, indicators=True)
    wanted = frozenset(page.names)
    shown = [
        BarIndicators(
            start=bar.start,
            end=bar.end,
            final=bar.final,
            version=bar.version,
            values={name: bar.indicators[name] for name in bar.indicators if not wanted or name in wanted},
        )
        for bar in found
    ]
    return Indicators(symbol=symbol, interval=page.interval, indicators=shown, next_cursor=more)


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


@router.get("/quotes", responses=SYMBOL_RESPONSES)
async def quotes(asked: SymbolListDep, parts: ServicesDep) -> Quotes:
    """Snapshots of several symbols, as `/quotes/{symbol}` gives them, in the order asked for."""
    names = [await stored_name(symbol, parts.store) for symbol in asked.symbols]
    return Quotes(quotes=await parts.quotes.quotes(list(dict.fromkeys(names))))


@router.get("/quotes/{symbol:path}", responses=SYMBOL_RESPONSES)
async def quote(symbol: KnownSymbol, parts: ServicesDep) -> Quote:
    """What is known of a symbol now: last trade, bid and ask, its day so far, and the change since the
    close of the day before. Unknown is null.

    The last trade is the newest one that may set a price. Where it has been cancelled or corrected since,
    `last_price` is the close of the newest 1m bar as soon as that is final, and `last_size` and `last_time`
    are null; so they are where the trade itself is no longer kept.
    """
    return await parts.quotes.quote(symbol)


async def _bars(
    parts: Services, symbol: str, page: BarPage, *, indicators: bool
) -> tuple[list[Candle], str | None]:
    """One page of bars, and the cursor to the next."""
    end = parts.store.latest() if page.to is None else page.to
    if page.cursor is not None:
        end = min(end, candle_place(page.cursor))
    span = Span(page.from_ or 0, end)
    found = await parts.store.candles(symbol, page.interval, span, page.limit + 1, indicators=indicators)
    shown = found[: page.limit]
    return shown, candle_cursor(to_micros(shown[-1].start)) if len(found) > len(shown) else None
