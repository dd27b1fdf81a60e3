"""Pages of bars as the routes answer them: the newest versions or those of a time, with or without the
intervals in which nobody traded.

Every page is read from its end backwards along the tables' clustering, whatever came before it.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from api.as_of import AsOfStore, KnownBars
from api.filling import fill_forward, open_slots
from api.hot.bars import Held
from api.models import Candle
from api.provider_store import ProviderStore
from api.store import Span, Store
from api.times import Now, to_micros
from schemas.symbol_classes import SymbolClasses

BARS_BEFORE = 10
"""Bars looked at for the close before a page. Rarely one has none: all its trades were cancelled."""


@dataclass(frozen=True, slots=True)
class BarQuery:
    """The newest ``limit`` bars that start in ``[start, end)``, in microseconds since 1970 UTC. ``fixed``:
    the range ends where the caller said, not now."""

    symbol: str
    interval: str
    start: int
    end: int
    limit: int
    fixed: bool
    indicators: bool = False
    as_of: int | None = None
    fill: bool = False
    provider: str | None = None
    """Whose bars; None: ours."""


Recent = Callable[[str, str, Span, int], Awaitable[Sequence[Held] | None]]
"""Symbol, interval, span, limit -> the newest bars as memory has them; None where only Cassandra can tell."""


class BarReader:
    """Raises StorageUnavailable, and AsOfTooOld for a time of which too little is kept."""

    def __init__(  # noqa: PLR0913, PLR0917 -- what it reads from
        self,
        store: Store,
        providers: ProviderStore,
        as_of: AsOfStore,
        classes: SymbolClasses,
        settled_seconds: int,
        now: Now,
        recent: Recent,
    ) -> None:
        self._store = store
        self._providers = providers
        self._as_of = as_of
        self._classes = classes
        self._settled = settled_seconds * 1_000_000
        self._now = now
        self._recent = recent

    def latest(self) -> int:
        """An end of range that holds every bar."""
        return self._store.latest()

    def moment(self, as_of: int, interval: str) -> int:
        """The time as of which a query is answered; raises AsOfTooOld."""
        return self._as_of.moment(as_of, interval)

    async def page(self, query: BarQuery) -> KnownBars:
        """Newest first. With ``as_of`` a page may hold fewer bars than ``limit`` although more follow."""
        if query.fill:
            return await self._filled(query)
        return await self._newest(query, Span(query.start, query.end), query.limit)

    async def instead(self, query: BarQuery) -> BarQuery | None:
        """The same query for the bars of a provider, where there are some and none of ours at all."""
        provider = await self._providers.newest(query.symbol, query.interval)
        if provider is None:
            return None
        everything = Span(0, self._store.latest())
        ours = await self._store.candles(query.symbol, query.interval, everything, 1)
        return None if ours else replace(query, provider=provider)

    async def is_settled(self, query: BarQuery, bars: Sequence[Candle]) -> bool:
        """Whether a page will stay as it is: what was known at a time does; other bars do when all are final,
        and the symbol's trades so far beyond the range that none in it is accepted any more. Only a replay or
        a rebuild of the same time makes new versions then. A provider may say something else at any time."""
        if query.provider is not None:
            return False
        if query.as_of is not None:
            return query.as_of + self._settled <= self._now()
        ends = [query.end, *(to_micros(bar.end) for bar in bars[:1])]
        last = max(ends) + self._settled
        if not query.fixed or last > self._now() or not all(bar.final for bar in bars):
            return False
        newest = await self._store.candles(query.symbol, "1m", Span(last, self._store.latest()), 1)
        return bool(newest)

    async def _newest(self, query: BarQuery, span: Span, limit: int) -> KnownBars:
        """Bars that there are, newest first."""
        if query.as_of is not None:
            return await self._as_of.bars(
                query.symbol, query.interval, span, limit, query.as_of, indicators=query.indicators
            )
        if query.provider is not None:
            found = await self._providers.candles(
                query.provider, query.symbol, query.interval, span, limit + 1, indicators=query.indicators
            )
        else:
            found = await self._ours(query, span, limit + 1)
        shown = found[:limit]
        return KnownBars(shown, to_micros(shown[-1].start) if len(found) > limit else None)

    async def _ours(self, query: BarQuery, span: Span, limit: int) -> list[Candle]:
        """What pages without holes are made of comes from memory where that has it, as all else there does.
        Of other pages it did not, or they would not come here."""
        held = await self._recent(query.symbol, query.interval, span, limit) if query.fill else None
        if held is not None:
            return [Candle.model_validate_json(bar.json(indicators=query.indicators)) for bar in held]
        return await self._store.candles(
            query.symbol, query.interval, span, limit, indicators=query.indicators
        )

    async def _filled(self, query: BarQuery) -> KnownBars:
        """A page without holes up to the newest bar there is. It takes three or four reads of bars, however
        long the hole that it lies in; of the newest none but memory is read."""
        top = query.end
        ahead = await self._newest(query, Span(query.end, self._store.latest()), 1)
        if not ahead.bars:
            newest = await self._newest(query, Span(query.start, query.end), 1)
            if not newest.bars:
                return newest
            top = to_micros(newest.bars[0].start) + 1
        calendar = self._classes.calendar(query.symbol)
        slots = list(islice(open_slots(calendar, query.interval, query.start, top), query.limit + 1))
        is_long = len(slots) > query.limit
        low = slots[-1][0] if is_long else query.start
        bars = (await self._newest(query, Span(low, top), query.limit + 1)).bars
        priced = [to_micros(bar.start) for bar in bars if bar.close is not None]
        close = None
        if slots and (not priced or slots[-1][0] < priced[-1]):
            before = await self._newest(query, Span(0, low), BARS_BEFORE)
            close = next((bar.close for bar in before.bars if bar.close is not None), None)
            is_long = is_long and close is not None
        rows = fill_forward(query.symbol, query.interval, slots, bars, close)
        if query.provider is not None:
            rows = [row.model_copy(update={"provider_bar": query.provider}) for row in rows]
        if len(rows) > query.limit:
            shown = rows[: query.limit]
            return KnownBars(shown, to_micros(shown[-1].start))
        return KnownBars(rows, low if is_long else None)
