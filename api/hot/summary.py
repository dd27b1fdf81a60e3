"""The market at a glance: price, change, day and the last hour of every symbol.

Live symbols come from memory with each answer. The others, those of a replay or a silent market, are read
from Cassandra and kept for STORED_SECONDS, and a little longer while they are read again. Where they are
many they are kept for longer: READ_AGAIN_PER_SECOND bounds what they cost.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import orjson

from api.cached import Flights
from api.hot.bars import Held
from api.hot.quotes import QuoteCache
from api.metrics import CacheMetrics
from api.quote_store import Known, snapshot
from api.times import Now, to_datetime

NAME = "summary"
POINTS = 60
"""Closes of a sparkline."""
STALE_SECONDS = 30.0
"""A symbol that has been silent for longer is marked as stale."""
STORED_SECONDS = 10.0
OLDEST = 6.0
"""Times as old: until then it is read again while the old one is served."""
READ_AGAIN_PER_SECOND = 20
"""Symbols, of five queries each. Of 5,000 silent ones it would be 500."""
KEPT_US = 250_000
"""For so long all who ask the same get the same answer."""
KEPT_US_PER_SYMBOL = 500
"""Or so long, where that is more: a symbol takes 60 us of a core, and others want to be answered, too."""
OLDEST_KEPT = 4
"""Times as old, a second: until then it is given while a new one is made, so that nobody waits for that."""
AT_ONCE = 25
"""Symbols put together before others get their turn on the event loop: about 1 ms."""
SYMBOLS_AT_ONCE = 8
COUNTED = ("symbols", "up", "down", "unchanged", "stale")
MAX_STORED = 10_000
"""Symbols kept from Cassandra; where there are more, those read longest ago go."""

Part = tuple[Known, Sequence[Held]]
"""What is known of a symbol, and its newest POINTS 1m bars, newest first."""
LoadPart = Callable[[str], Coroutine[Any, Any, Part]]


class MarketSummary:
    """Only for the event loop's thread. Raises StorageUnavailable where a symbol has to be read from
    Cassandra and cannot."""

    def __init__(self, hot: QuoteCache, load: LoadPart, metrics: CacheMetrics, now: Now) -> None:
        """``load``: what Cassandra knows of a symbol."""
        self._hot = hot
        self._load = load
        self._metrics = metrics
        self._now = now
        self._stored: dict[str, tuple[int, Part]] = {}
        self._made: tuple[tuple[str, ...], int, bytes] = ((), 0, b"")
        """Of which symbols, of when, and the answer."""
        self._flights: Flights[Part] = Flights()
        self._answers: Flights[bytes] = Flights()
        self._slots = asyncio.Semaphore(SYMBOLS_AT_ONCE)
        metrics.entries.labels(NAME).set_function(lambda: len(self._stored))

    @property
    def entries(self) -> int:
        """So many symbols from Cassandra are held."""
        return len(self._stored)

    async def answer(self, symbols: Sequence[str], trades_per_second: float) -> bytes:
        """The JSON of a ``models.MarketSummary``, symbols in the order given."""
        asked = tuple(symbols)
        kept = max(KEPT_US, KEPT_US_PER_SYMBOL * len(asked))
        of, at, answer = self._made
        age = self._now() - at if of == asked else float("inf")
        if age >= kept:
            making = self._answers.start(asked, lambda: self._make(asked, trades_per_second))
            if age >= OLDEST_KEPT * kept:
                return await asyncio.shield(making)
        self._metrics.count(NAME, "hit")
        return answer

    async def _make(self, asked: tuple[str, ...], trades_per_second: float) -> bytes:
        now = self._now()
        texts: dict[str, orjson.Fragment] = {}
        totals: Counter[str] = Counter()

        def take(symbol: str, part: Part) -> None:
            row = _row(symbol, *part, now)
            totals.update(_counts(row))
            texts[symbol] = orjson.Fragment(orjson.dumps(row, option=orjson.OPT_UTC_Z))

        for number, symbol in enumerate(asked, start=1):
            if (part := self._from_memory(symbol)) is not None:
                take(symbol, part)
                self._metrics.count(NAME, "hit")
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
        cold = [symbol for symbol in asked if symbol not in texts]
        for symbol, part in zip(cold, await asyncio.gather(*map(self._fetched, cold)), strict=True):
            take(symbol, part)
        body = {
            "symbols": [texts[symbol] for symbol in asked],
            "totals": {name: totals[name] for name in COUNTED} | {"trades_per_second": trades_per_second},
            "time": to_datetime(now),
        }
        answer = orjson.dumps(body, option=orjson.OPT_UTC_Z)
        self._made = (asked, now, answer)
        return answer

    def _from_memory(self, symbol: str) -> Part | None:
        known = self._hot.held(symbol)
        bars = self._hot.bars(symbol, "1m", POINTS) if known else None
        return None if known is None or bars is None else (known, bars)

    async def _fetched(self, symbol: str) -> Part:
        at, stored = self._stored.get(symbol, (0, None))
        age = (self._now() - at) / 1e6
        fresh = max(STORED_SECONDS, len(self._stored) / READ_AGAIN_PER_SECOND)
        if stored is not None and age < OLDEST * fresh:
            if age >= fresh:
                self._flights.start(symbol, lambda: self._read(symbol))
            self._metrics.count(NAME, "hit")
            return stored
        await self._hot.fill(symbol)
        part = self._from_memory(symbol)
        self._metrics.count(NAME, "miss" if part is None else "fill")
        if part is not None:
            return part
        return await asyncio.shield(self._flights.start(symbol, lambda: self._read(symbol)))

    async def _read(self, symbol: str) -> Part:
        async with self._slots:
            at, part = self._now(), await self._load(symbol)
        self._stored.pop(symbol, None)
        self._stored[symbol] = (at, part)
        if len(self._stored) > MAX_STORED:
            del self._stored[next(iter(self._stored))]
        return part


def _row(symbol: str, known: Known, bars: Sequence[Held], now: int) -> dict[str, Any]:
    seen = snapshot(known)
    day = seen.day.fields() if seen.day else {}
    if seen.trade is not None:
        time: int | None = seen.trade.event_time
    else:
        time = next((bar.end for bar in (*known.bars, *known.days) if bar.close is not None), None)
    age = None if time is None else max(0.0, (now - time) / 1e6)
    return {
        "symbol": symbol,
        "price": seen.last_price,
        "change": seen.change,
        "change_percent": seen.change_percent,
        "previous_close": seen.previous_close,
        "volume": day.get("volume"),
        "high": day.get("high"),
        "low": day.get("low"),
        "time": None if time is None else to_datetime(time),
        "age_seconds": age,
        "stale": age is None or age > STALE_SECONDS,
        "quality": known.bars[0].quality if known.bars else None,
        "sparkline": [bar.close for bar in reversed(bars) if bar.close is not None],
    }


def _counts(row: dict[str, Any]) -> list[str]:
    """The totals in which a line counts."""
    counted = ["symbols"]
    if (change := row["change"]) is not None:
        counted.append("up" if change > 0 else "down" if change < 0 else "unchanged")
    if row["stale"]:
        counted.append("stale")
    return counted
