"""What was measured lately, in bounded memory: percentiles and rates for ``/api/v1/stats``.

Prometheus keeps the history; these answer without it. Writing is one append, from any thread.
"""

import math
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import NamedTuple

SAMPLES = 4_096
"""Newest values that are kept of each kind."""
SAMPLE_SECONDS = 300.0
RATE_SECONDS = 10


class Percentiles(NamedTuple):
    """Of so many ``values``, nearest rank."""

    values: int
    p50: float
    p95: float
    p99: float
    max: float


class Recent:
    """The newest SAMPLES values of the last SAMPLE_SECONDS."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._values: deque[tuple[float, float]] = deque(maxlen=SAMPLES)

    def add(self, value: float) -> None:
        """Remembers a value."""
        self._values.append((self._monotonic(), value))

    def percentiles(self) -> Percentiles | None:
        """None: there was nothing lately."""
        since = self._monotonic() - SAMPLE_SECONDS
        values = sorted(value for at, value in self._values.copy() if at >= since)
        if not values:
            return None

        def rank(share: float) -> float:
            return values[math.ceil(share * len(values)) - 1]

        return Percentiles(len(values), rank(0.5), rank(0.95), rank(0.99), values[-1])


class Rates:
    """How many of each kind came a second, over the last RATE_SECONDS whole seconds. Kinds are few."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._seconds: deque[tuple[int, Counter[str]]] = deque(maxlen=RATE_SECONDS + 1)
        self._since = int(monotonic())

    def add(self, kind: str, count: int = 1) -> None:
        """Counts; only from one thread."""
        second = int(self._monotonic())
        if not self._seconds or self._seconds[-1][0] != second:
            self._seconds.append((second, Counter()))
        self._seconds[-1][1][kind] += count

    def per_second(self) -> dict[str, float]:
        """By kind; those of which nothing came lately are absent."""
        now = int(self._monotonic())
        whole = min(RATE_SECONDS, now - self._since)
        total: Counter[str] = Counter()
        for second, counts in self._seconds.copy():
            if now - whole <= second < now:
                total.update(counts)
        return {kind: count / whole for kind, count in total.items()}
