"""Which bar, trading day and session a time belongs to, by the clock in New York."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from schemas.intervals import INTERVALS
from schemas.sessions import Calendar, UsEquitiesCalendar, UtcCalendar, known_sessions

NEW_YORK = ZoneInfo("America/New_York")
UTC = ZoneInfo("UTC")
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
SHORT = ("1m", "5m", "15m", "1h")
EXTENDED = UsEquitiesCalendar("extended")
REGULAR = UsEquitiesCalendar("regular")
CONTINUOUS = UtcCalendar()
MARCH, NOVEMBER = "2024-03-10", "2024-11-03"
"""Sundays on which the clock in New York changes: of 23 and of 25 hours."""
HALF_DAY, HOLIDAY, MONDAY = "2024-11-29", "2024-11-28", "2024-11-25"


def us(text: str, zone: ZoneInfo = NEW_YORK) -> int:
    """Microseconds since 1970 of a local time."""
    at = datetime.fromisoformat(text).replace(tzinfo=zone)
    return int(at.replace(microsecond=0).timestamp()) * 1_000_000 + at.microsecond


def local(bar: tuple[int, int] | None) -> tuple[str, str] | None:
    """A bar as the clock in New York shows it."""
    if bar is None:
        return None
    start, end = (datetime.fromtimestamp(at // 1_000_000, NEW_YORK).isoformat()[:16] for at in bar)
    return start, end


def bars_of_date(calendar: Calendar, day: str, interval: str) -> list[tuple[int, int]]:
    """The different bars that the minutes of a date in New York lie in."""
    start, end = EXTENDED.bar(us(day), "1d") or (0, 0)
    found = (calendar.bar(at, interval) for at in range(start, end, 60_000_000))
    return list(dict.fromkeys(bar for bar in found if bar is not None))


@pytest.mark.parametrize("calendar", [CONTINUOUS, EXTENDED, REGULAR])
@pytest.mark.parametrize("interval", SHORT)
def test_bars_up_to_an_hour_are_aligned_to_utc(calendar: Calendar, interval: str) -> None:
    """In every class, whatever the clock in New York does."""
    length = INTERVALS[interval]
    for text in (
        f"{MARCH}T01:59:59.999999",
        f"{MARCH}T03:00:00",
        f"{NOVEMBER}T23:17:31",
        f"{HALF_DAY}T13:00",
    ):
        at = us(text)
        start, end = calendar.bar(at, interval) or (0, 0)
        assert start % length == 0
        assert start <= at < end
        assert end - start == length


def test_without_a_market_of_its_own_days_are_those_of_utc() -> None:
    """Crypto and the simulator: 4h and 1d from midnight UTC, always open."""
    at = us("2024-03-10T23:59:59.999999", UTC)
    assert CONTINUOUS.bar(at, "4h") == (us("2024-03-10T20:00", UTC), us("2024-03-11", UTC))
    assert CONTINUOUS.bar(at, "1d") == (us("2024-03-10", UTC), us("2024-03-11", UTC))
    assert CONTINUOUS.bar(at + 1, "1d") == (us("2024-03-11", UTC), us("2024-03-12", UTC))
    assert CONTINUOUS.trading_day(at) == us("2024-03-10", UTC)
    assert CONTINUOUS.is_open(at)
    assert CONTINUOUS.is_regular(at)


@pytest.mark.parametrize(
    ("day", "hours", "first"), [(MARCH, 23, 3), (NOVEMBER, 25, 5), (MONDAY, 24, 4), ("1995-04-02", 23, 3)]
)
def test_extended_days_are_dates_in_new_york(day: str, hours: int, first: int) -> None:
    """On the days on which the clock changes they, and their first 4h bar, are an hour shorter or longer."""
    start = us(day)
    assert bars_of_date(EXTENDED, day, "1d") == [(start, start + hours * HOUR_US)]
    ends = [start + (first + 4 * number) * HOUR_US for number in range(6)]
    assert bars_of_date(EXTENDED, day, "4h") == list(zip([start, *ends[:-1]], ends, strict=True))


@pytest.mark.parametrize("day", [MARCH, NOVEMBER, MONDAY, HOLIDAY, HALF_DAY, "1995-07-04", "2035-06-05"])
def test_extended_4h_bars_are_a_grid_of_the_clock(day: str) -> None:
    """0, 4, 8, 12, 16 and 20 o'clock, also where the clock changes, at a weekend and on a holiday."""
    starts = [(local(bar) or ("", ""))[0] for bar in bars_of_date(EXTENDED, day, "4h")]
    assert starts == [f"{day}T{hour:02}:00" for hour in range(0, 24, 4)]


