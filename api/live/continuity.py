"""Whether what the feed has handed over is all there was, and how far it has got.

Written by the feed's thread, read by the event loop: every attribute is replaced as a whole.
"""

import time
from collections.abc import Callable

from api.times import Now

CURRENT_SECONDS = 5.0
"""The feed is current while the newest record of every partition of trades is not older. The producer writes
a heartbeat to each of them several times a second, so a partition that is silent is not read, or no producer
runs; either way memory proves nothing."""

Place = tuple[str, int]
"""Topic and partition."""


class Continuity:
    """``epoch`` grows with every interruption: whoever collects events must begin anew."""

    def __init__(self, now: Now, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.now = now
        self.monotonic = monotonic
        self.epoch = 0
        self.since = monotonic()
        """Monotonic time of the last interruption."""
        self.positions: dict[Place, int] = {}
        """The offset that comes next, of every partition that is read."""
        self.connected = False
        self._clocks: dict[int, int] = {}

    def begin(self, clocks: set[int]) -> None:
        """Partitions were assigned, each from its end on; ``clocks``: the partitions of trades among them."""
        self._clocks = dict.fromkeys(clocks, 0) | self._clocks
        self.interrupt()

    def interrupt(self) -> None:
        """Something may have been missed."""
        self.since = self.monotonic()
        self.epoch += 1

    def ticked(self, partition: int, timestamp_ms: int) -> None:
        """Everything up to a record of trades, a heartbeat too, has been handed over."""
        self._clocks[partition] = timestamp_ms

    def is_current(self) -> bool:
        """Whether the feed is connected and no more than moments behind."""
        oldest = min(self._clocks.copy().values(), default=0)
        return self.connected and self.now() - oldest * 1000 <= CURRENT_SECONDS * 1e6
