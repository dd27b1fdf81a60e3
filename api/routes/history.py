"""Candles, indicators and trades: any range, as pages of JSON or as files."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

from fastapi import APIRouter, Request, Response

from api.answers import conditional
from api.as_of import KnownBars
from api.bars import BarQuery
from api.columns import (
    BAR_TIME,
    CANDLE,
    FILLED,
    INDICATORS,
    PROVIDER_BAR,
    TRADE,
    TRADE_TIME,
    BarTable,
    indicators_of,
    trade_rows,
)
from api.cursors import candle_cursor, candle_place, candle_provider, trade_cursor, trade_place
from api.dependencies import (
    CandlePageDep,
    CorrectionPageDep,
    IndicatorPageDep,
    KnownSymbol,
    Services,
    ServicesDep,
    TradePageDep,
)
from api.downloads import PAGE_ROWS, Pages, asked_format
from api.encoders import Column
from api.errors import SYMBOL_RESPONSES
from api.models import Candles, Corrections, Indicators, Trades
from api.parameters import JSON_ROWS, NOBODY, BarPage, Format
from api.store import Position
from api.times import to_datetime

router = APIRouter(prefix="/api/v1", tags=["market"])
Dated = TypeVar("Dated", Candles, Indicators)

HEADERS = {
    "ETag": {"schema": {"type": "string"}, "description": "of JSON: send it back as `If-None-Match`"},
    "Cache-Control": {
        "schema": {"type": "string"},
        "description": "max-age where only a replay or a rebuild can change the page, else no-cache",
    },
    "Content-Disposition": {"schema": {"type": "string"}, "description": "of a file: its name"},
}
CANDLES_CSV = (
    "symbol,interval,start,end,open,high,low,close,volume,notional,vwap,trades,final,version,sources,"
    "late_trades,updated_at,quality,observed\r\n"
    "BTCUSDT,5m,2024-08-09T00:00:00Z,2024-08-09T00:05:00Z,61700.1,61755.0,61690.5,61722.3,41.25,2546102.5,"
    "61723.7,1873,true,3747,binance,0,2024-08-09T00:05:00.512345Z,1.0,1.0\r\n"
)
INDICATORS_CSV = (
    "symbol,interval,start,end,final,version,rsi_14,sma_20\r\n"
    "BTCUSDT,5m,2024-08-09T00:00:00Z,2024-08-09T00:05:00Z,true,3747,54.2,61710.4\r\n"
)
TRADES_CSV = (
    "symbol,event_time,received_at,price,size,trade_id,sequence,source,exchange,conditions,"
    "updates_open_close,updates_high_low,updates_volume\r\n"
    "BTCUSDT,2024-08-09T00:00:00.123000Z,2024-08-09T00:00:00.187250Z,61700.1,0.0125,3726471123,3726471123,"
    "binance,BINANCE,,true,true,true\r\n"
)


def _answers(csv: str) -> dict[int | str, dict[str, Any]]:
    """What an endpoint of history can answer, with an example of its CSV."""
    files = {
        "text/csv": {"schema": {"type": "string"}, "example": csv},
        "application/vnd.apache.parquet": {"schema": {"type": "string", "format": "binary"}},
    }
    return {
        200: {"content": files, "headers": HEADERS},
        304: {"description": "What `If-None-Match` names is still right"},
        **SYMBOL_RESPONSES,
    }


@router.get("/candles/{symbol:path}", response_model=Candles, responses=_answers(CANDLES_CSV))
async def candles(symbol: KnownSymbol, page: CandlePageDep, request: Request, parts: ServicesDep) -> Response:
    """Bars that start in `[from, to)`, **newest first**: the newest `limit`, and a cursor to the older ones.

    Without a range these are the latest bars there are, however old. A bar without trades does not exist,
    unless you ask for `fill=forward`. The newest bar is usually still growing (`final` is false); a bar seen
    again with a greater `version` replaces the one before. Bars of 4h and 1d follow the calendar of the
    symbol's market: they may be shorter or longer than their name, so go by `start` and `end`.

    With `as_of` every bar is as it was known then: the greatest version made until then, and no bar of which
    none was. Final versions are all there, live ones of a minute at most once a second (LIVE_EVERY_MS), of
    longer bars up to 15 times as seldom, so a live bar may be that much older. It reaches back as long as
    versions are kept (VERSIONS_TTL_DAYS), less the length of a bar; a bar older than that which was replayed
    or rebuilt since is absent. A page looks at 5,000 bars at
    most: it may hold fewer than `limit`, or none, although `next_cursor` says that there is more.

    `format=csv` and `format=parquet` send the whole range as one file where no `limit` is given, up to
    API_DOWNLOAD_ROWS rows; to go on, take the last `start` as `to`. Indicators have a column each: those that
    the newest bars have.

    `provider=yahoo` gives the bars that this provider publishes, with indicators made of them alone, each
    marked with `provider_bar`. They are never mixed with ours: of a symbol that has no bars of ours the
    answer is a provider's, unless you ask for `provider=none`.
    """
    query = _query(parts, symbol, page, indicators=page.include == "indicators", fill=page.fill == "forward")
    if (file_format := asked_format(page.format, request.headers.get("accept"))) != "json":
        query = await _whose(parts, page, query)
        fixed = _marked((*CANDLE, FILLED) if query.fill else CANDLE, query)
        table = BarTable(fixed, indicators=query.indicators)
        return await _bar_file(parts, page, query, table, file_format, "candles")
    if (answer := await parts.hot.pages.candles(request, query)) is not None:
        return answer
    query, found = await _page(parts, page, query)
    content = Candles(
        symbol=symbol,
        interval=page.interval,
        candles=found.bars,
        next_cursor=_next(query, found),
    )
    settled = await parts.bars.is_settled(query, found.bars)
    return conditional(request, _dated(content, query), settled=settled)


@router.get("/indicators/{symbol:path}", response_model=Indicators, responses=_answers(INDICATORS_CSV))
async def indicators(
    symbol: KnownSymbol, page: IndicatorPageDep, request: Request, parts: ServicesDep
) -> Response:
    """Indicators of the bars that start in `[from, to)`, **newest first**, with the same pages, `as_of`,
    `provider` and formats as candles.

    Which ones there are, the setting INDICATORS of the jobs decides; a name carries its parameters
    (`sma_20`, `macd_12_26_9`, `bollinger_upper_20_2`). One that is not yet defined, because too few bars
    have come, is absent. The values of a bar are as of its close; they are provisional while it grows.

    In a file each indicator has a column: those of `names`, else those that the newest bars have.
    """
    query = _query(parts, symbol, page, indicators=True)
    if (file_format := asked_format(page.format, request.headers.get("accept"))) != "json":
        query = await _whose(parts, page, query)
        table = BarTable(_marked(INDICATORS, query), indicators=True, names=page.names)
        return await _bar_file(parts, page, query, table, file_format, "indicators")
    wanted = frozenset(page.names)
    if (answer := await parts.hot.pages.indicators(request, query, wanted)) is not None:
        return answer
    query, found = await _page(parts, page, query)
    content = Indicators(
        symbol=symbol,
        interval=page.interval,
        indicators=[indicators_of(bar, wanted) for bar in found.bars],
        next_cursor=_next(query, found),
    )
    settled = await parts.bars.is_settled(query, found.bars)
    return conditional(request, _dated(content, query), settled=settled)


@router.get("/trades/{symbol:path}", response_model=Trades, responses=_answers(TRADES_CSV))
async def trades(symbol: KnownSymbol, page: TradePageDep, request: Request, parts: ServicesDep) -> Response:
    """Valid trades in `[from, to)`, **newest first**: the newest `limit`, and a cursor to the older ones.
    Each is as it was first reported: bars go by what `/corrections` says of it since.

    The newest 15 minutes of the range are read as they are, before that the minutes that have a 1m bar. One
    page looks at 2,000 minutes at most: it may hold fewer than `limit` trades, or none, although
    `next_cursor` says that there is more. Files as with candles; where API_DOWNLOAD_ROWS ends one, it still
    holds all trades of its last microsecond, so that its time can be taken as `to`.
    """
    start = page.from_ or 0
    before = Position(parts.store.latest() if page.to is None else page.to)
    if page.cursor is not None:
        before = min(before, trade_place(page.cursor))

    async def pages(rows: int) -> Pages:
        place: Position | None = before
        while place is not None:
            found, place = await parts.store.trades(symbol, start, place, rows)
            yield trade_rows(found)

    file_format = asked_format(page.format, request.headers.get("accept"))
    if file_format != "json":
        return await parts.downloads.answer(
            f"{symbol}_trades",
            file_format,
            lambda: TRADE,
            pages(_page_rows(page.limit)),
            TRADE_TIME,
            page.limit,
        )
    found, more = await parts.store.trades(symbol, start, before, page.limit or JSON_ROWS)
    # A trade that comes too late for its bar is stored all the same: no page of trades is ever settled.
    content = Trades(symbol=symbol, trades=found, next_cursor=trade_cursor(more) if more else None)
    return conditional(request, content, settled=False)


@router.get("/corrections/{symbol:path}", responses=SYMBOL_RESPONSES)
async def corrections(symbol: KnownSymbol, page: CorrectionPageDep, parts: ServicesDep) -> Corrections:
    """Trades that were cancelled or corrected, by when that was reported, within `[from, to)`, **newest
    first**: the newest `limit`, and a cursor to the older ones.

    Bars count a trade as its latest correction has it; `/trades` shows it as it was first reported. A trade
    can be corrected for five minutes (HORIZON_SECONDS), so the corrections of a minute's trades are in that
    one and the next five. One page looks at 2,000 minutes: it may hold fewer than `limit`, or none, although
    `next_cursor` says that there is more. Without `from` the range reaches back from its end as long as
    trades are kept (SILVER_TTL_DAYS, 30 by default).
    """
    start, end = page.kept(parts.store.latest(), parts.corrections.oldest)
    before = Position(end)
    if page.cursor is not None:
        before = min(before, trade_place(page.cursor))
    found, more = await parts.corrections.corrections(symbol, start, before, page.limit)
    return Corrections(symbol=symbol, corrections=found, next_cursor=trade_cursor(more) if more else None)


def _query(parts: Services, symbol: str, page: BarPage, *, indicators: bool, fill: bool = False) -> BarQuery:
    """What a request for a page asks; raises AsOfTooOld and InvalidParameter."""
    end = parts.store.latest() if page.to is None else page.to
    provider = page.provider
    if page.cursor is not None:
        end = min(end, candle_place(page.cursor))
        provider = provider or candle_provider(page.cursor)
    return BarQuery(
        symbol=symbol,
        interval=page.interval,
        start=page.from_ or 0,
        end=end,
        limit=page.limit or JSON_ROWS,
        fixed=page.to is not None or page.cursor is not None,
        indicators=indicators,
        as_of=None if page.as_of is None else parts.bars.moment(page.as_of, page.interval),
        fill=fill,
        provider=None if provider == NOBODY else provider,
    )


async def _page(parts: Services, page: BarPage, query: BarQuery) -> tuple[BarQuery, KnownBars]:
    """A page of bars, and whose they are. Only where it is empty, those of a provider may stand for ours."""
    found = await parts.bars.page(query)
    if found.bars or found.more is not None:
        return query, found
    other = await _whose(parts, page, query)
    return other, found if other is query else await parts.bars.page(other)


async def _whose(parts: Services, page: BarPage, query: BarQuery) -> BarQuery:
    """The query for the bars of a provider, where nobody said whose and there are none of ours."""
    if query.provider is not None or page.provider is not None or query.as_of is not None:
        return query
    return await parts.bars.instead(query) or query


def _marked(columns: Sequence[Column], query: BarQuery) -> Sequence[Column]:
    """The columns, and whose bars they are where these are a provider's."""
    return columns if query.provider is None else (*columns, PROVIDER_BAR)


async def _bar_file(  # noqa: PLR0913, PLR0917 -- what a file of bars is made of
    parts: Services, page: BarPage, query: BarQuery, table: BarTable, file_format: Format, name: str
) -> Response:
    """The bars as a file."""

    async def pages() -> Pages:
        end: int | None = query.end
        while end is not None:
            found = await parts.bars.page(replace(query, end=end, limit=_page_rows(page.limit)))
            yield table.rows(found.bars)
            end = found.more

    file = "_".join(filter(None, (query.symbol, query.interval, query.provider, name)))
    return await parts.downloads.answer(file, file_format, table.columns, pages(), BAR_TIME, page.limit)


def _page_rows(limit: int | None) -> int:
    """Rows to read at a time for a file."""
    return PAGE_ROWS if limit is None else min(limit, PAGE_ROWS)


def _dated(content: Dated, query: BarQuery) -> Dated:
    """With the time as of which it was known, where one was asked for."""
    if query.as_of is None:
        return content
    return content.model_copy(update={"as_of": to_datetime(query.as_of)})


def _next(query: BarQuery, found: KnownBars) -> str | None:
    return None if found.more is None else candle_cursor(found.more, query.provider)
