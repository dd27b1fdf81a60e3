"""Bars as they were known at a time.

The gold tables have the newest version of each bar, ``candle_versions`` every one that gold ever had. A
version is known from its ``updated_at`` on, our clock when it was made; of those known at a time, the
greatest is what gold held then, live or final, of whatever generation. So a bar that has not changed since is
read from gold alone, and only of the others the versions are looked through: those that were growing then, or
were revised, rebuilt or replayed later.

Live versions of a minute are stored at most once in LIVE_EVERY_MS, of a longer bar more seldom, final ones
always.
"""

import asyncio
from typing import NamedTuple

from api.database import Database
from api.errors import AsOfTooOld
from api.models import Candle
from api.store import CANDLE_COLUMNS, Span, Store, to_candle
from api.times import Now, to_datetime, to_micros
from schemas.intervals import INTERVALS
from schemas.topics import MAX_CLOCK_AHEAD_MS

LOOKUPS_AT_ONCE = 8
"""Bars of one page whose versions are looked through at the same time; each is one partition."""
MAX_BARS = 5_000
"""Bars looked at for one page: where so many did not exist yet, as before a replay, the page ends."""
MOST_BARS_AT_ONCE = 1_001
"""Ever more bars are read at once while none of them existed yet."""
LONGEST = {"4h": 5 * INTERVALS["1h"], "1d": 25 * INTERVALS["1h"]}
"""Bars that can be longer than their name says, on the days on which the clock changes."""
KNOWN_THEN = (
    "symbol = ? AND interval = ? AND day = ? AND start = ? AND updated_at <= ? LIMIT 1 ALLOW FILTERING"
)
"""Within one bar, the greatest version first: filtering ends at the first that was known."""


def statements(keyspace: str) -> dict[str, str]:
    """Every query of versions by the name that the metrics give it."""
    table = f"{keyspace}.candle_versions"
    return {
        name: f"SELECT {columns} FROM {table} WHERE {KNOWN_THEN}"  # noqa: S608 -- no value of a user
        for name, columns in (
            ("known_candle", CANDLE_COLUMNS),
            ("known_indicators", f"{CANDLE_COLUMNS}, indicators"),
        )
    }


class KnownBars(NamedTuple):
    """Bars, newest first, and where to go on: with those that start before ``more``; None: there are none."""

    bars: list[Candle]
    more: int | None


class AsOfStore:
    """Reads what was known. Times in microseconds since 1970 UTC. Raises StorageUnavailable."""

    def __init__(
        self, database: Database, store: Store, ttl_days: int, settled_seconds: int, now: Now
    ) -> None:
        self._database = database
        self._store = store
        self._ttl_days = ttl_days
        self._margin = settled_seconds * 1_000_000
        self._now = now

    def moment(self, asked: int, interval: str) -> int:
        """The time asked for, now where it is later; raises AsOfTooOld where versions of before it may have
        expired.

        A bar that grew then has versions from its start on, so they reach back by its length less than they
        are kept; and by the time within which a final bar may be corrected.
        """
        now = self._now()
        length = LONGEST.get(interval, INTERVALS[interval])
        oldest = min(now, now - self._ttl_days * INTERVALS["1d"] + length + self._margin)
        if asked < oldest:
            since = to_datetime(oldest).isoformat(timespec="seconds").replace("+00:00", "Z")
            raise AsOfTooOld(interval, self._ttl_days, since)
        return min(asked, now)

    async def bars(  # noqa: PLR0913 -- what Store.candles takes, and the time
        self, symbol: str, interval: str, span: Span, limit: int, as_of: int, *, indicators: bool
    ) -> KnownBars:
        """The newest ``limit`` bars of ``span`` that existed at ``as_of``, each as it was then. Fewer,
        although more may follow, where MAX_BARS have been looked at."""
        # No clock is so far ahead that a later bar can have had a trade by then.
        end = min(span.end, as_of + MAX_CLOCK_AHEAD_MS * 1000 + 1)
        found: list[Candle] = []
        looked_at, count = 0, limit + 1
        while looked_at < MAX_BARS:
            newest = await self._store.candles(
                symbol, interval, Span(span.start, end), count, indicators=indicators
            )
            for first in range(0, len(newest), LOOKUPS_AT_ONCE):
                some = newest[first : first + LOOKUPS_AT_ONCE]
                known = await asyncio.gather(
                    *(self._known(bar, as_of, indicators=indicators) for bar in some)
                )
                found += (bar for bar in known if bar is not None)
                if len(found) > limit:
                    return KnownBars(found[:limit], to_micros(found[limit - 1].start))
            if len(newest) < count:
                return KnownBars(found, None)
            end = to_micros(newest[-1].start)
            looked_at += count
            count = min(2 * count, MOST_BARS_AT_ONCE)
        return KnownBars(found, end)

    async def _known(self, bar: Candle, as_of: int, *, indicators: bool) -> Candle | None:
        """The greatest version that was known; ``bar`` is the newest there is."""
        # A bar of an earlier release, which recorded no time: it was made when it was over.
        made = bar.end if bar.updated_at is None else bar.updated_at
        if to_micros(made) <= as_of:
            return bar
        rows = await self._database.query(
            "known_indicators" if indicators else "known_candle",
            (bar.symbol, bar.interval, bar.start.date(), bar.start, as_of),
        )
        return to_candle(bar.symbol, bar.interval, rows[0]) if rows else None
