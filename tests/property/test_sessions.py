"""Bars of every calendar tile time, whatever the clock in New York does and whichever the year."""

from datetime import datetime
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from schemas.intervals import INTERVALS
from schemas.sessions import UsEquitiesCalendar, UtcCalendar

DAY_US = 86_400_000_000
EXTENDED = UsEquitiesCalendar("extended")
REGULAR = UsEquitiesCalendar("regular")
CONTINUOUS = UtcCalendar()


def midnight(day: str) -> int:
    """Midnight of a date in New York, in microseconds since 1970."""
    local = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo("America/New_York"))
    return int(local.timestamp()) * 1_000_000


special = st.sampled_from(
    ["1990-01-01", "1995-04-02", "1995-10-29", "2001-09-11", "2024-03-10", "2024-11-03", "2024-11-28",
     "2024-11-29", "2035-03-11", "2035-11-04", "2050-12-31"]
).map(midnight)  # fmt: skip
around = st.builds(lambda day, offset: day + offset, special, st.integers(-DAY_US, 2 * DAY_US))
any_time = around | st.integers(0, 253_402_000_000_000_000)


@given(at=any_time, interval=st.sampled_from(sorted(INTERVALS)))
def test_bars_tile_time(at: int, interval: str) -> None:
    """The bar holds the time, holds all of itself, and touches the next and the one before."""
    for calendar in (CONTINUOUS, EXTENDED):
        bar = calendar.bar(at, interval)
        assert bar is not None
        start, end = bar
        assert start <= at < end
        assert calendar.bar(start, interval) == calendar.bar(end - 1, interval) == bar
        following, preceding = calendar.bar(end, interval), calendar.bar(start - 1, interval)
        assert following is not None
        assert preceding is not None
        assert following[0] == end
        assert preceding[1] == start


@given(at=any_time)
def test_each_minute_lies_in_one_4h_and_one_1d_bar(at: int) -> None:
    """And each 4h bar in one 1d bar; in regular hours it lies in both or in neither."""
    for calendar in (CONTINUOUS, EXTENDED, REGULAR):
        start, end = calendar.bar(at, "1m") or (0, 0)
        quarter, day = calendar.bar(at, "4h"), calendar.bar(at, "1d")
        assert calendar.bar(start, "4h") == calendar.bar(end - 1, "4h") == quarter
        assert calendar.bar(start, "1d") == calendar.bar(end - 1, "1d") == day
        assert (quarter is None) == (day is None)
        if quarter and day:
            assert day[0] <= quarter[0] <= start < end <= quarter[1] <= day[1]


@given(at=any_time)
def test_trading_days_hold_their_times(at: int) -> None:
    """A trading day starts in itself and not after its times; a 1d bar is all of one."""
    for calendar in (CONTINUOUS, EXTENDED, REGULAR):
        start = calendar.trading_day(at)
        assert start <= at
        assert calendar.trading_day(start) == start
        day = calendar.bar(at, "1d")
        if day:
            assert (calendar.trading_day(day[0]), calendar.trading_day(day[1] - 1)) == (start, start)
            assert calendar.trading_day(day[1]) == day[1]


@given(at=any_time)
def test_what_was_asked_before_changes_no_answer(at: int) -> None:
    """The calendar remembers the last day; it must not be taken for another."""
    for fresh, used in ((UsEquitiesCalendar("extended"), EXTENDED), (UsEquitiesCalendar("regular"), REGULAR)):
        for time in (at, at + DAY_US, at):
            assert used.bar(time, "4h") == fresh.bar(time, "4h")
            assert used.bar(time, "1d") == fresh.bar(time, "1d")
            assert used.is_open(time) == fresh.is_open(time)