def test_the_boundaries_of_extended_bars_hold_to_the_microsecond() -> None:
    """The last microsecond is of the bar, the next one is not."""
    assert local(EXTENDED.bar(us(f"{MARCH}T03:59:59.999999"), "4h")) == (f"{MARCH}T00:00", f"{MARCH}T04:00")
    assert local(EXTENDED.bar(us(f"{MARCH}T04:00"), "4h")) == (f"{MARCH}T04:00", f"{MARCH}T08:00")
    before, after = us(f"{NOVEMBER}T23:59:59.999999"), us("2024-11-04")
    assert local(EXTENDED.bar(before, "1d")) == (f"{NOVEMBER}T00:00", "2024-11-04T00:00")
    assert local(EXTENDED.bar(after, "1d")) == ("2024-11-04T00:00", "2024-11-05T00:00")
    assert (EXTENDED.trading_day(before), EXTENDED.trading_day(after)) == (us(NOVEMBER), us("2024-11-04"))


@pytest.mark.parametrize(
    ("day", "session", "quarters"),
    [
        (MONDAY, ("09:30", "16:00"), [("09:30", "13:30"), ("13:30", "16:00")]),
        (HALF_DAY, ("09:30", "13:00"), [("09:30", "13:00")]),
        ("2024-03-11", ("09:30", "16:00"), [("09:30", "13:30"), ("13:30", "16:00")]),
        ("1995-07-05", ("09:30", "16:00"), [("09:30", "13:30"), ("13:30", "16:00")]),
        ("2035-11-23", ("09:30", "13:00"), [("09:30", "13:00")]),
    ],
)
def test_regular_days_are_sessions(
    day: str, session: tuple[str, str], quarters: list[tuple[str, str]]
) -> None:
    """4h bars begin with the open; half days end at 13:00, also in 2035."""
    found = {
        interval: [local(bar) for bar in bars_of_date(REGULAR, day, interval)] for interval in ("1d", "4h")
    }
    assert found == {
        "1d": [(f"{day}T{session[0]}", f"{day}T{session[1]}")],
        "4h": [(f"{day}T{start}", f"{day}T{end}") for start, end in quarters],
    }


@pytest.mark.parametrize("day", [HOLIDAY, MARCH, NOVEMBER, "1995-07-04", "2035-07-04", "2035-11-04"])
def test_a_day_without_a_session_has_no_regular_bars(day: str) -> None:
    """Holidays and weekends; its trades still have bars up to 1h."""
    assert bars_of_date(REGULAR, day, "1d") == []
    assert bars_of_date(REGULAR, day, "4h") == []
    assert len(bars_of_date(REGULAR, day, "1h")) in (23, 24, 25)


def test_the_boundaries_of_a_regular_session_hold_to_the_microsecond() -> None:
    """Open included, close not; outside there is no bar of 4h and 1d, and one of each shorter interval."""
    opened, closed = us(f"{HALF_DAY}T09:30"), us(f"{HALF_DAY}T13:00")
    assert REGULAR.bar(opened - 1, "1d") is None
    assert REGULAR.bar(opened, "1d") == REGULAR.bar(closed - 1, "1d") == (opened, closed)
    assert REGULAR.bar(closed, "1d") is None
    assert REGULAR.bar(closed, "4h") is None
    assert REGULAR.bar(closed, "1m") == (closed, closed + 60_000_000)
    assert [EXTENDED.is_regular(at) for at in (opened - 1, opened, closed - 1, closed)] == [
        False, True, True, False
    ]  # fmt: skip


def test_the_regular_trading_day_changes_at_the_open_and_at_the_close() -> None:
    """So the VWAP of a session holds the session; what lies between two sessions has one of its own."""
    last_close = us("2024-11-27T16:00")
    opened, closed = us(f"{HALF_DAY}T09:30"), us(f"{HALF_DAY}T13:00")
    next_open = us("2024-12-02T09:30")
    changes = [(last_close, last_close), (opened, opened), (closed, closed), (next_open, next_open)]
    assert [(at, REGULAR.trading_day(at)) for at, _ in changes] == changes
    assert REGULAR.trading_day(last_close - 1) == us("2024-11-27T09:30")
    assert REGULAR.trading_day(us(f"{HOLIDAY}T12:00")) == last_close
    assert REGULAR.trading_day(opened - 1) == last_close
    assert REGULAR.trading_day(closed - 1) == opened
    assert REGULAR.trading_day(us("2024-12-01T23:00")) == closed


