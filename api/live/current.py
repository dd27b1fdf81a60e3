"""The newest bar of each symbol and interval, also of those of which the feed has brought nothing yet.

After a start, memory is empty, or knows only the new version of an old bar: then the stored bar is asked for,
where REST reads it. It takes a moment, in which the feed may bring something newer. So nobody is given the
stored bar as such: ``newest`` compares it with memory when it is used, and what it returns is not older than
anything that the feed has brought until then.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import NamedTuple

from api.cached import Flights
from api.errors import StorageUnavailable
from api.live.latest import Latest
from api.times import Now
from schemas.intervals import INTERVALS

MOST_READS = 8
"""Bars that are read at the same time, for all clients together: REST needs the storage, too."""
REMEMBERED_SECONDS = 1.0
"""What was read, or was not to be had, serves others for so long: after a restart every client asks for the
same."""
WAIT_SECONDS = 2.0
"""A snapshot waits no longer; it is sent without what has not been read by then."""

Place = tuple[str, str]
"""Symbol and interval."""


class Bar(NamedTuple):
    """A version of a bar; the greater one is newer. ``start``: microseconds since 1970 UTC; ``data``: its
    JSON as REST has it."""

    start: int
    version: int
    data: str


ReadBar = Callable[[str, str], Awaitable[Bar | None]]
"""Symbol, interval -> the newest stored bar. May raise StorageUnavailable."""


class CurrentBars:
    """Only for the event loop's thread."""

    def __init__(self, latest: Latest, now: Now, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.read: ReadBar | None = None
        """Where stored bars are read; None: nowhere."""
        self._latest = latest
        self._now = now
        self._monotonic = monotonic
        self._flights: Flights[Bar | None] = Flights()
        self._slots = asyncio.Semaphore(MOST_READS)
        self._found: dict[Place, Bar | None] = {}  # of the last moments
        self._found_since = 0.0

    def lacks(self, place: Place) -> bool:
        """Whether a stored bar may be newer than what memory has."""
        known = self._latest.candle(*place)
        return self.read is not None and (
            known is None or known.event.end + INTERVALS[place[1]] <= self._now()
        )

    async def stored(self, places: Iterable[Place]) -> dict[Place, Bar]:
        """The newest stored bars, as far as they can be had within WAIT_SECONDS."""
        self._forget()
        found: dict[Place, Bar | None] = {}
        under_way: dict[Place, asyncio.Task[Bar | None]] = {}
        for place in places:
            if place in self._found:
                found[place] = self._found[place]
            elif self.read is not None:
                under_way[place] = self._flights.start(place, partial(self._read, self.read, place))
        if under_way:
            await asyncio.wait(under_way.values(), timeout=WAIT_SECONDS)
        found |= {place: task.result() for place, task in under_way.items() if task.done()}
        return {place: bar for place, bar in found.items() if bar is not None}

    def newest(self, place: Place, stored: Bar | None) -> str | None:
        """The JSON of the newest bar: what memory has now, or what was read where that is newer."""
        known = self._latest.candle(*place)
        if known is None:
            return stored and stored.data
        if stored is None or (stored.start, stored.version) <= (known.event.start, known.event.version):
            return known.data
        return stored.data

    async def _read(self, read: ReadBar, place: Place) -> Bar | None:
        async with self._slots:
            try:
                bar = await read(*place)
            except StorageUnavailable:
                bar = None  # live data must not wait for the storage
        self._forget()
        self._found[place] = bar
        return bar

    def _forget(self) -> None:
        at = self._monotonic()
        if at - self._found_since >= REMEMBERED_SECONDS:
            self._found.clear()
            self._found_since = at
