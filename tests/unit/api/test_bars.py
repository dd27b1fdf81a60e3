"""Pages of bars: filled ones, and those that stay as they are."""

import asyncio
from dataclasses import replace

import pytest

from api.bars import BarQuery, BarReader
from api.models import Candle
from api.times import to_micros
from schemas.intervals import INTERVALS, MINUTE_US
from tests.unit.api.fake_market import NOW, SYMBOL, Market, a_version, at, final_bars, readers

BASE = at(2026, 3, 16, 12)
QUERY = BarQuery(SYMBOL, "1m", 0, NOW, 100, fixed=False, fill=True)


def minutes(*numbers: int) -> list[int]:
    return [BASE + number * MINUTE_US for number in numbers]


def all_pages(bars: BarReader, query: BarQuery) -> list[Candle]:
    found: list[Candle] = []
    end: int | None = query.end
    while end is not None:
        page = asyncio.run(bars.page(replace(query, end=end)))
        assert len(page.bars) <= query.limit
        found += page.bars
        end = page.more
    return found


def shown(rows: list[Candle]) -> list[tuple[int, float | None, bool]]:
    """(minute after BASE, close, filled) of each."""
    return [((to_micros(row.start) - BASE) // MINUTE_US, row.close, row.filled) for row in rows]


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 100])
def test_filled_pages_join_without_gap_or_overlap(limit: int) -> None:
    """Whether a page ends at a bar or within a hole, longer or shorter than a page, the close comes from the
    bar before; nothing is filled before the first bar or behind the newest."""
    closes = {0: 10.0, 1: 11.0, 9: 12.0, 11: 13.0}
    versions = [a_version(BASE + n * MINUTE_US, 3, NOW, close) for n, close in closes.items()]
    _, bars = readers(Market(versions))
    last, expected = 0.0, []
    for number in range(12):
        last = closes.get(number, last)
        expected.append((number, last, number not in closes))
    assert shown(all_pages(bars, replace(QUERY, limit=limit))) == expected[::-1]


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_a_range_within_a_hole_is_filled_from_before_it(limit: int) -> None:
    """Neither bar is in the range; behind the newest one nothing is."""
    _, bars = readers(Market([a_version(BASE, 3, NOW, 5.0), a_version(BASE + 20 * MINUTE_US, 3, NOW, 6.0)]))
    hole = replace(QUERY, start=BASE + 5 * MINUTE_US, end=BASE + 8 * MINUTE_US, limit=limit, fixed=True)
    assert shown(all_pages(bars, hole)) == [(7, 5.0, True), (6, 5.0, True), (5, 5.0, True)]
    after = replace(hole, start=BASE + 21 * MINUTE_US, end=BASE + 30 * MINUTE_US)
    before = replace(hole, start=BASE - 9 * MINUTE_US, end=BASE)
    assert all_pages(bars, after) == all_pages(bars, before) == []


def test_a_hole_of_years_costs_no_more_than_a_page() -> None:
    """A replay of long ago, then live data: a page within is three reads, whatever lies around."""
    old = at(2024, 8, 9)
    market = Market([a_version(old, 3, NOW, 5.0), a_version(BASE, 3, NOW, 6.0)])
    _, bars = readers(market)
    page = asyncio.run(bars.page(replace(QUERY, end=at(2025, 5, 5), limit=10)))
    assert [row.close for row in page.bars] == [5.0] * 10
    assert page.more == at(2025, 5, 4, 23, 50)
    assert len(market.asked) <= 12


def test_filled_days_of_us_equities_leave_out_the_weekend() -> None:
    """By the class of the symbol; a bar of a closed day is shown."""
    friday, saturday, tuesday = at(2026, 3, 13, 4), at(2026, 3, 14, 4), at(2026, 3, 17, 4)
    versions = [
        a_version(day, 3, NOW, close, interval="1d")
        for day, close in ((friday, 5.0), (saturday, 5.5), (tuesday, 6.0))
    ]
    _, bars = readers(Market(versions), classes="A=us_equities")
    rows = all_pages(bars, replace(QUERY, interval="1d", limit=2))
    assert [(row.start.day, row.close, row.filled) for row in rows] == [
        (17, 6.0, False), (16, 5.5, True), (14, 5.5, False), (13, 5.0, False),
    ]  # fmt: skip


def settled(bars: BarReader, query: BarQuery) -> bool:
    page = asyncio.run(bars.page(query))
    return asyncio.run(bars.is_settled(query, page.bars))


def test_a_page_is_settled_when_trades_are_far_beyond_it_and_its_end_is_fixed() -> None:
    """Trades, not the clock: while nothing comes, trades of before may still come."""
    versions = final_bars(*minutes(*range(40)))
    _, bars = readers(Market(versions))
    fixed = replace(QUERY, fill=False, fixed=True)
    assert settled(bars, replace(fixed, end=BASE + 24 * MINUTE_US))
    assert not settled(bars, replace(fixed, end=BASE + 25 * MINUTE_US))
    assert settled(bars, replace(fixed, start=BASE - 9, end=BASE - 5))  # empty for good
    assert not settled(bars, replace(fixed, end=BASE + 24 * MINUTE_US, fixed=False))


def test_a_page_with_a_live_bar_is_not_settled() -> None:
    """However old: a day may be live long after the minutes in it."""
    _, bars = readers(Market([a_version(BASE, 2, BASE), *final_bars(*minutes(*range(1, 40)))]))
    assert not settled(bars, replace(QUERY, fill=False, fixed=True, end=BASE + MINUTE_US))


def test_a_long_bar_that_reaches_beyond_the_range_counts_with_its_end() -> None:
    """A range may end within its newest bar."""
    day = at(2026, 3, 16)
    versions = [a_version(day, 3, NOW, interval="1d"), a_version(day + INTERVALS["1d"], 3, NOW)]
    _, bars = readers(Market(versions))
    assert not settled(bars, replace(QUERY, interval="1d", fill=False, fixed=True, end=day + 5))


def test_what_was_known_is_settled_soon_after() -> None:
    """Whatever it was; only what is on its way to the storage may still come."""
    _, bars = readers(Market([a_version(BASE, 2, BASE)]))
    query = replace(QUERY, fill=False, as_of=NOW - 900_000_000)
    assert settled(bars, query)
    assert not settled(bars, replace(query, as_of=NOW - 899_000_000))
