"""The newest bars of live symbols, from memory.

A window is read from Cassandra when somebody first asks for it and kept right by the live feed from then on.
What makes that safe:

- Bars are collected from the feed before the first one asks, so that what Cassandra has not stored yet when
  the window is filled is there already; of two versions of a bar the greater one stays.
- Nothing is served while the feed is not current, and everything is dropped when it was interrupted. The
  first SETTLE_SECONDS after that are Cassandra's: what was published before may still be on its way there.
- Only the feed opens a window: a symbol of which nothing comes, such as one of a replay, is Cassandra's.
- Replays and backfills can write old bars of a live symbol behind our back. So a window is read again when it
  is older than its reader bears (``Patience``); what lies outside of it is Cassandra's.

Bounded: ``max_bars`` bars (about 1 kB each); beyond, the window is dropped that was asked for longest ago.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import structlog

from api.cached import Flights
from api.errors import StorageUnavailable
from api.hot.bars import ROWS, Held, Window, from_feed, from_store
from api.live.continuity import Continuity
from api.live.messages import Incoming
from api.metrics import CacheMetrics
from api.models import Candle as CandleModel
from api.store import Span
from schemas.events import Candle
from schemas.intervals import INTERVALS

log = structlog.get_logger()
SETTLE_SECONDS = 5.0
"""Longest that a bar is on its way from the topic to Cassandra while nothing is wrong."""
MAX_FILLS = 4
"""Windows that are read from Cassandra at the same time."""
MAX_WINDOWS = 100_000
"""Symbols x intervals; the bars of further ones are read from Cassandra."""
NAME = "candles"


class Patience(NamedTuple):
    """Seconds after which a window is read again in the background; after twice as many its reader waits."""

    bars: float
    nothing_older: float
    """The same where the answer is that there are no older bars."""


PAGES = Patience(60.0, 15.0)
"""Of those who ask for bars."""
PRICES = Patience(300.0, 300.0)
"""Of those who ask for prices, which the newest bars tell."""

Key = tuple[str, str]
Load = Callable[[str, str, int], Awaitable[list[CandleModel]]]
"""Symbol, interval, limit -> the newest bars in Cassandra with their indicators."""


class CandleCache:
    """Only for the event loop's thread."""

    def __init__(self, load: Load, continuity: Continuity, metrics: CacheMetrics, max_bars: int) -> None:
        self._load = load
        self._continuity = continuity
        self._metrics = metrics
        self._max_bars = max_bars
        self._monotonic = continuity.monotonic
        self._windows: dict[Key, Window] = {}
        self._filled: OrderedDict[Key, None] = OrderedDict()  # asked for longest ago first
        self._bars = 0
        self._epoch = continuity.epoch
        self._since = continuity.since
        self._flights: Flights[None] = Flights()
        self._slots = asyncio.Semaphore(MAX_FILLS)
        metrics.entries.labels(NAME).set_function(lambda: self._bars)

    @property
    def bars(self) -> int:
        """So many are held."""
        return self._bars

    @property
    def max_bars(self) -> int:
        """So many may be held."""
        return self._max_bars

    @property
    def windows(self) -> int:
        """So many symbols x intervals can be answered from memory."""
        return len(self._filled)

    def add(self, incoming: Incoming) -> None:
        """Takes in what the feed brought."""
        bar = incoming.event
        if not isinstance(bar, Candle):
            return
        self._follow()
        key = (bar.symbol, bar.interval)
        window = self._windows.get(key)
        if window is None:
            if len(self._windows) >= MAX_WINDOWS:
                return
            window = self._windows[key] = Window()
        before = len(window)
        window.add(from_feed(incoming), self._monotonic())
        self._bars += len(window) - before
        self._make_room()

    async def page(self, symbol: str, interval: str, span: Span, limit: int) -> list[Held] | None:
        """The newest ``limit`` bars that start in ``span``, newest first, as Cassandra has them or newer;
        None where only Cassandra can tell."""
        found = self.held(symbol, interval, span, limit, PAGES)
        result = "hit"
        if found is None:
            result = "miss"
            if limit <= ROWS and span.end > self._continuity.now() - ROWS * INTERVALS[interval]:
                result = "fill" if await self.fill(symbol, interval, PAGES) else "bypass"
                found = self.held(symbol, interval, span, limit, PAGES)
                result = "miss" if result == "fill" and found is None else result
        self._metrics.count(NAME, result)
        return found

    def held(
        self, symbol: str, interval: str, span: Span, limit: int, patience: Patience
    ) -> list[Held] | None:
        """The same without waiting: None, too, where the window has to be filled first."""
        key = (symbol, interval)
        window = self._current(key)
        if window is None or window.floor is None:
            return None
        found = window.page(span, limit)
        if found is None:
            return None
        age = self._monotonic() - window.filled_at
        most = patience.bars if len(found) == limit else patience.nothing_older
        if age > 2 * most and not window.failed:
            return None
        if age > most:
            self._start(key, window)
        self._filled.move_to_end(key)
        return found

    async def fill(self, symbol: str, interval: str, patience: Patience) -> bool:
        """Fills a window where that can be done and helps; whether it is filled now."""
        key = (symbol, interval)
        window = self._current(key)
        if window is None:
            return False
        if window.floor is None and self._monotonic() - self._since < SETTLE_SECONDS:
            return False
        if window.floor is None or self._monotonic() - window.filled_at > patience.nothing_older:
            await asyncio.shield(self._start(key, window))
        return self._current(key) is window and window.floor is not None

    def _current(self, key: Key) -> Window | None:
        """The window of a key to which the feed has brought something, while the feed is current."""
        self._follow()
        return self._windows.get(key) if self._continuity.is_current() else None

    def _start(self, key: Key, window: Window) -> asyncio.Task[None]:
        return self._flights.start(key, lambda: self._read(key, window))

    async def _read(self, key: Key, window: Window) -> None:
        """Fills a window from Cassandra. Where that cannot answer, the window stays as it is: nobody else can
        write there, either."""
        async with self._slots:
            at = self._monotonic()
            try:
                rows = [from_store(bar) for bar in await self._load(*key, ROWS)]
            except StorageUnavailable:
                self._metrics.fills.labels(NAME, "failed").inc()
                window.failed = True
                return
        self._metrics.fills.labels(NAME, "ok").inc()
        self._follow()
        if self._windows.get(key) is not window:
            return
        before = len(window)
        window.failed = False
        window.fill(rows, at)
        self._bars += len(window) - before
        self._filled[key] = None
        self._filled.move_to_end(key)
        self._make_room()

    def _follow(self) -> None:
        """Begins anew when the feed was interrupted."""
        if self._epoch != self._continuity.epoch:
            self._epoch = self._continuity.epoch
            self._drop_all(self._continuity.since)

    def _make_room(self) -> None:
        while self._bars > self._max_bars:
            if not self._filled:
                log.warning("candle_cache_overflow", bars=self._bars, detail="see API_CACHE_BARS")
                self._drop_all(self._monotonic())
                return
            key, _ = self._filled.popitem(last=False)
            window = self._windows[key]
            before = len(window)
            window.empty(self._monotonic())
            self._bars += len(window) - before

    def _drop_all(self, since: float) -> None:
        self._since = since
        self._windows.clear()
        self._filled.clear()
        self._bars = 0
        self._metrics.resets.labels(NAME).inc()
