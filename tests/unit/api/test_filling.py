"""Which bars are filled, and with what."""

from datetime import UTC, datetime
from itertools import islice

import pytest

from api.filling import fill_forward, open_slots
from api.models import Candle
from api.times import to_datetime, to_micros
from schemas.intervals import INTERVALS, MINUTE_US
from schemas.sessions import Calendar, UsEquitiesCalendar, UtcCalendar
from tests.unit.api.fake_market import at

UTC_DAYS = UtcCalendar()


def starts(calendar: Calendar, interval: str, start: int, end: int) -> list[str]:
    return [f"{to_datetime(slot[0]):%d %H:%M}" for slot in open_slots(calendar, interval, start, end)]


def a_bar(start: int, close: float | None, length: int = MINUTE_US) -> Candle:
    return Candle(
        symbol="A", interval="1m", start=to_datetime(start), end=to_datetime(start + length), open=close,
        high=close, low=close, close=close, volume=1.0, notional=1.0, vwap=1.0, trades=1, final=True,
        version=3, sources=["s"], late_trades=0, updated_at=None, quality=1.0, observed=1.0,
    )  # fmt: skip


def test_slots_of_a_market_that_never_closes_touch_each_other() -> None:
    """Those that start in the range, wherever it begins and ends within one."""
    range_ = at(2026, 3, 7, 23, 57, 30), at(2026, 3, 8, 0, 1, 30)
    assert starts(UTC_DAYS, "1m", *range_) == ["08 00:01", "08 00:00", "07 23:59", "07 23:58"]
    assert starts(UTC_DAYS, "1m", at(2026, 3, 8), at(2026, 3, 8)) == []
    assert starts(UTC_DAYS, "1d", at(2026, 3, 6), at(2026, 3, 8, 5)) == ["08 00:00", "07 00:00", "06 00:00"]


@pytest.mark.parametrize(
    ("interval", "hours", "expected"),
    [
        # Friday 3 July 2026 is a holiday. Times are UTC, New York is 4 hours behind.
        ("1d", "extended", ["06 04:00", "02 04:00", "01 04:00"]),
        ("1d", "regular", ["06 13:30", "02 13:30", "01 13:30"]),
        ("4h", "regular", ["06 17:30", "06 13:30", "02 17:30", "02 13:30", "01 17:30", "01 13:30"]),
        ("4h", "extended", ["06 20:00", "06 16:00", "06 12:00", "06 08:00", "02 20:00", "02 16:00",
                            "02 12:00", "02 08:00", "01 20:00", "01 16:00", "01 12:00", "01 08:00"]),
    ],
)  # fmt: skip
def test_nights_weekends_and_holidays_of_us_equities_are_not_filled(
    interval: str, hours: str, expected: list[str]
) -> None:
    """Days and quarter days by New York's clock, while trades are to be expected."""
    calendar = UsEquitiesCalendar("regular" if hours == "regular" else "extended")
    assert starts(calendar, interval, at(2026, 7, 1, 4), at(2026, 7, 7, 4)) == expected


def test_minutes_and_hours_of_us_equities_end_and_begin_with_the_session() -> None:
    """The hour in which the session opens counts; a weekend is passed over."""
    regular = UsEquitiesCalendar("regular")
    monday = at(2026, 3, 16, 14)
    assert starts(regular, "1h", at(2026, 3, 13, 18), monday) == ["16 13:00", "13 19:00", "13 18:00"]
    minutes = [to_datetime(slot[0]) for slot in islice(open_slots(regular, "1m", 0, monday), 32)]
    assert (minutes[29].day, minutes[29].hour, minutes[29].minute) == (16, 13, 30)
    assert (minutes[30].day, minutes[30].hour, minutes[30].minute) == (13, 19, 59)


def test_a_late_opening_that_is_no_half_hour_is_kept() -> None:
    """The exchange opened at 9:32 on 11 September 2006: no minute of it is lost."""
    regular = UsEquitiesCalendar("regular")
    day = at(2006, 9, 11)
    first = list(open_slots(regular, "1m", day, day + INTERVALS["1d"]))[-1][0]
    assert regular.is_open(first)
    assert not regular.is_open(first - MINUTE_US)


def test_what_is_filled_has_the_close_before_and_no_trades() -> None:
    """Each field; the bars between which it lies are as they were, but for the mark."""
    base = at(2026, 3, 8)
    bars = [a_bar(base + 2 * MINUTE_US, 7.0), a_bar(base, 5.0)]
    slots = list(open_slots(UTC_DAYS, "1m", base, base + 3 * MINUTE_US))
    newest, filled, oldest = fill_forward("A", "1m", slots, bars, None)
    assert filled.model_dump(exclude={"indicators", "provider_bar"}) == {
        "symbol": "A", "interval": "1m",
        "start": datetime(2026, 3, 8, 0, 1, tzinfo=UTC), "end": datetime(2026, 3, 8, 0, 2, tzinfo=UTC),
        "open": 5.0, "high": 5.0, "low": 5.0, "close": 5.0, "volume": 0.0, "notional": 0.0, "vwap": None,
        "trades": 0, "final": True, "version": 0, "sources": [], "late_trades": None, "updated_at": None,
        "quality": None, "observed": None, "filled": True,
    }  # fmt: skip
    assert [newest, oldest] == bars
    assert "indicators" not in filled.model_fields_set
    assert "filled" in oldest.model_fields_set


def test_a_bar_without_a_price_passes_the_close_before_on() -> None:
    """All its trades were cancelled; and before the first price nothing is filled."""
    base = at(2026, 3, 8)
    bars = [a_bar(base + 4 * MINUTE_US, None), a_bar(base + 2 * MINUTE_US, 5.0), a_bar(base, None)]
    slots = list(open_slots(UTC_DAYS, "1m", base, base + 6 * MINUTE_US))
    rows = fill_forward("A", "1m", slots, bars, None)
    assert [(to_micros(row.start) - base) // MINUTE_US for row in rows] == [5, 4, 3, 2, 0]
    assert [row.close for row in rows] == [5.0, None, 5.0, 5.0, None]
    assert [row.filled for row in rows] == [True, False, True, False, False]


def test_a_bar_that_no_calendar_has_stays_and_nothing_lies_over_it() -> None:
    """One made under another class of the symbol, or while the market was closed."""
    base = at(2026, 3, 8)
    odd = a_bar(base + MINUTE_US + 30_000_000, 5.0)
    slots = list(open_slots(UTC_DAYS, "1m", base, base + 4 * MINUTE_US))
    rows = fill_forward("A", "1m", slots, [odd], 4.0)
    assert [(to_micros(row.start) - base) / MINUTE_US for row in rows] == [3, 1.5, 0]
    assert [row.close for row in rows] == [5.0, 5.0, 4.0]
