"""Reading trades, bars and symbols from Cassandra: which partitions to look at, in which order, when to stop.

Everything is read newest first. Data may be sparse or old (a replayed day of two years ago), so empty
partitions are not walked one by one: one query asks which of the next 36 months (or years) hold bars of a
symbol, daily bars say which years before them do, and 1m bars say which minutes hold trades.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterator
from contextlib import aclosing
from datetime import UTC
from itertools import islice
from typing import NamedTuple

from api.database import Database, Row
from api.models import Candle, Symbol, Trade
from api.times import Now, to_datetime, to_micros
from schemas.intervals import INTERVALS, MINUTE_US
from schemas.tables import GOLD_TABLES, MONTHLY, SYMBOLS_PART, gold_bucket, trade_minute, trade_shard
from schemas.topics import MAX_CLOCK_AHEAD_MS

FEW_BUCKETS = 3
"""So many more partitions are simply read; beyond, it pays to ask first which ones hold anything."""
BUCKETS_AT_ONCE = 36
"""Partitions that one query asks about: 3-4 ms where all are empty."""
DIRECT_MINUTES = 15
"""The newest minutes of a range are read whether or not a bar says that trades are there: bars may lag."""
MAX_MINUTES = 2_000
"""Minutes read for one page of trades; where trades have expired before their bars, the page ends there."""
MAX_PARALLEL_MINUTES = 8
MINUTES_AT_ONCE = 500
SYMBOLS_AT_ONCE = 32
FAR_AHEAD_US = 366 * INTERVALS["1d"]
"""No bar is dated further ahead of now: a range up to the year 9999 must not ask for every month of it."""

CANDLE_COLUMNS = (
    "start, end, open, high, low, close, volume, notional, vwap, trades, final, version, sources,"
    " late_trades, updated_at, quality, observed"
)
TRADE_COLUMNS = (
    "event_time, sequence, source, trade_id, received_at, price, size, exchange, conditions,"
    " updates_open_close, updates_high_low, updates_volume"
)
BARS_IN_RANGE = "symbol = ? AND bucket = ? AND start >= ? AND start < ? LIMIT ?"
HELD = "symbol = ? AND bucket IN ? PER PARTITION LIMIT 1"
TRADES_IN_RANGE = (
    "minute = ? AND shard = ? AND symbol = ?"
    " AND (event_time) >= (?) AND (event_time, sequence, source, trade_id) < (?, ?, ?, ?)"
    " ORDER BY symbol DESC LIMIT ?"
)


def statements(keyspace: str) -> dict[str, str]:
    """Every query of the API by the name that the metrics give it."""

    def select(columns: str, table: str, where: str) -> str:
        return f"SELECT {columns} FROM {keyspace}.{table} WHERE {where}"  # noqa: S608 -- no value of a user

    return {
        **{f"candles_{i}": select(CANDLE_COLUMNS, table, BARS_IN_RANGE) for i, table in GOLD_TABLES.items()},
        **{
            f"indicators_{i}": select(f"{CANDLE_COLUMNS}, indicators", table, BARS_IN_RANGE)
            for i, table in GOLD_TABLES.items()
        },
        **{f"held_{i}": select("bucket", table, HELD) for i, table in GOLD_TABLES.items()},
        "minutes": select("start", GOLD_TABLES["1m"], BARS_IN_RANGE),
        "trades": select(TRADE_COLUMNS, "trades_silver", TRADES_IN_RANGE),
        "symbols": select("symbol", "symbols", "part = ?"),
        "symbol": select("symbol", "symbols", "part = ? AND symbol = ?"),
    }


class Span(NamedTuple):
    """``[start, end)`` in microseconds since 1970 UTC."""

    start: int
    end: int


class Position(NamedTuple):
    """A place in the order of a symbol's trades; with the time alone, the place before all trades of it."""

    event_time: int
    sequence: int = 0
    source: str = ""
    trade_id: str = ""

    @property
    def newest(self) -> int:
        """The latest time that is before it. Ranges often end with a minute: nothing of the next one is
        before its first moment."""
        return self.event_time - (self == Position(self.event_time))


