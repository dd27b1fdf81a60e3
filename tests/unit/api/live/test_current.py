"""Bars of which the feed has brought nothing yet."""

import asyncio

import pytest

from api.errors import StorageUnavailable
from api.live import current
from api.live.current import Bar, CurrentBars
from api.live.latest import Latest
from tests.unit.api.live.events import NOON, candle, incoming

MINUTE = ("AAPL", "1m")
MINUTE_US = 60_000_000


class Stage:
    """A storage that counts, and a clock of the test."""

    def __init__(self) -> None:
        self.latest = Latest()
        self.seconds = 10.0
        self.micros = NOON
        self.bars = CurrentBars(self.latest, lambda: self.micros, lambda: self.seconds)
        self.bars.read = self.read
        self.reads = 0
        self.most = self.now = 0
        self.takes = 0.0
        self.away = False
        self.opened = asyncio.Event()
        self.opened.set()

    async def read(self, symbol: str, _: str) -> Bar | None:
        self.reads += 1
        self.now += 1
        self.most = max(self.most, self.now)
        await self.opened.wait()
        self.seconds += self.takes
        self.now -= 1
        if self.away:
            raise StorageUnavailable("away")
        return Bar(NOON, self.reads, "{}") if symbol != "NONE" else None


def test_memory_lacks_a_bar_that_is_not_there_or_long_over() -> None:
    """The current bar and the one before it are not looked for."""

    async def run() -> None:
        stage = Stage()
        assert stage.bars.lacks(MINUTE)
        for event in incoming(candle(2)):
            stage.latest.add(event)
        assert not stage.bars.lacks(MINUTE)
        stage.micros = NOON + 2 * MINUTE_US - 1
        assert not stage.bars.lacks(MINUTE)
        stage.micros += 1
        assert stage.bars.lacks(MINUTE)
        assert stage.bars.lacks(("AAPL", "5m"))
        stage.bars.read = None
        assert not stage.bars.lacks(MINUTE)

    asyncio.run(run())


def test_of_two_versions_the_newer_one_counts() -> None:
    """A later bar before a greater version of an earlier one."""

    async def run() -> None:
        stage = Stage()
        assert stage.bars.newest(MINUTE, None) is None
        assert stage.bars.newest(MINUTE, Bar(NOON, 2, "stored")) == "stored"
        (event,) = incoming(candle(4))
        stage.latest.add(event)
        for start, version, expected in (
            (NOON, 3, event.data),
            (NOON, 4, event.data),
            (NOON, 5, "stored"),
            (NOON - MINUTE_US, 99, event.data),
            (NOON + MINUTE_US, 1, "stored"),
        ):
            assert stage.bars.newest(MINUTE, Bar(start, version, "stored")) == expected
        assert stage.bars.newest(MINUTE, None) == event.data

    asyncio.run(run())


def test_all_who_ask_within_a_moment_share_a_read() -> None:
    """Whether it found something or not."""

    async def run() -> None:
        stage = Stage()
        places = [MINUTE, ("NONE", "1m")]
        found = await asyncio.gather(*(stage.bars.stored(places) for _ in range(5)))
        assert found == [{MINUTE: Bar(NOON, 1, "{}")}] * 5
        stage.seconds += 0.9
        assert await stage.bars.stored([MINUTE]) == {MINUTE: Bar(NOON, 1, "{}")}
        assert stage.reads == 2
        stage.seconds += 0.1
        assert await stage.bars.stored([MINUTE]) == {MINUTE: Bar(NOON, 3, "{}")}

    asyncio.run(run())


def test_no_more_is_read_at_a_time_than_the_storage_has_left_for_rest() -> None:
    """However many symbols are asked for."""

    async def run() -> None:
        stage = Stage()
        stage.takes = 0.3  # longer in all than what was read is remembered
        stage.opened.clear()
        asked = asyncio.create_task(stage.bars.stored([(f"S{number}", "1m") for number in range(50)]))
        for _ in range(10):
            await asyncio.sleep(0)
        stage.opened.set()
        assert len(await asked) == 50
        assert stage.most == current.MOST_READS

    asyncio.run(run())


def test_nobody_waits_for_a_storage_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither for an error nor for silence; what was read counts."""
    monkeypatch.setattr(current, "WAIT_SECONDS", 0.05)

    async def run() -> None:
        stage = Stage()
        assert await stage.bars.stored([MINUTE])
        stage.opened.clear()
        assert await stage.bars.stored([MINUTE, ("MSFT", "1m")]) == {MINUTE: Bar(NOON, 1, "{}")}
        stage.away = True
        stage.opened.set()
        assert await stage.bars.stored([("MSFT", "1m")]) == {}
        stage.away = False
        stage.seconds += 1.0
        assert await stage.bars.stored([("MSFT", "1m")]) == {("MSFT", "1m"): Bar(NOON, 3, "{}")}

    asyncio.run(run())
