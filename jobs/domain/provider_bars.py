"""The bars of a provider, one series for each symbol, provider and interval: in the order of their time, each
with the indicators that the bars before it give. They never meet bars of ours.

The newest bars of a series are held. One that comes again with other values, or fills a hole among them, is
published at once, and the bars after it anew soon: ``publish_from`` says which, so that a hundred bars of a
backfill do not publish what follows them a hundred times. A bar that says the same again changes nothing. One
from before those that are held is handed on as it is, without indicators; but a history from before all that
a series ever had, such as a backfill brings, is a series of its own (``takes``).

``version`` of a bar = greatest ``received_at`` of the bars of its series up to it + their number. It depends
on these bars alone, and grows when one of them comes or is received anew.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import msgpack

from jobs.domain.context import Market
from jobs.domain.indicator_cache import IndicatorCache
from jobs.domain.indicators import BarValues, State
from schemas.events import ProviderBar

MOST_BARS = 400
"""Held of a series: a regular session of minutes. A bar takes up to 95 bytes of state."""
BARS_LEFT = 300
"""When there are more, so many stay: the indicators are made anew from the first of them, so rarely."""

LAYOUT = 1
NOTHING = -1
"""Where there is no time, of the microseconds since 1970."""


class HeldBar(NamedTuple):
    """The fields of a ProviderBar that differ within a series."""

    start: int
    end: int
    received_at: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    vwap: float | None
    trades: int | None
    final: bool

    def says_the_same(self, other: "HeldBar") -> bool:
        """Whether they differ in nothing but when they were received."""
        return self == other._replace(received_at=self.received_at)


@dataclass(slots=True)
class ProviderSeries:
    """One series."""

    symbol: str
    source: str
    interval: str
    bars: list[HeldBar] = field(default_factory=list)
    """Ascending."""
    dropped: int = 0
    """How many bars came before them."""
    dropped_until: int = NOTHING
    """Start of the last of those."""
    dropped_received: int = NOTHING
    """The greatest ``received_at`` of those."""
    indicators: bytes | None = None
    """Their state after those."""
    publish_from: int = NOTHING
    """The bars that start here or later are to be published anew."""
    began: int = NOTHING
    """Start of the earliest bar that it ever had."""

    @property
    def is_due(self) -> bool:
        """Whether bars are to be published anew."""
        return self.publish_from != NOTHING

    def takes(self, start: int) -> bool:
        """Whether a bar that starts then belongs here; not where it is of a history that came too late to be
        put before bars that are dropped."""
        return not self.dropped or start >= self.began

    def add(self, bar: ProviderBar, market: Market, cache: IndicatorCache) -> list[ProviderBar]:
        """Takes in a bar of this series; returns what is to be published now."""
        if bar.start <= self.dropped_until:
            return [self._published(_held(bar), bar.received_at, {})]
        new = _held(bar)
        at = bisect_left(self.bars, new.start, key=_start)
        if at < len(self.bars) and self.bars[at].start == new.start:
            old = self.bars[at]
            if new.received_at < old.received_at or new.says_the_same(old):
                return []
            self.bars[at] = new
        else:
            self.bars.insert(at, new)
            self.began = new.start if self.began == NOTHING else min(self.began, new.start)
        if at + 1 < len(self.bars):
            after = self.bars[at + 1].start
            self.publish_from = min(self.publish_from, after) if self.is_due else after
        published = list(self._with_indicators(at, at + 1, market, cache))
        if len(self.bars) > MOST_BARS:
            published += self._drop(market, cache)
        return published

    def publish_due(self, market: Market, cache: IndicatorCache, most: int) -> list[ProviderBar]:
        """The bars that are to be published anew, ``most`` at most; those further on stay as they are."""
        if not self.is_due:
            return []
        first = bisect_left(self.bars, self.publish_from, key=_start)
        self.publish_from = NOTHING
        return list(self._with_indicators(first, min(len(self.bars), first + most), market, cache))

    def _drop(self, market: Market, cache: IndicatorCache) -> list[ProviderBar]:
        """Drops the oldest bars; returns those of them that were to be published anew."""
        count = len(self.bars) - BARS_LEFT
        published = []
        if self.is_due:
            first = bisect_left(self.bars, self.publish_from, key=_start)
            published = list(self._with_indicators(first, count, market, cache))
        state = market.indicators.copy(self._state_before(count, market, cache))
        self.dropped_received = self._received_before(count)
        self.dropped_until = self.bars[count - 1].start
        self.dropped += count
        del self.bars[:count]
        self.indicators = market.indicators.dump(state)
        return published

    def _with_indicators(
        self, first: int, last: int, market: Market, cache: IndicatorCache
    ) -> Iterator[ProviderBar]:
        """The bars ``first`` until ``last`` as they are to be published."""
        if first >= last:
            return
        state = market.indicators.copy(self._state_before(first, market, cache))
        received = self._received_before(first)
        for at in range(first, last):
            bar = self.bars[at]
            received = max(received, bar.received_at)
            values = _values(bar, market)
            version = received + self.dropped + at + 1
            yield self._published(bar, version, market.indicators.values(state, values))
            market.indicators.advance(state, values)

    def _state_before(self, place: int, market: Market, cache: IndicatorCache) -> State:
        """The indicators' state after all bars before a place; not to be advanced."""
        name, basis = f"{self.symbol} {self.source}", self._basis(place, market)
        state = cache.get(name, self.interval, basis)
        if state is not None:
            return state
        indicators, first = market.indicators, max(0, place - 1)
        before = cache.get(name, self.interval, self._basis(first, market))
        if before is not None:
            state = indicators.copy(before)
        else:
            data, first = self.indicators, 0
            state = indicators.load(data if data is not None and indicators.belongs(data) else None)
        for bar in self.bars[first:place]:
            indicators.advance(state, _values(bar, market))
        cache.put(name, self.interval, basis, state)
        return state

    def _basis(self, place: int, market: Market) -> object:
        """What the state before a place is made of, as a digest: the bars themselves would take more memory
        than the state."""
        made_of = (self.indicators, self.bars[:place])
        return market.indicators.names, hashlib.blake2b(msgpack.packb(made_of), digest_size=16).digest()

    def _received_before(self, place: int) -> int:
        return max((bar.received_at for bar in self.bars[:place]), default=NOTHING)

    def _published(self, bar: HeldBar, version: int, indicators: dict[str, float]) -> ProviderBar:
        return ProviderBar(
            symbol=self.symbol,
            source=self.source,
            interval=self.interval,
            version=version,
            indicators=indicators,
            **bar._asdict(),
        )