class Store:
    """Queries as the routes ask them. Times in microseconds since 1970 UTC; ranges hold their start and not
    their end. Every method raises StorageUnavailable."""

    def __init__(self, database: Database, configured_symbols: Collection[str], now: Now) -> None:
        self._database = database
        self._configured = frozenset(configured_symbols)
        self._seen: set[str] = set()  # no more than the table holds: only names found there get in
        self._now = now

    def latest(self) -> int:
        """An end of range that holds everything stored: now, and what clocks ahead of ours may have sent."""
        return self._now() + MAX_CLOCK_AHEAD_MS * 1000

    async def is_known(self, symbol: str) -> bool:
        """Whether the symbol is configured or has stored bars."""
        return symbol in self._configured or await self._is_stored(symbol)

    async def symbols(self) -> list[Symbol]:
        """All symbols by name, each with its newest price."""
        stored = {row[0] for row in await self._database.query("symbols", (SYMBOLS_PART,))}
        names = iter(sorted(stored | self._configured))
        symbols: list[Symbol] = []
        while chunk := list(islice(names, SYMBOLS_AT_ONCE)):
            symbols += await asyncio.gather(*map(self._symbol, chunk))
        return symbols

    async def ping(self) -> None:
        """Returns when a table of ours can be read."""
        await self._database.query("symbol", (SYMBOLS_PART, ""))

    async def candles(
        self, symbol: str, interval: str, span: Span, limit: int, *, indicators: bool = False
    ) -> list[Candle]:
        """The newest ``limit`` bars that start in ``span``, newest first; with their indicators if asked."""
        statement = f"indicators_{interval}" if indicators else f"candles_{interval}"
        rows = await self._bars(statement, symbol, interval, span, limit)
        return [to_candle(symbol, interval, row) for row in rows]

    async def trades(
        self, symbol: str, start: int, before: Position, limit: int
    ) -> tuple[list[Trade], Position | None]:
        """The newest ``limit`` trades from ``start`` to before ``before``, and where the next page goes on:
        None at the end of the range. A page may be shorter than ``limit`` although more follow."""
        rows: list[Row] = []
        read, parallel = 0, 1
        async with aclosing(self._minutes(symbol, start, before.newest)) as minutes:
            while chunk := await _take(minutes, parallel):
                parts = await asyncio.gather(
                    *(self._minute(symbol, minute, start, before, limit + 1) for minute in chunk)
                )
                rows += [row for part in parts for row in part]
                if len(rows) > limit:
                    page = rows[:limit]
                    return [_trade(symbol, row) for row in page], Position(*page[-1][:4])
                read += len(chunk)
                if read >= MAX_MINUTES:
                    return [_trade(symbol, row) for row in rows], Position(chunk[-1])
                parallel = min(parallel * 2, MAX_PARALLEL_MINUTES)
        return [_trade(symbol, row) for row in rows], None

    async def newest_of_minutes(self, symbol: str, minutes: Collection[int], limit: int) -> list[Trade]:
        """The newest ``limit`` trades of the minutes that start at ``minutes``, newest first."""
        end = Position(max(minutes) + MINUTE_US)
        parts = await asyncio.gather(
            *(self._minute(symbol, minute, minute, end, limit) for minute in sorted(minutes, reverse=True))
        )
        return [_trade(symbol, row) for part in parts for row in part][:limit]

    async def newest_trade(self, symbol: str, since: int) -> int | None:
        """Event time of the newest trade at or after ``since``."""
        trades, _ = await self.trades(symbol, since, Position(self.latest()), 1)
        return to_micros(trades[0].event_time) if trades else None

    async def _is_stored(self, symbol: str) -> bool:
        if symbol not in self._seen and await self._database.query("symbol", (SYMBOLS_PART, symbol)):
            self._seen.add(symbol)
        return symbol in self._seen

    async def _symbol(self, name: str) -> Symbol:
        newest = await self.candles(name, "1m", Span(0, self.latest()), 1)
        return Symbol(
            symbol=name,
            configured=name in self._configured,
            last_price=newest[0].close if newest else None,
            last_bar=newest[0].start if newest else None,
        )

    async def _bars(self, statement: str, symbol: str, interval: str, span: Span, limit: int) -> list[Row]:
        """Rows of bars, newest first, over as many partitions as it takes."""
        span = Span(span.start, min(span.end, self._now() + FAR_AHEAD_US))
        rows: list[Row] = []
        async with aclosing(self._buckets(symbol, interval, span)) as buckets:
            async for bucket in buckets:
                values = (symbol, bucket, _ceil_ms(span.start), _ceil_ms(span.end), limit - len(rows))
                rows += await self._database.query(statement, values)
                if len(rows) >= limit:
                    break
        return rows

    async def _buckets(self, symbol: str, interval: str, span: Span) -> AsyncGenerator[str, None]:
        """The partitions of ``span`` that may hold bars, newest first: the newest at once, and where many
        would follow, only those that do hold some."""
        every = _all_buckets(interval, span)
        for newest in islice(every, 1):
            yield newest
        near = list(islice(every, BUCKETS_AT_ONCE))
        if len(near) <= FEW_BUCKETS:
            for bucket in near:
                yield bucket
            return
        # A symbol that never had a bar is not in the table of symbols: no need to go back to 1970 for it.
        if not await self._is_stored(symbol):
            return
        for bucket in await self._held(symbol, interval, near):
            yield bucket
        far = await self._with_daily_bars(symbol, list(every)) if interval in MONTHLY else list(every)
        for start in range(0, len(far), BUCKETS_AT_ONCE):
            for bucket in await self._held(symbol, interval, far[start : start + BUCKETS_AT_ONCE]):
                yield bucket

    async def _held(self, symbol: str, interval: str, buckets: list[str]) -> list[str]:
        """Those of ``buckets`` that hold bars, newest first."""
        rows = await self._database.query(f"held_{interval}", (symbol, buckets))
        return sorted((row[0] for row in rows), reverse=True)

    async def _with_daily_bars(self, symbol: str, months: list[str]) -> list[str]:
        """Those of ``months`` whose year has daily bars, or the year before: the last day of a market's year
        may end in the next."""
        years = {month[:4] for month in months}
        years |= {f"{int(year) - 1:04d}" for year in years}
        held = set(await self._held(symbol, "1d", sorted(years)))
        return [month for month in months if held & {month[:4], f"{int(month[:4]) - 1:04d}"}]

    async def _minutes(self, symbol: str, start: int, end: int) -> AsyncGenerator[int, None]:
        """Starts of the minutes in ``[start, end]`` that may hold trades, newest first."""
        newest, oldest = end - end % MINUTE_US, start - start % MINUTE_US
        reached = max(oldest, newest - (DIRECT_MINUTES - 1) * MINUTE_US)
        for minute in range(newest, reached - 1, -MINUTE_US):
            yield minute
        while reached > oldest:
            rows = await self._bars("minutes", symbol, "1m", Span(oldest, reached), MINUTES_AT_ONCE)
            for row in rows:
                reached = to_micros(row[0])
                yield reached
            if len(rows) < MINUTES_AT_ONCE:
                return

    async def _minute(self, symbol: str, minute: int, start: int, before: Position, limit: int) -> list[Row]:
        values = (trade_minute(minute), trade_shard(symbol), symbol, start, *before, limit)
        return await self._database.query("trades", values)


