"""The newest bars from memory, against a store and a feed that the test turns."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from api.hot.bars import RECENT_SECONDS, ROWS, Window, from_feed, from_store, page_json
from api.hot.candles import PAGES, SETTLE_SECONDS
from api.live import messages
from api.live.messages import from_event
from api.store import Span
from schemas.events import Candle
from schemas.intervals import MINUTE_US
from tests.unit.api.hot.market import Market, model, run
from tests.unit.api.live.events import NOON, candle


def bar(minute: int, version: int = 3, symbol: str = "AAPL") -> Candle:
    return candle(version, symbol, bar=minute, final=True)


def minutes(first: int, last: int) -> list[Candle]:
    return [bar(minute) for minute in range(first, last)]


@pytest.mark.parametrize("final", [True, False])
def test_a_bar_reads_the_same_from_the_feed_and_from_the_store(final: bool) -> None:
    """With indicators and without, as REST has it."""
    event = candle(3, final=final)
    fed, stored = from_feed(from_event(event)), from_store(model(event))
    assert fed[:7] == stored[:7]
    for indicators in (True, False):
        one, other = (json.loads(held.json(indicators=indicators)) for held in (fed, stored))
        assert one == other
        assert ("indicators" in one) == indicators
    assert json.loads(page_json([fed, stored], indicators=True)) == [json.loads(fed.data)] * 2


def test_the_json_of_a_live_bar_is_made_for_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand versions a second come, and hardly any is read."""
    made: list[int] = []
    kind, key_of, fields = messages.SHAPES[Candle]

    def noted(event: Candle) -> Mapping[str, Any]:
        made.append(event.version)
        return fields(event)

    monkeypatch.setattr(messages, "SHAPES", {**messages.SHAPES, Candle: (kind, key_of, noted)})
    window = Window()
    for version in (2, 4, 6):
        window.add(from_feed(from_event(candle(version))), 0.0)
    window.fill([], 0.0)
    assert made == []
    [held] = window.page(Span(0, 2 * NOON), 1) or []
    assert held.fields()["version"] == 6
    assert made == [6]


def test_the_first_read_is_from_the_store_and_the_next_ones_from_memory() -> None:
    """The feed's version wins where it is greater, and its bars come on top."""
    market = Market()
    market.store(*minutes(-5, 0), bar(0, 2))
    market.feed(bar(0, 4))
    assert market.page(3) == [(0, 4), (-1, 3), (-2, 3)]
    market.feed(bar(1, 2), bar(-1, 5), bar(0, 3))
    assert market.page(3) == [(1, 2), (0, 4), (-1, 5)]
    assert market.reads == [("AAPL", "1m")]
    assert market.counted() == {"fill": 1, "hit": 1}


def test_a_version_that_comes_while_the_store_is_read_wins() -> None:
    """And so does one that the store is still to get."""

    async def scenario(market: Market) -> list[int]:
        market.gate = asyncio.Event()
        reading = asyncio.create_task(market.cache.page("AAPL", "1m", Span(0, NOON + MINUTE_US), 5))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        market.feed(bar(-1, 7))
        market.gate.set()
        return [held.version for held in await reading or []]

    market = Market()
    market.store(bar(-1), bar(-2))
    market.feed(bar(0, 4))
    assert run(scenario(market)) == [4, 7, 3]


def test_all_who_ask_at_once_share_one_read() -> None:
    """A thousand requests for a symbol that nobody has asked for before are one query."""

    async def scenario(market: Market) -> int:
        pages = await asyncio.gather(
            *(market.cache.page("AAPL", "1m", Span(0, NOON + MINUTE_US), 1) for _ in range(1000))
        )
        return len([page for page in pages if page])

    market = Market()
    market.feed(bar(0))
    assert run(scenario(market)) == 1000
    assert market.reads == [("AAPL", "1m")]


def test_a_symbol_of_which_nothing_has_come_is_left_to_the_store() -> None:
    """A replay beside the live system writes it without our knowing."""
    market = Market()
    market.store(bar(0))
    assert market.page() is None
    assert (market.reads, market.counted()) == ([], {"bypass": 1})


def test_nothing_is_held_until_the_feed_has_settled() -> None:
    """What was published before it began may still be on its way to the store."""
    market = Market()
    market.continuity.interrupt()
    market.feed(bar(0))
    market.wait(SETTLE_SECONDS - 0.1)
    assert market.page() is None
    market.store(bar(-1))
    market.wait(0.1)
    assert market.page() == [(0, 3), (-1, 3)]


def test_an_interruption_drops_everything() -> None:
    """What came meanwhile is not known."""
    market = Market()
    market.feed(bar(0))
    assert market.page() == [(0, 3)]
    market.store(bar(0, 9))
    market.continuity.interrupt()
    assert market.page() is None
    market.feed(bar(1))
    assert market.page() is None
    market.wait(SETTLE_SECONDS)
    assert market.page() == [(1, 3), (0, 9)]


def test_an_interruption_while_the_store_is_read_leaves_it_to_the_store() -> None:
    """What was read is as old as the question."""

    async def scenario(market: Market) -> object:
        market.gate = asyncio.Event()
        reading = asyncio.create_task(market.cache.page("AAPL", "1m", Span(0, NOON + MINUTE_US), 5))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        market.continuity.interrupt()
        market.gate.set()
        return await reading

    market = Market()
    market.feed(bar(0))
    assert run(scenario(market)) is None
    assert market.cache.bars == 0