def load(symbol: str, source: str, interval: str, data: bytes | None) -> ProviderSeries:
    """The series of these bytes; an empty one for None. Raises ValueError for an unknown layout."""
    if data is None:
        return ProviderSeries(symbol, source, interval)
    layout, *fields = msgpack.unpackb(data, use_list=False)
    if layout != LAYOUT:
        raise ValueError(f"state layout {layout} cannot be read by this version (it reads {LAYOUT})")
    bars, *others = fields
    return ProviderSeries(symbol, source, interval, [HeldBar._make(bar) for bar in bars], *others)


def dump(series: ProviderSeries) -> bytes:
    """The state's bytes: [1, bars, and the other fields of the series in their order], as MessagePack."""
    state = (
        LAYOUT, series.bars, series.dropped, series.dropped_until, series.dropped_received, series.indicators,
        series.publish_from, series.began,
    )  # fmt: skip
    packed: bytes = msgpack.packb(state)
    return packed


def _held(bar: ProviderBar) -> HeldBar:
    return HeldBar(*(getattr(bar, name) for name in HeldBar._fields))


def _values(bar: HeldBar, market: Market) -> BarValues:
    session = market.calendar.trading_day(bar.end - 1)
    return BarValues(bar.high, bar.low, bar.close, bar.volume, session)


def _start(bar: HeldBar) -> int:
    return bar.start
