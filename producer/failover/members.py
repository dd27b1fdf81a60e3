"""The sources that failover chooses from, all alike: what has come of each, and what is known of its
connections."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal, Protocol

from producer.clock import Clock
from producer.providers.contract import Parsed
from producer.providers.deliveries import Delivery, Notice
from producer.providers.feed import Feed
from producer.providers.handover import Taken
from producer.providers.source import DELAY_MS, reached_us
from producer.sources import Batch, Source

Arrived = Taken[Delivery | Notice]


class Member(Protocol):
    """One of several sources. ``behind_us``: how far behind the market it is by its own account;
    ``delay_us``: how far heartbeats lag the clock while it is followed."""

    name: str
    kind: Literal["trades", "quotes"]
    behind_us: int
    delay_us: int

    def take(self, timeout_s: float) -> tuple[Arrived, int]:
        """What has come, and until when nothing more is to come (us; 0: that cannot be said). Waits for at
        most about ``timeout_s``. Raises TickstreamError where nothing will come any more."""

    def close(self) -> None: ...


class ProviderMember:
    """A provider with its connections."""

    def __init__(self, feed: Feed, delay_ms: int | None, left_out: Notice | None = None) -> None:
        """``delay_ms``: of the heartbeats; None: DELAY_MS, and what the provider is behind. ``left_out``: the
        symbols that it is not asked for."""
        self._feed = feed
        self._left_out = left_out
        self.name = feed.adapter.name
        self.kind = feed.adapter.kind
        self.behind_us = feed.adapter.delay_ms * 1000
        self.delay_us = self.behind_us + DELAY_MS * 1000 if delay_ms is None else delay_ms * 1000

    def take(self, timeout_s: float) -> tuple[Arrived, int]:
        taken = self._feed.take(timeout_s)
        if self._left_out is not None:
            taken = replace(taken, items=[self._left_out, *taken.items])
            self._left_out = None
        return taken, reached_us(taken)

    def close(self) -> None:
        self._feed.close()


class SourceMember:
    """A source without connections, such as the simulator: there as soon as it is asked."""

    kind: Literal["trades", "quotes"] = "trades"
    behind_us = 0
    delay_us = 0  # the source's own clock has it already

    def __init__(self, source: Source, symbols: tuple[str, ...], clock: Clock) -> None:
        self.name = source.name
        self._source = source
        self._symbols = symbols
        self._clock = clock
        self._batches: Iterator[Batch] | None = None

    def take(self, timeout_s: float) -> tuple[Arrived, int]:  # noqa: ARG002 -- it waits as it sees fit
        items: list[Delivery | Notice] = []
        if self._batches is None:
            self._batches = self._source.batches()
            items.append(Notice("connected", self.name, self._symbols, self._clock.now_us()))
        batch = next(self._batches)
        now_us = self._clock.now_us()
        items += [
            Notice("shed", self.name, (gap.symbol,), gap.end, detail=gap.detail, since_us=gap.start)
            for gap in batch.gaps
        ]
        parts = batch.trades, batch.quotes, batch.corrections, batch.rejected
        items.append(Delivery(now_us, Parsed(sum(map(len, parts)), *parts)))
        return Taken(items, True, now_us), batch.clock_us

    def close(self) -> None:
        """It ends with the process."""