def test_a_feed_that_is_behind_is_not_believed() -> None:
    """The store may be further; when the feed has caught up, nothing was missed."""
    market = Market()
    market.feed(bar(0))
    assert market.page() == [(0, 3)]
    market.micros += 10_000_000
    assert market.page() is None
    market.feed(bar(1))
    market.wait(0)
    assert market.page() == [(1, 3), (0, 3)]


def test_what_a_window_does_not_reach_is_the_stores() -> None:
    """A page that ends within it is answered, one that goes on behind it is not."""
    market = Market()
    market.store(*minutes(-2 * ROWS, 0))
    market.feed(bar(0))
    newest = [(0, 3), *((-number, 3) for number in range(1, ROWS))]
    assert market.page(ROWS) == newest
    assert market.page(ROWS + 1) is None
    inside = Span(NOON - 10 * MINUTE_US, NOON - 7 * MINUTE_US)
    assert market.page(100, inside) == [(-8, 3), (-9, 3), (-10, 3)]
    across = Span(0, NOON - (ROWS - 5) * MINUTE_US)
    assert market.page(4, across) == newest[-4:]
    assert market.page(5, across) is None
    reads = len(market.reads)
    assert market.page(10, Span(0, NOON - ROWS * MINUTE_US)) is None
    assert len(market.reads) == reads


def test_a_late_bar_takes_its_place() -> None:
    """A minute that nobody had traded in gets a bar after all."""
    market = Market()
    market.store(bar(-3), bar(-1))
    market.feed(bar(0))
    assert market.page() == [(0, 3), (-1, 3), (-3, 3)]
    market.feed(bar(-2))
    assert market.page() == [(0, 3), (-1, 3), (-2, 3), (-3, 3)]


def test_the_oldest_bars_make_room_for_the_newest() -> None:
    """The window says so when it is asked for them."""
    market = Market()
    market.store(*minutes(-ROWS + 1, 0))
    market.feed(bar(0))
    assert len(market.page(ROWS) or []) == ROWS
    market.feed(bar(1))
    assert (market.page(ROWS) or [])[0] == (1, 3)
    assert market.page(ROWS, Span(0, NOON)) is None
    assert market.cache.bars == ROWS


def test_bars_written_behind_our_back_show_soon() -> None:
    """A backfill of a live symbol: in the background first, at once when the window has grown old."""
    market = Market()
    market.store(bar(-1))
    market.feed(bar(0))
    assert market.page() == [(0, 3), (-1, 3)]
    market.store(bar(-2))
    market.wait(PAGES.nothing_older + 0.1)
    assert market.page() == [(0, 3), (-1, 3)]
    run(asyncio.sleep(0.01))
    assert market.page() == [(0, 3), (-1, 3), (-2, 3)]
    market.store(bar(-1, 11))
    market.wait(2 * PAGES.bars + 0.1)
    assert market.page(2) == [(0, 3), (-1, 11)]


def test_without_the_store_live_bars_go_on() -> None:
    """A window that is old is read again when the store is back; one that is empty waits for it."""
    market = Market()
    market.feed(bar(0))
    assert market.page() == [(0, 3)]
    market.away = True
    market.wait(3 * PAGES.bars)
    market.feed(bar(1))
    assert market.page() == [(1, 3), (0, 3)]
    market.feed(bar(0, symbol="MSFT"))
    assert market.page(symbol="MSFT") is None


def test_memory_is_bounded_by_dropping_what_was_asked_for_longest_ago() -> None:
    """Its bars of the last seconds stay: the store may not have them yet."""
    market = Market(max_bars=ROWS + 50)
    for symbol in ("AAPL", "MSFT"):
        market.store(*(replace(each, symbol=symbol) for each in minutes(-ROWS, 0)))
        market.feed(bar(0, symbol=symbol))
    market.page(10)
    market.page(10, symbol="MSFT")
    assert (market.cache.bars, market.cache.windows) == (ROWS + 1, 1)
    assert market.page(10, symbol="MSFT") is not None
    assert market.counted() == {"fill": 2, "hit": 1}
    assert market.page(1) == [(0, 3)]
    assert market.counted()["fill"] == 3


def test_what_nobody_asks_for_is_forgotten_in_seconds() -> None:
    """Until then it is there for the first who asks, whether or not the store has it."""
    window = Window()
    for minute in range(3):
        window.add(from_feed(from_event(bar(minute))), minute * RECENT_SECONDS / 2)
    assert len(window) == 3
    window.add(from_feed(from_event(bar(3))), 2 * RECENT_SECONDS)
    assert len(window) == 1 + 1
    assert window.page(Span(0, NOON * 2), 1) is None


def test_a_flood_that_nobody_asked_for_begins_anew() -> None:
    """Bounded even if every bar is of another symbol."""
    market = Market(max_bars=10)
    market.feed(*(bar(0, symbol=f"S{number}") for number in range(25)))
    assert market.cache.bars <= 10
    assert market.page(symbol="S24") is None


@pytest.mark.parametrize("interval", ["1m", "5m"])
def test_intervals_are_apart(interval: str) -> None:
    """A bar of one is none of the other."""
    market = Market()
    market.feed(candle(3, interval="5m"), candle(5, interval="1m"))
    assert market.page(interval=interval) == [(0, 3 if interval == "5m" else 5)]
