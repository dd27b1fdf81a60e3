"""Bars with all their versions in memory, as the statements of the API read them, and the history's routes
over them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import httpx
from fastapi import FastAPI

from api.as_of import AsOfStore
from api.bars import BarReader, Recent
from api.downloads import Downloads
from api.errors import StorageUnavailable, install_error_handlers
from api.metrics import ApiMetrics
from api.middleware import RequestMiddleware
from api.provider_store import ProviderStore
from api.routes import comparison, history
from api.store import Store
from api.times import to_micros
from schemas.events import Candle, ProviderBar, Trade
from schemas.intervals import INTERVALS, MINUTE_US
from schemas.settings import SessionSettings
from schemas.symbol_classes import SymbolClasses
from schemas.tables import gold_bucket, trade_minute

NOW = to_micros(datetime(2026, 3, 17, 12, 30, 30, tzinfo=UTC))
SETTLED_SECONDS = 900
SYMBOL = "A"


def at(*moment: int) -> int:
    return to_micros(datetime(*moment, tzinfo=UTC))


def naive(time_us: int) -> datetime:
    """As the driver gives a timestamp."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_us)).replace(tzinfo=None)


def a_version(
    start: int,
    version: int,
    updated_at: int,
    close: float | None = 1.0,
    *,
    interval: str = "1m",
    end: int = 0,
) -> Candle:
    """A version of a bar; an odd one is final."""
    return Candle(
        SYMBOL, interval, start, end or start + INTERVALS[interval], close, close, close, close, 2.0, 3.0,
        1.5, version // 2, version % 2 == 1, version, ("s", "t"), 0, updated_at, 1.0,
        {"sma_20": float(version)},
    )  # fmt: skip


def a_provider_bar(start: int, close: float = 1.0, *, source: str = "yahoo", **changes: Any) -> ProviderBar:
    """A final bar, received three seconds after its end."""
    interval = changes.pop("interval", "1m")
    end = start + INTERVALS[interval]
    fields = {
        "open": close, "high": close + 1, "low": close / 2, "close": close, "volume": 4.0, "vwap": None,
        "trades": None, "final": True, "received_at": end + 3_000_000, "version": end + 3_000_001,
        "indicators": {"sma_20": close},
    }  # fmt: skip
    return ProviderBar(SYMBOL, source, interval, start, end, **fields | changes)


