"""Answers of a provider for as long as they are good."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from cachetools import TTLCache

from api.cached import Flights
from api.errors import LookupUnavailable
from api.metrics import CacheMetrics

T = TypeVar("T")

MOST = 10_000
"""Answers of a kind; beyond, those that were used longest ago are forgotten."""


class Remembered(Generic[T]):
    """One request for all who ask for the same at the same time; the answer is good for ``seconds``, that
    there is none, or a failure, for ``failed_seconds``. Only for the event loop's thread."""

    def __init__(  # noqa: PLR0913, PLR0917
        self,
        name: str,
        ask: Callable[[str], Coroutine[Any, Any, T | None]],
        seconds: float,
        failed_seconds: float,
        metrics: CacheMetrics,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """``ask``: asks the provider; None where it knows nothing of the key. Raises LookupUnavailable."""
        self._name = name
        self._ask = ask
        self._metrics = metrics
        self._known: TTLCache[str, T] = TTLCache(MOST, seconds, timer=monotonic)
        self._unknown: TTLCache[str, LookupUnavailable | None] = TTLCache(
            MOST, failed_seconds, timer=monotonic
        )
        self._flights: Flights[T | None] = Flights()
        metrics.entries.labels(name).set_function(lambda: len(self._known))

    @property
    def entries(self) -> int:
        """Answers that are held."""
        return len(self._known)

    async def get(self, key: str) -> T | None:
        """The answer; None where the provider knows none. Raises LookupUnavailable."""
        found = self._known.get(key)
        if found is not None:
            self._metrics.count(self._name, "hit")
            return found
        if key in self._unknown:
            failure = self._unknown.get(key)
            self._metrics.count(self._name, "hit")
            if failure is not None:
                raise LookupUnavailable(failure.provider, failure.why, failure.retry_after_s)
            return None
        self._metrics.count(self._name, "fill")
        return await asyncio.shield(self._flights.start(key, lambda: self._fetch(key)))

    async def _fetch(self, key: str) -> T | None:
        try:
            found = await self._ask(key)
        except LookupUnavailable as failure:
            self._metrics.fills.labels(self._name, "failed").inc()
            self._unknown[key] = failure
            raise
        self._metrics.fills.labels(self._name, "ok").inc()
        if found is None:
            self._unknown[key] = None
        else:
            self._known[key] = found
        return found
