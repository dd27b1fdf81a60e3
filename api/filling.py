"""Bars for the intervals in which nobody traded: at the close before, without trades, marked as filled.

Which intervals there are, the calendar of the symbol's market says: those in which it was open at least in
part. Nights, weekends and holidays of a market that closes are not filled.
"""

from collections.abc import Iterator, Sequence

from api.models import Candle
from api.times import to_datetime, to_micros
from schemas.intervals import INTERVALS, MINUTE_US
from schemas.sessions import Calendar

HOUR_US = INTERVALS["1h"]
HALF_HOUR_US = 30 * MINUTE_US
"""Markets open and close at whole and half hours, but for rare days."""

Slot = tuple[int, int]
"""``[start, end)`` of one bar in microseconds since 1970 UTC."""


def open_slots(calendar: Calendar, interval: str, start: int, end: int) -> Iterator[Slot]:
    """The bars that start in ``[start, end)`` while the market is open, newest first. A closed time costs a
    step for each half hour of it."""
    time = end - 1
    while time >= start:
        bar = calendar.bar(time, interval)
        if bar is None:
            time = _half_hour(time) - 1
            continue
        if bar[0] < start:
            return
        if _is_open_during(calendar, bar):
            yield bar
            time = bar[0] - 1
        else:
            earlier = _half_hour(bar[0])
            time = (bar[0] if calendar.is_open(earlier) else earlier) - 1


def fill_forward(
    symbol: str, interval: str, slots: Sequence[Slot], bars: Sequence[Candle], close: float | None
) -> list[Candle]:
    """``bars``, and for each of ``slots`` that none of them touches a filled one; all of them newest first.
    ``close`` is that of the bar before; where there is none, nothing is filled until a bar has one."""
    rows: list[Candle] = []
    real = [(to_micros(bar.start), to_micros(bar.end), bar) for bar in reversed(bars)]
    reached = at = 0
    for start, end in reversed(slots):
        while at < len(real) and real[at][0] < end:
            _, reached, bar = real[at]
            rows.append(bar.model_copy(update={"filled": False}))
            close = bar.close if bar.close is not None else close
            at += 1
        if reached <= start and close is not None:
            rows.append(_filled(symbol, interval, (start, end), close))
    rows += (bar.model_copy(update={"filled": False}) for _, _, bar in real[at:])
    return rows[::-1]


def _filled(symbol: str, interval: str, slot: Slot, close: float) -> Candle:
    """Version 0: any bar that comes after all replaces it."""
    return Candle(
        symbol=symbol,
        interval=interval,
        start=to_datetime(slot[0]),
        end=to_datetime(slot[1]),
        open=close,
        high=close,
        low=close,
        close=close,
        volume=0.0,
        notional=0.0,
        vwap=None,
        trades=0,
        final=True,
        version=0,
        sources=[],
        late_trades=None,
        updated_at=None,
        quality=None,
        observed=None,
        filled=True,
    )


def _is_open_during(calendar: Calendar, bar: Slot) -> bool:
    """Markets are open for hours at a time, so each full hour and the last moment are enough to look at."""
    return any(calendar.is_open(time) for time in (*range(*bar, HOUR_US), bar[1] - 1))


def _half_hour(time: int) -> int:
    return time - time % HALF_HOUR_US
