"""Which minutes are read for corrections, over a table in memory; the real one is in tests/pipeline."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from api.correction_store import FIELDS, CorrectionStore
from api.store import BUCKETS_AT_ONCE, MAX_MINUTES, Position
from api.times import to_datetime, to_micros
from schemas.intervals import INTERVALS, MINUTE_US

NOON = to_micros(datetime(2026, 3, 1, 12, tzinfo=UTC))
Key = tuple[int, int]


def minute_of(time_us: int) -> datetime:
    """As the driver gives a timestamp."""
    return to_datetime(time_us - time_us % MINUTE_US).replace(tzinfo=None)


class Table:
    """Answers the store's statements from (event time, sequence) of corrections in memory."""

    def __init__(self, *corrections: Key) -> None:
        self._corrections = sorted(corrections, reverse=True)
        self.asked = 0
        self.read: list[datetime] = []

    async def query(self, statement: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        if statement == "corrected_minutes":
            minutes, _, symbol = values
            self.asked += len(minutes)
            held = {minute_of(time) for time, _ in self._corrections}
            asked = {minute_of(minute * 1000) for minute in minutes}
            assert (symbol, len(minutes) <= BUCKETS_AT_ONCE) == ("AAPL", True)
            return [(minute,) for minute in sorted(held & asked)]
        assert statement == "corrections"
        minute, _, symbol, since, *before, limit = values
        assert symbol == "AAPL"
        self.read.append(minute)
        found = [
            row(time, sequence)
            for time, sequence in self._corrections
            if minute_of(time) == minute and since <= time and (time, sequence, "s", "c") < tuple(before)
        ]
        return found[:limit]


def row(time: int, sequence: int) -> tuple[Any, ...]:
    values = {
        "event_time": time, "sequence": sequence, "source": "s", "correction_id": "c", "trade_id": "t",
        "trade_time": None, "kind": "cancel", "price": None, "size": None, "exchange": "", "conditions": None,
        "updates_open_close": True, "updates_high_low": True, "updates_volume": True, "received_at": time,
    }  # fmt: skip
    return tuple(values[name] for name in FIELDS)


def page(table: Table, start: int, before: Position, limit: int) -> tuple[list[Key], Position | None]:
    store = CorrectionStore(table, 30)  # type: ignore[arg-type]
    found, more = asyncio.run(store.corrections("AAPL", start, before, limit))
    return [(to_micros(each.event_time), each.sequence) for each in found], more


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_pages_hold_every_correction_of_the_range_once(limit: int) -> None:
    """Newest first; several may come in one microsecond, also in the first one of a minute."""
    keys = [
        (NOON - 1, 9), (NOON, 1), (NOON, 2), (NOON + 5, 3), (NOON + 90 * MINUTE_US, 4),
        (NOON + 90 * MINUTE_US + 1, 5), (NOON + 91 * MINUTE_US, 6),
    ]  # fmt: skip
    seen: list[Key] = []
    place: Position | None = Position(NOON + 91 * MINUTE_US)
    while place is not None:
        found, place = page(Table(*keys), NOON, place, limit)
        assert len(found) <= limit
        seen += found
    assert seen == [keys[number] for number in (5, 4, 3, 2, 1)]


def test_only_minutes_with_corrections_are_read() -> None:
    """And after a full page no further one is looked for."""
    table = Table((NOON, 1), (NOON + 50 * MINUTE_US, 2))
    page(table, NOON, Position(NOON + 60 * MINUTE_US), 10)
    assert table.read == [minute_of(NOON + 50 * MINUTE_US), minute_of(NOON)]
    assert table.asked == 60
    table = Table((NOON, 1), (NOON + 50 * MINUTE_US, 2), (NOON + 51 * MINUTE_US, 3))
    found, more = page(table, NOON, Position(NOON + 60 * MINUTE_US), 1)
    assert found == [(NOON + 51 * MINUTE_US, 3)]
    assert more == Position(NOON + 51 * MINUTE_US, 3, "s", "c")
    assert table.asked == BUCKETS_AT_ONCE


def test_a_page_ends_after_so_many_minutes_and_says_where_to_go_on() -> None:
    """A month without corrections takes many pages, none of which takes long."""
    first = NOON - 30 * INTERVALS["1d"]
    table = Table((first, 1))
    found: list[Key] = []
    place: Position | None = Position(NOON)
    pages = 0
    while place is not None:
        table.asked = 0
        more, place = page(table, first, place, 10)
        assert table.asked <= MAX_MINUTES + BUCKETS_AT_ONCE
        found += more
        pages += 1
    assert found == [(first, 1)]
    assert pages == -(-30 * 1440 // (-(-MAX_MINUTES // BUCKETS_AT_ONCE) * BUCKETS_AT_ONCE))


def test_without_a_start_a_range_reaches_back_as_long_as_trades_are_kept() -> None:
    """Before 1970 there is nothing."""
    store = CorrectionStore(Table(), 30)  # type: ignore[arg-type]
    assert store.oldest(NOON) == NOON - 30 * INTERVALS["1d"]
    assert store.oldest(5) == 0
