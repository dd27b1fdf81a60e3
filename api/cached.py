"""What is expensive to get, fetched once for all who ask at the same time."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Flights(Generic[T]):
    """Of those who want the same thing at the same time the first one fetches it; the others wait for it."""

    def __init__(self) -> None:
        self._under_way: dict[Hashable, asyncio.Task[T]] = {}

    def start(self, key: Hashable, fetch: Callable[[], Coroutine[Any, Any, T]]) -> asyncio.Task[T]:
        """The task that fetches it, a new one where none is under way. Await it shielded: one client that
        goes away must not take the answer from the others."""
        task = self._under_way.get(key)
        if task is None:
            task = self._under_way[key] = asyncio.create_task(fetch())
            task.add_done_callback(lambda done: self._landed(key, done))
        return task

    def _landed(self, key: Hashable, task: asyncio.Task[T]) -> None:
        del self._under_way[key]
        if not task.cancelled():
            task.exception()  # whoever waited has got it; where all have gone away, nobody misses it


class Cached(Generic[T]):
    """``get`` gives the value that ``load`` made at most ``seconds`` ago. All who ask while it loads share
    that load, and its error; an error is not kept."""

    def __init__(
        self,
        load: Callable[[], Awaitable[T]],
        seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self._seconds = seconds
        self._monotonic = monotonic
        self._loading: asyncio.Task[T] | None = None
        self._value: tuple[T, float] | None = None

    async def get(self) -> T:
        """The value, at most ``seconds`` old; raises whatever ``load`` raises."""
        if self._value is not None and self._monotonic() < self._value[1]:
            return self._value[0]
        if self._loading is None:
            self._loading = asyncio.create_task(self._refresh())
        # Shielded: one client that goes away must not take the answer from the others.
        return await asyncio.shield(self._loading)

    async def _refresh(self) -> T:
        try:
            value = await self._load()
            self._value = (value, self._monotonic() + self._seconds)
            return value
        finally:
            self._loading = None
