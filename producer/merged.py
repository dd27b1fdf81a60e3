"""Several live sources as one, on one thread."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from producer.clock import Clock
from producer.sources import Batch, Source

LEAST_WAIT_S = 0.002
"""Between two rounds: a source that has more to give at once does not turn this into a busy loop."""


class Turn:
    """A clock for one of several sources: it tells the time and does not wait, but remembers for how long its
    source would have liked to."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.wished_s = 0.0

    def now_us(self) -> int:
        return self._clock.now_us()

    def sleep(self, seconds: float) -> None:
        self.wished_s = seconds


class Merged:
    """Live sources that know nothing of each other and have different symbols; see ``producer.sources``.

    Each gives a batch in each round; then all wait as long as the most impatient one wants to. The clock of
    the heartbeats is that of the source furthest behind: no event is behind a heartbeat because another
    source is quicker.
    """

    def __init__(self, makers: Sequence[Callable[[Clock], Source]], clock: Clock) -> None:
        """``makers`` make a source each, with the clock that they are given."""
        self._clock = clock
        self._turns = [Turn(clock) for _ in makers]
        self._sources = [make(turn) for make, turn in zip(makers, self._turns, strict=True)]

    @property
    def name(self) -> str:
        return "+".join(source.name for source in self._sources)

    @property
    def live(self) -> bool:
        return True

    @property
    def heartbeat_us(self) -> int:
        return min(source.heartbeat_us for source in self._sources)

    def batches(self) -> Iterator[Batch]:
        running = [source.batches() for source in self._sources]
        clocks = [0] * len(running)
        while True:
            for turn in self._turns:
                turn.wished_s = 0.0
            for number, batches in enumerate(running):
                batch = next(batches)
                clocks[number] = batch.clock_us
                # 0 while one of them has seen no event yet: there is no heartbeat then.
                yield replace(batch, clock_us=min(clocks))
            most_s = self.heartbeat_us / 2e6
            self._clock.sleep(min(max(LEAST_WAIT_S, min(turn.wished_s for turn in self._turns)), most_s))
