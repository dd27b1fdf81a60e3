"""The desk that every live batch passes on its way to Kafka: orders are obeyed and events counted here."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar, cast

import structlog

from producer.failover.holes import Holes, Missed
from producer.runtime import Runtime
from producer.sources import Batch, Columns, Following, Source
from producer.streams.orders import Ordered
from producer.streams.tallies import Tallies
from schemas.events import Correction, Quote, Trade
from schemas.intervals import INTERVALS

log = structlog.get_logger()

LOOK_EVERY_US = 100_000
"""Between two looks at the orders."""
RETOLD_US = 7 * INTERVALS["1d"]
"""A stop that is older than this is recorded from this long ago on, when the producer starts: what was before
is on record already."""
DETAIL = "stopped by order"

EventT = TypeVar("EventT", Trade, Correction, Quote)


class Orders(Protocol):
    """See ``StreamOrders``."""

    def catch_up(self) -> list[Ordered]: ...

    def poll(self) -> list[Ordered]: ...


class StreamDesk:
    """Stops and starts symbols by order. What is dated after a stop is not published, whatever the source
    still sends; the time until the start is a hole in the record, with the reason ``stopped``. For the thread
    that publishes."""

    def __init__(self, source: Source, orders: Orders, symbols: Iterable[str], runtime: Runtime) -> None:
        self._source = source
        self._orders = orders
        self.symbols = tuple(symbols)
        self._symbols = frozenset(self.symbols)
        self._clock = runtime.clock
        self._metrics = runtime.metrics
        self._stopped = runtime.stopped
        self._holes = Holes()
        self._looked_us = 0
        self.tallies = Tallies()

    def open(self) -> None:
        """Obeys what was ordered before. Raises UnavailableError."""
        since: dict[str, int] = {}
        ended: dict[str, tuple[int, int]] = {}
        for order, at_us in self._orders.catch_up():
            if not order.stopped and order.symbol in since:
                ended[order.symbol] = since.pop(order.symbol), at_us
            elif order.stopped and order.symbol in self._symbols:
                since.setdefault(order.symbol, at_us)
        now_us = self._clock.now_us()
        hour = INTERVALS["1h"]
        earliest = (now_us - RETOLD_US) // hour * hour
        since = {symbol: min(at_us, now_us) - self._followed(symbol)[1] for symbol, at_us in since.items()}
        self._set(since)
        for symbol, (stopped_us, started_us) in ended.items():
            # Perhaps nobody was there to record its end; if somebody was, that record is the greater one.
            if earliest < stopped_us < started_us <= now_us:
                behind_us = self._followed(symbol)[1]
                self._open(symbol, stopped_us - behind_us, now_us)
                self._holes.close(symbol, started_us - behind_us, now_us)
        for symbol, start_us in since.items():
            self._open(symbol, max(start_us, earliest), now_us)
        if since:
            log.warning("streams_stopped", symbols=sorted(since))

    def pass_on(self, batch: Batch, gate: Callable[[Batch], Batch]) -> Batch:
        """What of the batch is to be published, and what is to be recorded."""
        now_us = self._clock.now_us()
        if now_us - self._looked_us >= LOOK_EVERY_US:
            self._looked_us = now_us
            self._obey(self._orders.poll(), now_us)
            for symbol in self._stopped.since:
                self._holes.extend(symbol, now_us - self._followed(symbol)[1], now_us)
        if self._stopped.since:
            batch = _before(batch, self._stopped.since)
        passed = gate(batch)
        self.tallies.passed(batch, passed, now_us)
        gaps = (*passed.gaps, *self._holes.drain())
        for gap in gaps:
            self._metrics.gaps.labels(gap.reason).inc()
        return replace(passed, gaps=gaps) if gaps else passed

    def _obey(self, ordered: Iterable[Ordered], now_us: int) -> None:
        for order, at_us in ordered:
            symbol, since = order.symbol, dict(self._stopped.since)
            if symbol not in self._symbols or order.stopped == (symbol in since):
                continue
            behind_us = self._followed(symbol)[1]
            if order.stopped:
                since[symbol] = min(at_us, now_us) - behind_us
                self._open(symbol, since[symbol], now_us)
            else:
                del since[symbol]
                self._holes.close(symbol, now_us - behind_us, now_us)
            self._set(since)
            log.warning("stream_stopped" if order.stopped else "stream_started", symbol=symbol)

    def _set(self, since: Mapping[str, int]) -> None:
        self._stopped.set(since)
        self._metrics.stopped_streams.set(len(since))

    def followed(self, symbol: str) -> str:
        """The source of the symbol."""
        return self._followed(symbol)[0]

    def _followed(self, symbol: str) -> tuple[str, int]:
        source = self._source
        return source.followed(symbol) if isinstance(source, Following) else (source.name, 0)

    def _open(self, symbol: str, start_us: int, now_us: int) -> None:
        """In the name of the preferred source: so the record is the same one after a restart."""
        name = self._source.name.split(",")[0]
        self._holes.open(Missed(symbol, name, start_us, start_us, "stopped", DETAIL), now_us)


def _before(batch: Batch, since: Mapping[str, int]) -> Batch:
    return replace(
        batch,
        trades=_kept(batch.trades, since),
        quotes=_kept(batch.quotes, since),
        corrections=_kept(batch.corrections, since),
        bars=[bar for bar in batch.bars if bar.symbol not in since or bar.start < since[bar.symbol]],
    )


def _kept(events: Sequence[EventT], since: Mapping[str, int]) -> Sequence[EventT]:
    if isinstance(events, Columns):
        return cast(Sequence[EventT], events.before(since))
    return [event for event in events if event.symbol not in since or event.event_time < since[event.symbol]]
