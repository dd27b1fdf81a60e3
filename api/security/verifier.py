"""Keys verified without asking the storage each time."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from api.errors import InvalidKey, StorageUnavailable
from api.metrics import SecurityMetrics
from api.security.keys import ApiKey, id_of
from api.times import Now

Load = Callable[[str], Awaitable[ApiKey | None]]
LOOKUP_SECONDS = 1.0
"""How long a request waits for its key, less than for data: while Cassandra hangs, known keys must go on."""
MOST_KNOWN = 10_000
MOST_UNKNOWN = 10_000
"""Ids that are remembered, those that there are and those that there are not apart: made-up ids push out
nobody else's key. The one that was used longest ago goes first."""


@dataclass(slots=True)
class Entry:
    """What the storage said last; ``until`` when it need not be asked again, by the monotonic clock."""

    key: ApiKey | None
    until: float


class KeyVerifier:
    """``verify`` turns the text of a key into the key. An answer of the storage is good for ``seconds``;
    while the storage is away, known keys go on and all others are refused with StorageUnavailable."""

    def __init__(
        self,
        load: Load,
        seconds: float,
        metrics: SecurityMetrics,
        now: Now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self._seconds = seconds
        self._metrics = metrics
        self._now = now
        self._monotonic = monotonic
        self._known: OrderedDict[str, Entry] = OrderedDict()
        self._unknown: OrderedDict[str, Entry] = OrderedDict()
        self._loading: dict[str, asyncio.Task[Entry]] = {}

    def cached(self, text: str) -> ApiKey | None:
        """The key, where it is valid and the storage need not be asked."""
        entry = self._good(text)
        if entry is None or entry.key is None or entry.until <= self._monotonic():
            return None
        if entry.key.state(self._now()) != "active":
            return None
        self._metrics.lookups_cached.inc()
        return entry.key

    def was_good(self, text: str) -> bool:
        """Whether it is a key that was valid when the storage was asked last."""
        return self._good(text) is not None

    async def verify(self, text: str) -> ApiKey:
        """The key that ``text`` is; raises InvalidKey or StorageUnavailable."""
        key_id = id_of(text)
        if key_id is None:
            raise InvalidKey("that is no API key: keys look like ts_<id>_<secret>")
        key = (await self._entry(key_id)).key
        if key is None or not key.belongs_to(text):
            raise InvalidKey("there is no such API key")
        state = key.state(self._now())
        if state != "active":  # only who has the key learns that there was one
            raise InvalidKey(f"API key {key_id} is {state}: make another one")
        return key

    async def is_active(self, key_id: str, sooner: float = 0.0) -> bool:
        """Whether a key that was valid before still is; so it is while the storage cannot tell. It is asked
        ``sooner`` seconds before what it said last is too old."""
        try:
            key = (await self._entry(key_id, sooner)).key
        except StorageUnavailable:
            return True
        return key is not None and key.state(self._now()) == "active"

    def _good(self, text: str) -> Entry | None:
        """What the storage has said of a key that is as it knows it, however long ago."""
        key_id = id_of(text)
        entry = self._known.get(key_id) if key_id is not None else None
        return entry if entry is not None and entry.key is not None and entry.key.belongs_to(text) else None

    async def _entry(self, key_id: str, sooner: float = 0.0) -> Entry:
        """What is known of an id, asked for anew where that is too old."""
        for cache in (self._known, self._unknown):
            entry = cache.get(key_id)
            if entry is not None and self._monotonic() < entry.until - sooner:
                cache.move_to_end(key_id)
                self._metrics.lookups_cached.inc()
                return entry
        if key_id not in self._loading:
            self._loading[key_id] = asyncio.create_task(self._refresh(key_id))
        # Shielded: a client that goes away must not take the answer from the others.
        return await asyncio.shield(self._loading[key_id])

    async def _refresh(self, key_id: str) -> Entry:
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                key = await self._load(key_id)
        except (StorageUnavailable, TimeoutError) as error:
            self._metrics.lookups_failed.inc()
            before = self._known.get(key_id)
            if before is not None:
                before.until = self._monotonic() + self._seconds
                return before
            if isinstance(error, StorageUnavailable):
                raise
            raise StorageUnavailable(f"no answer within {LOOKUP_SECONDS:g} s") from None
        finally:
            del self._loading[key_id]
        return self._remember(key_id, key)

    def _remember(self, key_id: str, key: ApiKey | None) -> Entry:
        entry = Entry(key, self._monotonic() + self._seconds)
        cache, other, most = (
            (self._unknown, self._known, MOST_UNKNOWN)
            if key is None
            else (self._known, self._unknown, MOST_KNOWN)
        )
        (self._metrics.lookups_unknown if key is None else self._metrics.lookups_found).inc()
        other.pop(key_id, None)
        cache[key_id] = entry
        cache.move_to_end(key_id)
        while len(cache) > most:
            cache.popitem(last=False)
        return entry