def test_the_1h_bar_of_the_open_counts_to_the_session_by_its_last_microsecond() -> None:
    """It begins half an hour before the open."""
    opened = us(f"{MONDAY}T09:30")
    start, end = REGULAR.bar(opened, "1h") or (0, 0)
    assert start < opened < end
    assert REGULAR.trading_day(end - 1) == opened


@pytest.mark.parametrize(
    ("text", "extended", "regular"),
    [
        (f"{MONDAY}T03:59:59.999999", False, False),
        (f"{MONDAY}T04:00", True, False),
        (f"{MONDAY}T09:29:59.999999", True, False),
        (f"{MONDAY}T09:30", True, True),
        (f"{MONDAY}T15:59:59.999999", True, True),
        (f"{MONDAY}T16:00", True, False),
        (f"{MONDAY}T19:59:59.999999", True, False),
        (f"{MONDAY}T20:00", False, False),
        (f"{HALF_DAY}T13:00", True, False),
        (f"{HALF_DAY}T16:59:59.999999", True, False),
        (f"{HALF_DAY}T17:00", False, False),
        (f"{HOLIDAY}T12:00", False, False),
        (f"{MARCH}T12:00", False, False),
        ("1995-07-05T12:00", True, True),
        ("2035-07-05T12:00", True, True),
        ("2001-09-12T12:00", False, False),
    ],
)
def test_when_trades_are_to_be_expected(text: str, extended: bool, regular: bool) -> None:
    """A feed that is silent at night, at a weekend or on a holiday is not stale."""
    assert (EXTENDED.is_open(us(text)), REGULAR.is_open(us(text))) == (extended, regular)
    assert EXTENDED.is_regular(us(text)) == REGULAR.is_regular(us(text)) == regular


@pytest.mark.parametrize("year", [1985, 2060])
def test_beyond_the_known_schedule_each_weekday_has_a_session(year: int) -> None:
    """07-04 is a session there: no holidays are known. Weekends have none."""
    weekday, sunday = {1985: ("07-04", "07-07"), 2060: ("07-05", "07-04")}[year]
    at = us(f"{year}-{weekday}T12:00")
    assert local(REGULAR.bar(at, "1d")) == (f"{year}-{weekday}T09:30", f"{year}-{weekday}T16:00")
    assert EXTENDED.is_open(at)
    assert REGULAR.bar(us(f"{year}-{sunday}T12:00"), "1d") is None
    assert not EXTENDED.is_open(us(f"{year}-{sunday}T12:00"))


def test_the_schedule_reaches_from_1990_to_2050() -> None:
    """Whenever the process runs: a replay in ten years decides as the live system did."""
    known = known_sessions()
    first, last = (known.sessions[ordinal] for ordinal in (min(known.sessions), max(known.sessions)))
    assert local(first) == ("1990-01-02T09:30", "1990-01-02T16:00")
    assert local(last) == ("2050-12-30T09:30", "2050-12-30T16:00")
    assert REGULAR.trading_day(us("1990-01-02T09:29")) == us("1989-12-29T16:00")
    assert REGULAR.trading_day(us("2051-01-01T12:00")) == us("2050-12-30T16:00")


@pytest.mark.parametrize("at", [-(10**18), -1, 0, 253_402_300_799_999_999, 10**18, 2**63 - 1])
@pytest.mark.parametrize("calendar", [EXTENDED, REGULAR])
def test_no_time_is_an_error(calendar: Calendar, at: int) -> None:
    """Not even one that no date has: a record may carry any."""
    for interval in INTERVALS:
        start, end = calendar.bar(at, interval) or (at, at + 1)
        assert start <= at < end
    assert calendar.trading_day(at) <= at
    assert not calendar.is_regular(at)


@pytest.mark.parametrize("calendar", [CONTINUOUS, EXTENDED, REGULAR])
def test_an_unknown_interval_is_refused(calendar: Calendar) -> None:
    """By name."""
    with pytest.raises(KeyError, match="2h"):
        calendar.bar(us(MONDAY), "2h")
