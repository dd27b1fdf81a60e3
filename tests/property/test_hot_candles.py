"""Whatever the order of publishing, storing, feeding, gaps and reads: bars from memory are never behind those
of the store that the feed has passed, and none is missing."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.hot import bars, candles
from api.hot.candles import SETTLE_SECONDS
from api.store import Span
from schemas.events import Candle
from schemas.intervals import MINUTE_US
from tests.unit.api.hot.market import ALL, Market
from tests.unit.api.live.events import NOON, candle

WAITS = (1, 2, 4, 7, 130)
STEPS = st.tuples(
    st.sampled_from(
        ("publish",) * 6 + ("feed",) * 4 + ("store",) * 3 + ("read",) * 6 + ("wait",) * 2
        + ("slow_read", "finish", "gap")
    ),
    st.integers(0, 7),
    st.integers(-6, 6),
)  # fmt: skip
"""What happens, and two numbers that say how."""


class Log:
    """The topic, and how far feed and store have got. Nothing takes longer to the store than it may."""

    def __init__(self) -> None:
        self.market = Market(max_bars=40)
        self.bars: list[tuple[float, Candle]] = []
        self.fed = self.stored = 0
        self.events = 0
        self.readings: list[asyncio.Task[None]] = []

    def publish(self, events: int, minute: int) -> None:
        self.events += events + 1
        self.bars.append((self.market.seconds, candle(self.events * 2, bar=minute)))

    def feed(self, count: int, _: int) -> None:
        for _at, bar in self.bars[self.fed : self.fed + count]:
            self.market.feed(bar)
        self.fed = min(len(self.bars), self.fed + count)

    def store(self, count: int, _: int) -> None:
        for _at, bar in self.bars[self.stored : self.stored + count]:
            self.market.store(bar)
        self.stored = min(len(self.bars), self.stored + count)

    def gap(self, count: int, _: int) -> None:
        """The feed loses records, and knows."""
        self.market.continuity.interrupt()
        self.fed = min(len(self.bars), self.fed + count)

    def wait(self, which: int, _: int) -> None:
        for _second in range(WAITS[which % len(WAITS)]):
            self.market.wait(1)
            while self.stored < len(self.bars) and (
                self.bars[self.stored][0] <= self.market.seconds - SETTLE_SECONDS
            ):
                self.store(1, 0)

    def must(self) -> dict[int, int]:
        """Start -> version that an answer has to reach: what both the store and the feed have."""
        known: dict[int, int] = {}
        for _, bar in self.bars[: min(self.fed, self.stored)]:
            known[bar.start] = max(bar.version, known.get(bar.start, 0))
        return known

    async def read(self, limit: int, low: int) -> None:
        limit, span = limit + 1, Span(0 if low > 0 else NOON + low * MINUTE_US, ALL.end)
        must = self.must()  # as of the question: what comes while it is answered may be in it or not
        held = await self.market.cache.page("AAPL", "1m", span, limit)
        if held is None:
            return
        answer = {bar.start: bar.version for bar in held}
        assert list(answer) == sorted(answer, reverse=True)
        assert len(answer) == len(held) <= limit
        last = min(answer) if len(answer) == limit else span.start
        wanted = {start: version for start, version in must.items() if start >= last}
        assert all(answer.get(start, 0) >= version for start, version in wanted.items()), (answer, wanted)
        published = {(bar.start, bar.version) for _, bar in self.bars}
        assert set(answer.items()) <= published

    async def play(self, steps: list[tuple[str, int, int]]) -> None:
        for step, one, other in steps:
            if step == "finish":
                await self.finish()
            elif step == "read":
                await self.finish()
                await self.read(one, other)
                await asyncio.sleep(0)
            elif step == "slow_read":
                self.market.gate = self.market.gate or asyncio.Event()
                self.readings.append(asyncio.create_task(self.read(one, other)))
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            else:
                getattr(self, step)(one, other)
        await self.finish()

    async def finish(self) -> None:
        if self.market.gate is not None:
            self.market.gate.set()
            self.market.gate = None
        await asyncio.gather(*self.readings)
        self.readings = []


@settings(max_examples=100, deadline=None)
@given(st.lists(STEPS, min_size=20, max_size=100))
def test_memory_is_never_behind_what_it_has_seen_stored(steps: list[tuple[str, int, int]]) -> None:
    """Windows of eight bars, so that they overflow, are dropped and filled again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bars, "ROWS", 8)
        patch.setattr(candles, "ROWS", 8)
        asyncio.run(Log().play(steps))
