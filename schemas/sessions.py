"""When a market trades: which bar, which trading day and which session a time belongs to.

**Every class of symbols**: bars of 1m, 5m, 15m and 1h are aligned to UTC. 4h and 1d bars follow the calendar.

**continuous and crypto**: always open, always in the regular session. 4h and 1d bars and the trading day are
those of UTC.

**us_equities, extended hours** (the default)
    - 1d is the date in New York, from midnight to midnight: 23, 24 or 25 hours.
    - 4h are 0-4, 4-8, .. 20-24 by the clock in New York. On the two days on which the clock changes the first
      of them is 3 or 5 hours long; no other bar differs.
    - Every trade has its bars: one outside of the sessions (overnight, at a weekend, on a holiday) belongs to
      the bars of its date in New York.
    - The trading day is the date in New York, so session VWAP begins with the first trade after midnight.
    - Trades are to be expected on trading days from 04:00 until four hours after the regular close: until
      20:00, on half days until 17:00.

**us_equities, regular hours**
    - 1d is the regular session: 09:30-16:00, on half days 09:30-13:00.
    - 4h begin with the open: 09:30-13:30 and 13:30-16:00, on half days 09:30-13:00.
    - A trade outside of the regular session has bars of 1m to 1h and none of 4h and 1d.
    - The trading day changes at the open and at the close. So the VWAP of a session holds that session and
      nothing else; from a close to the next open another one runs.
    - Trades are to be expected in the regular session.

The 1h bar in which the regular session opens begins half an hour before it. Ask for the trading day of a bar
with its last microsecond, ``trading_day(end - 1)``: that bar then belongs to the session.

The regular sessions come from the calendar XNYS of ``exchange_calendars``, from 1990 to 2050, with the
holidays and half days known or ruled today; before and after, each weekday has one, 09:30-16:00. That range
is fixed: a replay decides as the live system did, whenever it runs. Dates and the clock in New York come from
the time zone database.
"""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import cache, lru_cache
from itertools import pairwise
from typing import Protocol
from zoneinfo import ZoneInfo

from schemas.intervals import INTERVALS, MINUTE_US
from schemas.settings import Hours

NEW_YORK = ZoneInfo("America/New_York")
FIRST_KNOWN = date(1990, 1, 1)
LAST_KNOWN = date(2050, 12, 31)
SECOND_US = 1_000_000
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US
UTC_ALIGNED = {interval: length for interval, length in INTERVALS.items() if length <= HOUR_US}
REGULAR_OPEN, REGULAR_CLOSE = time(9, 30), time(16)
EXTENDED_OPEN = time(4)
AFTER_HOURS_US = 4 * HOUR_US
FIRST_DATED_US = -2_208_988_800_000_000
LAST_DATED_US = 253_402_128_000_000_000
"""1900 and 9999-12-30. Python has no dates much later, and nothing before is market data. A day out there is
one of UTC without a session: no time that a record may carry is an error."""


class Calendar(Protocol):
    """Times are microseconds since 1970 UTC; every integer is accepted."""

    def bar(self, event_time_us: int, interval: str) -> tuple[int, int] | None:
        """``[start, end)`` of the bar of ``interval`` that holds the time; None: no bar of it does.

        Raises KeyError for an interval that is not one of INTERVALS."""

    def trading_day(self, event_time_us: int) -> int:
        """Start of the trading day that the time belongs to. Session VWAP begins anew where it changes."""

    def is_open(self, event_time_us: int) -> bool:
        """Whether trades are to be expected at that time: a feed that is silent then is stale."""

    def is_regular(self, event_time_us: int) -> bool:
        """Whether the time is in the regular session."""


class UtcCalendar:
    """A market that never closes, by the days of UTC."""

    def bar(self, event_time_us: int, interval: str) -> tuple[int, int] | None:
        length = INTERVALS[interval]
        start = event_time_us - event_time_us % length
        return start, start + length

    def trading_day(self, event_time_us: int) -> int:
        return event_time_us - event_time_us % DAY_US

    def is_open(self, event_time_us: int) -> bool:  # noqa: ARG002 -- part of the interface
        return True

    def is_regular(self, event_time_us: int) -> bool:  # noqa: ARG002 -- part of the interface
        return True


