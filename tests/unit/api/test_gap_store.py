"""Which gaps are read, page by page, over a table in memory; the real one is in tests/pipeline."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from api.gap_store import GapPlace, GapStore
from api.times import to_micros
from schemas.intervals import INTERVALS, MINUTE_US
from schemas.tables import gap_bucket

HOUR_US, DAY_US = INTERVALS["1h"], INTERVALS["1d"]
Key = tuple[int, str, int]


def at(*moment: int) -> int:
    return to_micros(datetime(*moment, tzinfo=UTC))


NOON = at(2026, 3, 1, 12)


class Table:
    """Answers the store's statement from (start, id, end) of gaps in memory."""

    def __init__(self, *gaps: Key) -> None:
        self._gaps = sorted(gaps, reverse=True)
        self.buckets: list[str] = []

    async def query(self, statement: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        assert statement == "gaps"
        symbol, bucket, earliest, start, gap_id, limit = values
        assert symbol == "AAPL"
        self.buckets.append(bucket)
        found = [
            (begin, name, end, True, "finnhub", "disconnect", "", end, None)
            for begin, name, end in self._gaps
            if gap_bucket(begin) == bucket and begin >= earliest and (begin, name) < (start, gap_id)
        ]
        return found[:limit]


def page(table: Table, start: int, before: GapPlace, limit: int) -> tuple[list[str], GapPlace | None]:
    store = GapStore(table, 365)  # type: ignore[arg-type]
    found, more = asyncio.run(store.gaps("AAPL", start, before, limit))
    return [gap.gap_id for gap in found], more


def test_gaps_that_touch_the_range_are_found_newest_first() -> None:
    """Also one that began before it, in its hour; none that ended by its start, or begins with its end."""
    table = Table(
        (NOON + MINUTE_US, "over", NOON + 5 * MINUTE_US - 1),
        (NOON + 2 * MINUTE_US, "reaches in", NOON + 5 * MINUTE_US + 1),
        (NOON + 5 * MINUTE_US, "mark", NOON + 5 * MINUTE_US),
        (NOON + 6 * MINUTE_US, "inside", NOON + 7 * MINUTE_US),
        (NOON + 10 * MINUTE_US, "after", NOON + 11 * MINUTE_US),
    )
    found, more = page(table, NOON + 5 * MINUTE_US, GapPlace(NOON + 10 * MINUTE_US), 10)
    assert (found, more) == (["inside", "mark", "reaches in"], None)


def test_many_gaps_before_the_range_hide_none_that_reaches_into_it() -> None:
    """They are read to the beginning of their hour, whatever the size of the page."""
    short = [(NOON + number, f"short {number}", NOON + number + 1) for number in range(1, 20)]
    table = Table((NOON, "long", NOON + HOUR_US), *short)
    found, more = page(table, NOON + MINUTE_US, GapPlace(NOON + HOUR_US), 1)
    assert (found, more) == (["long"], None)


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 10])
def test_pages_follow_each_other_without_loss_or_repetition(limit: int) -> None:
    """Whatever their size; several gaps may begin in one microsecond, also in the first one of a month."""
    month = at(2026, 3, 1)
    keys = [
        (NOON, "b"),
        (NOON, "a"),
        (month + 1, "x"),
        (month, "z"),
        (month, "y"),
        (month - 1, "w"),
        (month - 1, "v"),
    ]
    table = Table(*[(start, name, start + 5) for start, name in keys])
    place: GapPlace | None = GapPlace(NOON + 1)
    seen = []
    while place is not None:
        found, place = page(table, month - DAY_US, place, limit)
        assert len(found) <= limit
        seen += found
    assert seen == ["b", "a", "x", "z", "y", "w", "v"]


def test_only_months_of_the_range_are_read() -> None:
    """From the last to the one in which the hour of its start lies; a very long range in several pages."""
    table = Table()
    assert page(table, at(2026, 1, 31, 23), GapPlace(at(2026, 3, 1)), 5) == ([], None)
    assert table.buckets == ["2026-02", "2026-01"]
    _, more = page(table, 0, GapPlace(at(2026, 3, 1)), 5)
    assert more == GapPlace(at(2023, 3, 1))


def test_without_a_start_a_range_reaches_back_as_long_as_gaps_are_kept() -> None:
    """And not before 1970."""
    store = GapStore(Table(), 2)  # type: ignore[arg-type]
    assert store.oldest(NOON) == NOON - 2 * DAY_US
    assert store.oldest(DAY_US) == 0
