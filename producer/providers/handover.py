"""From the loop that reads to the thread that publishes."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Taken(Generic[T]):
    """``items`` in their order. ``all``: at ``at_us`` there was nothing more."""

    items: list[T]
    all: bool
    at_us: int


class Handover(Generic[T]):
    """A queue of at most ``capacity``, in the weight of its items. When it is full ``put`` waits, so that
    nothing more is read from the network and the sender has to wait: nothing is thrown away here."""

    def __init__(self, capacity: int, now_us: Callable[[], int], waits: Callable[[], None]) -> None:
        """``waits`` is called each time that somebody has to."""
        self._capacity = capacity
        self._waits = waits
        self._now_us = now_us
        self._items: deque[tuple[int, T]] = deque()
        self._weight = 0
        self._filled = threading.Condition()
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
        self._closed = False

    @property
    def weight(self) -> int:
        """How much is waiting."""
        return self._weight

    async def put(self, item: T, weight: int = 1) -> None:
        """Adds an item; waits while there is no room. One that is heavier than the queue goes in alone."""
        waited = False
        while not self._put(item, weight, room := asyncio.Event()):
            if not waited:
                self._waits()
            waited = True
            await room.wait()

    def _put(self, item: T, weight: int, room: asyncio.Event) -> bool:
        with self._filled:
            if self._items and self._weight + weight > self._capacity:
                self._waiting.append((asyncio.get_running_loop(), room))
                return False
            self._items.append((weight, item))
            self._weight += weight
            self._filled.notify()
            return True

    def take(self, timeout_s: float, most: int) -> Taken[T]:
        """The items that are there, up to the weight ``most`` or the first one; waits for one for at most
        ``timeout_s``. For another thread."""
        with self._filled:
            self._filled.wait_for(lambda: self._items or self._closed, timeout_s)
            at_us = self._now_us()
            taken: list[T] = []
            weight = 0
            while self._items and (not taken or weight + self._items[0][0] <= most):
                one, item = self._items.popleft()
                weight += one
                taken.append(item)
            self._weight -= weight
            waiting, self._waiting = self._waiting, []
            everything = not self._items and not waiting
        for loop, room in waiting:
            if not loop.is_closed():
                loop.call_soon_threadsafe(room.set)
        return Taken(taken, everything, at_us)

    def close(self) -> None:
        """Nothing more will come: nobody waits for it."""
        with self._filled:
            self._closed = True
            self._filled.notify()
