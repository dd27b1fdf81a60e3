"""One provider as a source of the producer."""

from collections.abc import Iterator
from itertools import chain

from producer.providers.deliveries import Delivery, Notice
from producer.providers.feed import Feed
from producer.providers.handover import Taken
from producer.sources import Batch

DELAY_MS = 500
"""How far heartbeats lag the clock, unless PROVIDER_DELAY_MS says otherwise: what comes over the internet
later than this is as right, but takes a slower way."""


class ProviderSource:
    """See ``producer.sources.Source``. The clock goes on while there is no connection: so does the market."""

    def __init__(self, feed: Feed, heartbeat_us: int, delay_ms: int | None) -> None:
        """``delay_ms``: of the heartbeats; None: DELAY_MS, and what the provider is behind."""
        self._feed = feed
        self._heartbeat_us = heartbeat_us
        self._delay_us = (feed.adapter.delay_ms + DELAY_MS if delay_ms is None else delay_ms) * 1000

    @property
    def name(self) -> str:
        return self._feed.adapter.name

    @property
    def live(self) -> bool:
        return True

    @property
    def heartbeat_us(self) -> int:
        return self._heartbeat_us

    def batches(self) -> Iterator[Batch]:
        clock_us = 0
        try:
            while True:
                taken = self._feed.take(self._heartbeat_us / 2e6)
                clock_us = max(clock_us, reached_us(taken) - self._delay_us)
                yield batch_of(clock_us, taken)
        finally:
            self._feed.close()


def reached_us(taken: Taken[Delivery | Notice]) -> int:
    """Everything that was received before is taken (us); 0 where that cannot be said."""
    if taken.all:
        return taken.at_us
    received = [item.received_us for item in taken.items if isinstance(item, Delivery)]
    return received[-1] if received else 0


def batch_of(clock_us: int, taken: Taken[Delivery | Notice]) -> Batch:
    """The events of several frames as one batch."""
    parsed = [item.parsed for item in taken.items if isinstance(item, Delivery)]
    return Batch(
        clock_us,
        list(chain.from_iterable(each.trades for each in parsed)),
        list(chain.from_iterable(each.quotes for each in parsed)),
        list(chain.from_iterable(each.rejected for each in parsed)),
        corrections=list(chain.from_iterable(each.corrections for each in parsed)),
        bars=list(chain.from_iterable(each.bars for each in parsed)),
    )