class UsEquitiesCalendar:
    """US equities by the clock in New York. Making the first one of a process takes about a second."""

    def __init__(self, hours: Hours = "extended") -> None:
        known_sessions()  # now, and not when the first trade waits for it
        self._hours: Hours = hours
        self._day = _day_of(FIRST_DATED_US, hours)

    def bar(self, event_time_us: int, interval: str) -> tuple[int, int] | None:
        length = UTC_ALIGNED.get(interval)
        if length is not None:
            start = event_time_us - event_time_us % length
            return start, start + length
        for bar in self._find(event_time_us).bars[interval]:
            if event_time_us < bar[1]:
                return bar if bar[0] <= event_time_us else None
        return None

    def trading_day(self, event_time_us: int) -> int:
        starts = self._find(event_time_us).trading_days
        return starts[bisect_right(starts, event_time_us) - 1]

    def is_open(self, event_time_us: int) -> bool:
        start, end = self._find(event_time_us).open_hours
        return start <= event_time_us < end

    def is_regular(self, event_time_us: int) -> bool:
        start, end = self._find(event_time_us).session
        return start <= event_time_us < end

    def _find(self, event_time_us: int) -> "_Day":
        day = self._day  # the last one found: nearly all trades are of the same day
        if not day.start <= event_time_us < day.end:
            day = self._day = _day_of(event_time_us, self._hours)
        return day


@dataclass(frozen=True, slots=True)
class KnownSessions:
    """The regular sessions ``(open, close)`` by the ordinal of their date, of all dates ``first..last``."""

    first: int
    last: int
    sessions: Mapping[int, tuple[int, int]]


@cache
def known_sessions() -> KnownSessions:
    """The schedule of the New York Stock Exchange, built once in a process."""
    # Imported here because it brings pandas along: a second and 100 MB that only US equities need.
    from exchange_calendars import get_calendar  # noqa: PLC0415

    calendar = get_calendar("XNYS", start=FIRST_KNOWN.isoformat(), end=LAST_KNOWN.isoformat())
    dates = (session.toordinal() for session in calendar.sessions)
    opens, closes = (calendar.opens_nanos // 1000).tolist(), (calendar.closes_nanos // 1000).tolist()
    return KnownSessions(
        first=FIRST_KNOWN.toordinal(),
        last=LAST_KNOWN.toordinal(),
        sessions=dict(zip(dates, zip(opens, closes, strict=True), strict=True)),
    )


@dataclass(frozen=True, slots=True)
class _Day:
    """A date in New York, ``[start, end)``. ``bars`` are those of 4h and 1d, ascending; ``trading_days`` are
    the starts of those that touch the date, the first not after ``start``. No session is an empty one."""

    start: int
    end: int
    bars: Mapping[str, tuple[tuple[int, int], ...]]
    trading_days: tuple[int, ...]
    session: tuple[int, int]
    open_hours: tuple[int, int]


def _day_of(event_time_us: int, hours: Hours) -> _Day:
    if not FIRST_DATED_US <= event_time_us < LAST_DATED_US:
        start = event_time_us - event_time_us % DAY_US
        grid = tuple(range(start, start + DAY_US + 1, INTERVALS["4h"]))
        return _undated_day(grid)
    ordinal = datetime.fromtimestamp(event_time_us // SECOND_US, NEW_YORK).toordinal()
    return _extended_day(ordinal) if hours == "extended" else _regular_day(ordinal)


def _undated_day(grid: tuple[int, ...]) -> _Day:
    start, end = grid[0], grid[-1]
    return _Day(start, end, _bars(grid), (start,), (end, end), (end, end))


@lru_cache(maxsize=64)
def _extended_day(ordinal: int) -> _Day:
    grid = (*(_clock(ordinal, time(hour)) for hour in range(0, 24, 4)), _clock(ordinal + 1, time()))
    start, end = grid[0], grid[-1]
    session = _session(ordinal)
    open_hours = (_clock(ordinal, EXTENDED_OPEN), session[1] + AFTER_HOURS_US) if session else (end, end)
    return _Day(start, end, _bars(grid), (start,), session or (end, end), open_hours)


@lru_cache(maxsize=64)
def _regular_day(ordinal: int) -> _Day:
    start, end = _clock(ordinal, time()), _clock(ordinal + 1, time())
    before = ordinal - 1
    while (last := _session(before)) is None:
        before -= 1
    session = _session(ordinal)
    if session is None:
        return _Day(start, end, {"4h": (), "1d": ()}, (last[1],), (end, end), (end, end))
    grid = (*range(session[0], session[1], INTERVALS["4h"]), session[1])
    return _Day(start, end, _bars(grid), (last[1], *session), session, session)


def _bars(grid: tuple[int, ...]) -> Mapping[str, tuple[tuple[int, int], ...]]:
    return {"4h": tuple(pairwise(grid)), "1d": ((grid[0], grid[-1]),)}


def _session(ordinal: int) -> tuple[int, int] | None:
    known = known_sessions()
    if known.first <= ordinal <= known.last:
        return known.sessions.get(ordinal)
    if date.fromordinal(ordinal).weekday() >= 5:
        return None
    return _clock(ordinal, REGULAR_OPEN), _clock(ordinal, REGULAR_CLOSE)


def _clock(ordinal: int, at: time) -> int:
    """Microseconds since 1970 UTC when the clock in New York shows ``at`` on that date."""
    return int(datetime.combine(date.fromordinal(ordinal), at, NEW_YORK).timestamp()) * SECOND_US