async def _take(items: AsyncIterator[int], count: int) -> list[int]:
    """The next ``count`` items, fewer at the end."""
    taken: list[int] = []
    while len(taken) < count and (item := await anext(items, None)) is not None:
        taken.append(item)
    return taken


def _all_buckets(interval: str, span: Span) -> Iterator[str]:
    """Every partition key of ``span``, newest first."""
    if span.start >= span.end:
        return
    oldest, bucket = gold_bucket(interval, span.start), gold_bucket(interval, span.end - 1)
    year, month = int(bucket[:4]), int(bucket[5:] or 1)
    while bucket >= oldest:
        yield bucket
        if interval in MONTHLY and month > 1:
            month -= 1
        else:
            year, month = year - 1, 12
        bucket = f"{year:04d}-{month:02d}" if interval in MONTHLY else f"{year:04d}"


def _ceil_ms(time_us: int) -> int:
    """A bound for a CQL timestamp: bars start at whole milliseconds, bounds need not."""
    return -(-time_us // 1000)


def to_candle(symbol: str, interval: str, row: Row) -> Candle:
    """A bar from CANDLE_COLUMNS, and indicators where they were read: only then they are set. Rows of before
    some columns were added have null there."""
    start, end, open_, high, low, close, volume, notional, vwap, trades, final, version, *added = row
    sources, late_trades, updated_at, quality, observed, *indicators = added
    read = {"indicators": dict(indicators[0] or {})} if indicators else {}
    return Candle(
        symbol=symbol,
        interval=interval,
        start=start.replace(tzinfo=UTC),
        end=end.replace(tzinfo=UTC),
        open=open_,
        high=high,
        low=low,
        close=close,
        volume=volume,
        notional=notional,
        vwap=vwap,
        trades=trades,
        final=final,
        version=version,
        sources=sources or [],
        late_trades=late_trades,
        updated_at=to_datetime(updated_at) if updated_at else None,
        quality=quality,
        observed=observed,
        **read,
    )


def _trade(symbol: str, row: Row) -> Trade:
    event_time, sequence, source, trade_id, received_at, price, size, exchange, conditions, *updates = row
    open_close, high_low, volume = (value is not False for value in updates)  # null: from before the column
    return Trade(
        symbol=symbol,
        event_time=to_datetime(event_time),
        received_at=to_datetime(received_at),
        price=price,
        size=size,
        trade_id=trade_id,
        sequence=sequence,
        source=source,
        exchange=exchange,
        conditions=conditions or [],
        updates_open_close=open_close,
        updates_high_low=high_low,
        updates_volume=volume,
    )
