"""One value that is expensive to get."""

import asyncio

import pytest

from api.cached import Cached, Flights


class Source:
    """Counts how often it is asked; answers when it is let."""

    def __init__(self) -> None:
        self.asked = 0
        self.let = asyncio.Event()
        self.fails = False

    async def load(self) -> int:
        self.asked += 1
        await self.let.wait()
        if self.fails:
            raise ValueError(f"load {self.asked}")
        return self.asked


def test_all_who_ask_at_once_share_one_load() -> None:
    """Ten requests, one load."""

    async def scenario() -> None:
        source = Source()
        cached = Cached(source.load, 10)
        waiting = [asyncio.create_task(cached.get()) for _ in range(10)]
        await asyncio.sleep(0)
        source.let.set()
        assert await asyncio.gather(*waiting) == [1] * 10

    asyncio.run(scenario())


def test_a_value_is_kept_until_its_time_is_up() -> None:
    """Before the end the old value, from the end on a new one."""

    async def scenario() -> None:
        now = [100.0]
        source = Source()
        source.let.set()
        cached = Cached(source.load, 2.0, monotonic=lambda: now[0])
        assert await cached.get() == 1
        now[0] = 101.9
        assert await cached.get() == 1
        now[0] = 102.0
        assert await cached.get() == 2

    asyncio.run(scenario())


def test_an_error_reaches_all_who_wait_and_is_not_kept() -> None:
    """The next one asks again."""

    async def scenario() -> None:
        source = Source()
        source.fails = True
        cached = Cached(source.load, 10)
        waiting = [asyncio.create_task(cached.get()) for _ in range(2)]
        await asyncio.sleep(0)
        source.let.set()
        errors = await asyncio.gather(*waiting, return_exceptions=True)
        assert [str(error) for error in errors] == ["load 1", "load 1"]
        source.fails = False
        assert await cached.get() == 2

    asyncio.run(scenario())


def test_one_who_goes_away_takes_nothing_from_the_others() -> None:
    """Cancelling one request leaves the shared load alone."""

    async def scenario() -> None:
        source = Source()
        cached = Cached(source.load, 10)
        first, second = asyncio.create_task(cached.get()), asyncio.create_task(cached.get())
        await asyncio.sleep(0)
        first.cancel()
        source.let.set()
        assert await second == 1
        with pytest.raises(asyncio.CancelledError):
            await first

    asyncio.run(scenario())


def test_what_is_under_way_is_not_fetched_again() -> None:
    """By key; once it has landed, the next one fetches anew, whether it succeeded or not."""

    async def scenario() -> None:
        one, other = Source(), Source()
        flights: Flights[int] = Flights()
        first = flights.start("one", one.load)
        assert flights.start("one", one.load) is first
        second = flights.start("other", other.load)
        one.fails = True
        one.let.set()
        other.let.set()
        with pytest.raises(ValueError, match="load 1"):
            await first
        assert await second == 1
        one.fails = False
        assert await flights.start("one", one.load) == 2

    asyncio.run(scenario())


def test_a_failure_that_nobody_waits_for_is_not_complained_about() -> None:
    """All who asked have gone away."""

    async def scenario() -> None:
        source = Source()
        source.fails = True
        source.let.set()
        task = Flights[int]().start("one", source.load)
        await asyncio.sleep(0.01)
        assert task.done()

    asyncio.run(scenario())