def final_bars(*starts: int) -> list[Candle]:
    """Bars that were made final half a second after their end; each closes at its minute."""
    return [
        a_version(start, 3, start + MINUTE_US + 500_000, close=float(start // MINUTE_US % 100_000))
        for start in starts
    ]


class Market:
    """The tables. ``broken_after`` queries there is no storage any more."""

    def __init__(
        self,
        versions: Sequence[Candle] = (),
        trades: Sequence[Trade] = (),
        provider_bars: Sequence[ProviderBar] = (),
    ) -> None:
        self._provider_bars = sorted(provider_bars, key=_start, reverse=True)
        self._versions: dict[tuple[str, int], list[Candle]] = {}
        for bar in sorted(versions, key=_version):
            self._versions.setdefault((bar.interval, bar.start), []).append(bar)
        self._starts = sorted(self._versions, reverse=True)
        self._trades = sorted(trades, key=_place, reverse=True)
        self.asked: list[str] = []
        self.broken_after: int | None = None

    async def query(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        self.asked.append(statement)
        if self.broken_after is not None and len(self.asked) > self.broken_after:
            raise StorageUnavailable("broken by the test")
        kind, _, interval = statement.partition("_")
        if kind == "known":
            return self._known(*values, indicators=interval == "indicators")
        if kind in ("candles", "indicators"):
            found = self._gold(interval, *values)
            return [_row(bar, indicators=kind == "indicators") for bar in found]
        if kind == "minutes":
            return [(naive(bar.start),) for bar in self._gold("1m", *values)]
        if kind == "held":
            held = {gold_bucket(interval, start) for each, start in self._starts if each == interval}
            return [(bucket,) for bucket in values[1] if bucket in held]
        if statement == "provider_buckets":
            every = ((bar.source, bar.interval, _bucket(bar)) for bar in self._provider_bars)
            return sorted(set(every))
        if kind == "provider":
            return self._provider(*values, indicators=interval == "indicators")
        if kind == "symbol":
            return [(SYMBOL,)]
        assert kind == "trades", statement
        return self._minute(*values)

    def _gold(self, interval: str, _: str, bucket: str, start: int, end: int, limit: int) -> list[Candle]:
        found = [
            self._versions[each, at][-1]
            for each, at in self._starts
            if each == interval and start * 1000 <= at < end * 1000 and gold_bucket(interval, at) == bucket
        ]
        return found[:limit]

    def _provider(  # noqa: PLR0917 -- the statement's values
        self, _: str, source: str, interval: str, bucket: str, start: int, end: int, limit: int, *,
        indicators: bool,
    ) -> list[tuple[Any, ...]]:  # fmt: skip
        found = [
            (naive(bar.start), naive(bar.end), bar.open, bar.high, bar.low, bar.close, bar.volume, bar.vwap,
             bar.trades, bar.final, bar.received_at, bar.version,
             *([dict(bar.indicators)] if indicators else []))
            for bar in self._provider_bars
            if (bar.source, bar.interval, _bucket(bar)) == (source, interval, bucket)
            and start * 1000 <= bar.start < end * 1000
        ]  # fmt: skip
        return found[:limit]

    def _known(
        self, _: str, interval: str, day: date, start: datetime, as_of: int, *, indicators: bool
    ) -> list[tuple[Any, ...]]:
        assert start.date() == day
        versions = self._versions.get((interval, to_micros(start)), [])
        known = [bar for bar in versions if bar.updated_at <= as_of]
        return [_row(bar, indicators=indicators) for bar in known[-1:]]

    def _minute(self, minute: int, _: int, __: str, since: int, *rest: Any) -> list[tuple[Any, ...]]:
        *before, limit = rest
        found = [
            (trade.event_time, trade.sequence, trade.source, trade.trade_id, trade.received_at, trade.price,
             trade.size, trade.exchange, list(trade.conditions), True, True, True)
            for trade in self._trades
            if trade_minute(trade.event_time) == minute and since <= trade.event_time
            and _place(trade) < tuple(before)
        ]  # fmt: skip
        return found[:limit]


def _start(bar: ProviderBar) -> int:
    return bar.start


def _bucket(bar: ProviderBar) -> str:
    return gold_bucket(bar.interval, bar.start)


def _version(bar: Candle) -> int:
    return bar.version


def _place(trade: Trade) -> tuple[int, int, str, str]:
    return trade.event_time, trade.sequence, trade.source, trade.trade_id


def _row(bar: Candle, *, indicators: bool) -> tuple[Any, ...]:
    values = (
        naive(bar.start), naive(bar.end), bar.open, bar.high, bar.low, bar.close, bar.volume, bar.notional,
        bar.vwap, bar.trades, bar.final, bar.version, list(bar.sources), bar.late_trades, bar.updated_at,
        bar.quality, bar.observed,
    )  # fmt: skip
    return (*values, dict(bar.indicators)) if indicators else values


def readers(
    market: Market,
    *,
    ttl_days: int = 7,
    classes: str = "",
    hours: str = "extended",
    recent: Recent | None = None,
) -> tuple[Store, BarReader]:
    """What reads the market, at NOW."""
    settings = SessionSettings.model_validate({"symbol_classes": classes, "us_equity_hours": hours})
    store = Store(market, [SYMBOL], lambda: NOW)  # type: ignore[arg-type]
    as_of = AsOfStore(market, store, ttl_days, SETTLED_SECONDS, lambda: NOW)  # type: ignore[arg-type]
    providers = ProviderStore(market, lambda: NOW)  # type: ignore[arg-type]
    calendars = SymbolClasses(settings)
    return store, BarReader(
        store, providers, as_of, calendars, SETTLED_SECONDS, lambda: NOW, recent or not_in_memory
    )


async def not_in_memory(*_: object) -> None:
    """Of bars in memory: there are none, so everything comes from the tables."""


class NoMemory:
    """Of the pages in memory: there are none, so everything comes from the tables."""

    async def candles(self, *_: object) -> None:
        return None

    async def indicators(self, *_: object) -> None:
        return None


def history_app(market: Market, downloads: Downloads | None = None) -> FastAPI:
    """The routes of the history over the market."""
    app = FastAPI()
    install_error_handlers(app)
    app.add_middleware(RequestMiddleware, metrics=ApiMetrics())
    app.include_router(history.router)
    app.include_router(comparison.router)
    store, bars = readers(market)
    app.state.services = SimpleNamespace(
        store=store,
        bars=bars,
        providers=ProviderStore(market, lambda: NOW),  # type: ignore[arg-type]
        downloads=downloads or Downloads(most=2, most_rows=100_000),
        hot=SimpleNamespace(pages=NoMemory()),
    )
    return app


def ask(
    market: Market, use: Callable[[httpx.AsyncClient], Awaitable[Any]], downloads: Downloads | None = None
) -> Any:
    """The result of ``use`` with a client of the routes."""

    async def run() -> Any:
        transport = httpx.ASGITransport(history_app(market, downloads))
        async with httpx.AsyncClient(transport=transport, base_url="http://api/api/v1") as client:
            return await use(client)

    return asyncio.run(run())


def get(market: Market, path: str, **headers: str) -> httpx.Response:
    """One GET."""
    response: httpx.Response = ask(market, lambda client: client.get(path, headers=headers))
    return response
