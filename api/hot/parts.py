"""What answers from memory, wired together."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from api.cached import Cached
from api.database import Database
from api.errors import StorageUnavailable
from api.hot.bars import from_store
from api.hot.candles import SETTLE_SECONDS, CandleCache
from api.hot.pages import HotPages
from api.hot.quotes import QuoteCache
from api.hot.summary import POINTS, MarketSummary, Part
from api.live.server import LiveServer
from api.metrics import CacheMetrics
from api.models import Candle
from api.quote_store import QuoteStore, StoredQuotes
from api.settings import ApiSettings
from api.store import Span, Store
from schemas.tables import SYMBOLS_PART

WARM_AT_ONCE = 2
LOOK_SECONDS = 1.0
NAMES_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class HotParts:
    """Built in ``main.create_app`` by ``hot_parts``."""

    candles: CandleCache
    pages: HotPages
    quote_cache: QuoteCache
    quotes: QuoteStore
    summary: MarketSummary
    names: Cached[list[str]]
    """Every symbol that is configured or has stored bars."""


def hot_parts(
    settings: ApiSettings, database: Database, store: Store, live: LiveServer, metrics: CacheMetrics
) -> HotParts:
    """Fed by ``live`` from now on."""

    async def newest(symbol: str, interval: str, limit: int) -> list[Candle]:
        return await store.candles(symbol, interval, Span(0, store.latest()), limit, indicators=True)

    async def of_symbol(symbol: str) -> Part:
        known, bars = await asyncio.gather(
            stored.known(symbol), store.candles(symbol, "1m", Span(0, store.latest()), POINTS)
        )
        return known, [from_store(bar) for bar in bars]

    now = live.continuity.now

    async def names() -> list[str]:
        try:
            rows = await database.query("symbols", (SYMBOLS_PART,))
        except StorageUnavailable:
            rows = []  # what is live needs no storage
        return sorted({*settings.symbols, *(row[0] for row in rows)})

    stored = StoredQuotes(database, store, now)
    candles = CandleCache(newest, live.continuity, metrics, settings.api_cache_bars)
    quote_cache = QuoteCache(live.latest, candles, stored.bid_ask, live.continuity, metrics)
    live.watch(candles.add)
    live.watch(quote_cache.add)
    live.watch_ticks(quote_cache.take)
    return HotParts(
        candles=candles,
        pages=HotPages(candles, settings.api_settled_seconds, now),
        quote_cache=quote_cache,
        quotes=QuoteStore(stored, quote_cache.known, now),
        summary=MarketSummary(quote_cache, of_symbol, metrics, now),
        names=Cached(names, NAMES_SECONDS),
    )


async def keep_warm(hot: HotParts, live: LiveServer, symbols: Iterable[str]) -> None:
    """Reads what quotes and the summary need of the configured symbols, once the feed has settled and again
    when it was interrupted, so that nobody has to wait for it. Returns when it is cancelled."""
    names = list(symbols)
    warmed = -1
    slots = asyncio.Semaphore(WARM_AT_ONCE)

    async def warm(symbol: str) -> None:
        async with slots:
            await hot.quote_cache.fill(symbol)

    while True:
        await asyncio.sleep(LOOK_SECONDS)
        feed = live.continuity
        settled = feed.monotonic() - feed.since > SETTLE_SECONDS
        if feed.epoch == warmed or not settled or not feed.is_current():
            continue
        warmed = feed.epoch
        await asyncio.gather(*map(warm, names))
