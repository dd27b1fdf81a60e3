"""Which partitions the store looks at, over a table in memory; the real ones are in tests/pipeline."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api.store import DIRECT_MINUTES, MAX_MINUTES, Position, Span, Store, _all_buckets
from api.times import to_micros
from schemas.intervals import INTERVALS, MINUTE_US, bar_start
from schemas.tables import gold_bucket

NOW = to_micros(datetime(2026, 3, 15, 12, 30, 30, tzinfo=UTC))


def at(*moment: int) -> int:
    return to_micros(datetime(*moment, tzinfo=UTC))


def naive(time_us: int) -> datetime:
    """As the driver gives a timestamp."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_us)).replace(tzinfo=None)


class Tables:
    """Answers the store's statements from bars and trades in memory, and keeps what was asked."""

    def __init__(self, bars: dict[str, list[int]], trades: Sequence[tuple[int, int]] = ()) -> None:
        self._bars = bars
        self._trades = trades
        self.asked: list[tuple[str, tuple[Any, ...]]] = []

    async def query(self, statement: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        self.asked.append((statement, values))
        kind, _, interval = statement.partition("_")
        if kind == "candles":
            return [self._candle(interval, start) for start in self._in_range(interval, values)]
        if kind == "indicators":
            found = self._in_range(interval, values)
            return [(*self._candle(interval, start), {"sma_20": 1.5}) for start in found]
        if kind == "minutes":
            return [(naive(start),) for start in self._in_range("1m", values)]
        if kind == "held":
            held = {gold_bucket(interval, start) for start in self._bars.get(interval, [])}
            return [(bucket,) for bucket in sorted(values[1]) if bucket in held]
        if kind == "symbol":
            return [(values[1],)] if self._bars else []
        assert kind == "trades", statement
        minute, _, _, since, *before, limit = values
        found = [
            (time, sequence, "s", "t", time, 1.0, 1.0, "", None, True, True, True)
            for time, sequence in sorted(self._trades, reverse=True)
            if time - time % MINUTE_US == minute * 1000
            and since <= time
            and (time, sequence, "s", "t") < tuple(before)
        ]
        return found[:limit]

    def _in_range(self, interval: str, values: tuple[Any, ...]) -> list[int]:
        _, bucket, start_ms, end_ms, limit = values
        found = [
            start
            for start in sorted(self._bars.get(interval, []), reverse=True)
            if gold_bucket(interval, start) == bucket and start_ms * 1000 <= start < end_ms * 1000
        ]
        return found[:limit]

    def _candle(self, interval: str, start: int) -> tuple[Any, ...]:
        end = start + INTERVALS[interval]
        return naive(start), naive(end), 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1, True, 3, None, 0, 5, 1.0, 1.0


def starts(tables: Tables, interval: str, span: Span, limit: int) -> list[int]:
    store = Store(tables, ["A"], lambda: NOW)  # type: ignore[arg-type]
    return [to_micros(candle.start) for candle in asyncio.run(store.candles("A", interval, span, limit))]


def test_buckets_are_walked_from_the_newest_to_the_oldest() -> None:
    """Months across a year's end, years, and nothing for an empty range."""
    span = Span(at(2023, 11, 30, 23, 59), at(2024, 2, 1))
    assert list(_all_buckets("5m", span)) == ["2024-01", "2023-12", "2023-11"]
    assert list(_all_buckets("5m", Span(span.start, span.end + 1))) == [
        "2024-02",
        "2024-01",
        "2023-12",
        "2023-11",
    ]
    assert list(_all_buckets("1h", span)) == ["2024", "2023"]
    assert list(_all_buckets("1h", Span(span.end, span.end))) == []


def test_the_latest_bars_of_a_busy_symbol_are_one_query() -> None:
    """The month of now holds enough."""
    minutes = [bar_start(NOW, "1m") - i * MINUTE_US for i in range(500)]
    tables = Tables({"1m": minutes})
    assert starts(tables, "1m", Span(0, NOW), 100) == minutes[:100]
    assert [statement for statement, _ in tables.asked] == ["candles_1m"]


def test_bars_of_two_years_past_are_found_without_walking_the_months_between() -> None:
    """One look at this month, one at which of the 36 before hold bars, one at the month that does."""
    old = at(2024, 8, 9)
    tables = Tables({"1m": [old, old + MINUTE_US]})
    assert starts(tables, "1m", Span(0, NOW), 2) == [old + MINUTE_US, old]
    assert [statement for statement, _ in tables.asked] == ["candles_1m", "symbol", "held_1m", "candles_1m"]
    asked = [values[1] for statement, values in tables.asked if statement == "held_1m"]
    assert [(months[0], months[-1], len(months)) for months in asked] == [("2026-02", "2023-03", 36)]


def test_older_bars_are_found_by_the_years_of_daily_bars() -> None:
    """Of the years before those 36 months only the ones with daily bars are looked at, and the next ones."""
    old = at(2019, 8, 9)
    tables = Tables({"1m": [old, old + MINUTE_US], "1d": [old]})
    assert starts(tables, "1m", Span(0, NOW), 100) == [old + MINUTE_US, old]
    assert [statement for statement, _ in tables.asked] == [
        "candles_1m",
        "symbol",
        "held_1m",
        "held_1d",
        "held_1m",
        "candles_1m",
    ]
    asked = [values[1] for statement, values in tables.asked if statement == "held_1m"]
    assert [(months[0], months[-1], len(months)) for months in asked] == [
        ("2026-02", "2023-03", 36),
        ("2020-12", "2019-01", 24),
    ]


def test_a_market_day_that_begins_in_one_year_and_ends_in_the_next_names_both() -> None:
    """New York's 31 December ends on 1 January UTC."""
    bars = [at(2020, 12, 31, 15), at(2021, 1, 1, 1)]
    tables = Tables({"1m": bars, "1d": [at(2020, 12, 31, 5)]})
    assert starts(tables, "1m", Span(0, NOW), 10) == [bars[1], bars[0]]
    assert starts(tables, "1m", Span(at(2021, 1, 1), NOW), 10) == [bars[1]]
    assert starts(tables, "1m", Span(0, at(2021, 1, 1)), 10) == [bars[0]]


def test_a_symbol_that_never_had_a_bar_is_not_searched_for_in_the_past() -> None:
    """The newest partition and the table of symbols are enough."""
    tables = Tables({})
    assert starts(tables, "1m", Span(0, NOW), 100) == []
    assert [statement for statement, _ in tables.asked] == ["candles_1m", "symbol"]


@pytest.mark.parametrize("interval", ["1h", "4h", "1d"])
def test_old_bars_of_long_intervals_are_found_by_their_years(interval: str) -> None:
    """Two years far apart, newest first, and the years between are not read."""
    bars = [at(1999, 5, 1), at(2010, 5, 1)]
    tables = Tables({interval: bars})
    assert starts(tables, interval, Span(0, NOW), 10) == bars[::-1]
    assert [values[1] for statement, values in tables.asked if statement.startswith("candles")] == [
        "2026",
        "2010",
        "1999",
    ]


def test_a_short_range_is_read_as_it_is() -> None:
    """A few months are not asked about first."""
    bars = [at(2024, 5, 31, 23, 59), at(2024, 6, 1), at(2024, 8, 9)]
    tables = Tables({"1m": bars})
    assert starts(tables, "1m", Span(at(2024, 5, 31, 23, 59), at(2024, 8, 9)), 10) == [bars[1], bars[0]]
    assert {statement for statement, _ in tables.asked} == {"candles_1m"}


def test_bounds_that_are_no_whole_milliseconds_are_kept_exactly() -> None:
    """A bar that starts one microsecond before ``from`` is out, one that starts before ``to`` is in."""
    bar = at(2026, 3, 15)
    tables = Tables({"1m": [bar]})
    assert starts(tables, "1m", Span(bar + 1, bar + 2), 1) == []
    assert starts(tables, "1m", Span(bar - 1, bar), 1) == []
    assert starts(tables, "1m", Span(bar, bar + 1), 1) == [bar]


def test_trades_of_an_old_replay_are_found_through_its_bars() -> None:
    """Newest first, and besides the newest minutes only those with a bar are read."""
    base = at(2024, 8, 9)
    trades = [(base + 5, 1), (base + 5, 2), (base + 7 * MINUTE_US, 3)]
    tables = Tables({"1m": [base, base + 7 * MINUTE_US]}, trades)
    store = Store(tables, ["A"], lambda: NOW)  # type: ignore[arg-type]
    found, more = asyncio.run(store.trades("A", 0, Position(store.latest()), 10))
    assert [(to_micros(trade.event_time), trade.sequence) for trade in found] == trades[::-1]
    assert more is None
    assert sum(statement == "trades" for statement, _ in tables.asked) == DIRECT_MINUTES + 2


def test_trades_newer_than_any_bar_are_found_too() -> None:
    """The bars job may lag or be away: the newest minutes of a range are read without asking bars."""
    trades = [(NOW - i * MINUTE_US, i) for i in range(DIRECT_MINUTES - 1)]
    store = Store(Tables({}, trades), ["A"], lambda: NOW)  # type: ignore[arg-type]
    found, more = asyncio.run(store.trades("A", 0, Position(NOW + 1), 100))
    assert [(to_micros(trade.event_time), trade.sequence) for trade in found] == trades
    assert more is None


def test_pages_of_trades_join_without_gap_or_overlap() -> None:
    """Trades that share their time are told apart by sequence, across page ends and minutes."""
    trades = [(NOW - (i // 3) * 20_000_000, 1000 - i) for i in range(50)]
    store = Store(Tables({}, trades), ["A"], lambda: NOW)  # type: ignore[arg-type]
    seen: list[tuple[int, int]] = []
    place: Position | None = Position(NOW + 1)
    while place is not None:
        page, place = asyncio.run(store.trades("A", 0, place, 7))
        assert len(page) <= 7
        seen += [(to_micros(trade.event_time), trade.sequence) for trade in page]
    assert seen == trades


def test_a_page_ends_where_too_many_minutes_hold_nothing_and_the_cursor_goes_on() -> None:
    """Bars outlive trades: one request must not walk all of them, and the next ones get to the end."""
    bars = [bar_start(NOW, "1m") - i * MINUTE_US for i in range(2 * MAX_MINUTES)]
    oldest = (bars[-1] + 5, 1)
    tables = Tables({"1m": bars}, [oldest])
    store = Store(tables, ["A"], lambda: NOW)  # type: ignore[arg-type]
    place: Position | None = Position(NOW)
    seen, pages = [], 0
    while place is not None:
        tables.asked.clear()
        page, place = asyncio.run(store.trades("A", 0, place, 5))
        seen += [(to_micros(trade.event_time), trade.sequence) for trade in page]
        assert sum(statement == "trades" for statement, _ in tables.asked) <= MAX_MINUTES + 8
        pages += 1
    assert (seen, pages) == ([oldest], 2)


def test_trades_of_named_minutes_come_newest_first_and_no_other_is_read() -> None:
    """However old the minutes, and whether or not they have bars."""
    base = bar_start(at(2024, 8, 9), "1m")
    trades = [(base + 3 * MINUTE_US, 4), (base + MINUTE_US + 5, 3), (base + 7, 2), (base + 7, 1)]
    tables = Tables({}, trades)
    store = Store(tables, ["A"], lambda: NOW)  # type: ignore[arg-type]
    found = asyncio.run(store.newest_of_minutes("A", {base, base + MINUTE_US}, 2))
    assert [(to_micros(trade.event_time), trade.sequence) for trade in found] == trades[1:3]
    assert [values[0] for _, values in tables.asked] == [(base + MINUTE_US) // 1000, base // 1000]


@pytest.mark.parametrize(("more", "minutes"), [((), 1), ((1,), 2)], ids=["range", "cursor"])
def test_the_minute_in_which_a_range_ends_is_read_only_where_it_may_hold_something(
    more: tuple[int, ...], minutes: int
) -> None:
    """A range up to its first moment holds none of it; a cursor at this moment may."""
    base = bar_start(at(2024, 8, 9), "1m")
    trades = [(base + MINUTE_US, 0)] * bool(more) + [(base + 5, 1)]
    tables = Tables({}, trades)
    store = Store(tables, ["A"], lambda: NOW)  # type: ignore[arg-type]
    found, _ = asyncio.run(store.trades("A", base, Position(base + MINUTE_US, *more), 9))
    assert [(to_micros(trade.event_time), trade.sequence) for trade in found] == trades
    assert len({values[0] for _, values in tables.asked}) == minutes


def test_indicators_are_read_only_where_they_are_asked_for() -> None:
    """Their column is the largest of a bar."""
    store = Store(Tables({"1m": [at(2026, 3, 15)]}), ["A"], lambda: NOW)  # type: ignore[arg-type]
    (plain,) = asyncio.run(store.candles("A", "1m", Span(0, NOW), 1))
    (full,) = asyncio.run(store.candles("A", "1m", Span(0, NOW), 1, indicators=True))
    assert "indicators" not in plain.model_dump(exclude_unset=True)
    assert full.indicators == {"sma_20": 1.5}
    assert full.model_dump(exclude={"indicators"}) == plain.model_dump(exclude={"indicators"})
