"""A symbol's bars as bytes and back."""

import msgpack
import pytest

from jobs.domain import bar_state
from jobs.domain.bar import Bar, Minute
from jobs.domain.bars import Rules, SymbolBars
from jobs.domain.totals import Totals
from schemas.intervals import INTERVALS, MINUTE_US
from tests.unit.jobs.builders import START_US, SymbolDriver, a_cancel, a_trade

KEY = "0" * 48
TOTALS = Totals(KEY, KEY.replace("0", "f"), 0.1 + 0.2, 5e-324, 2**80 + 1, 10**25 + 7, 2**40, 2**41, 3,
                ("a", "é"), 4)  # fmt: skip


def test_a_symbol_that_was_never_seen_has_an_empty_book() -> None:
    """Flink gives None where there is no state."""
    assert bar_state.load(None) == SymbolBars()


def test_everything_comes_back() -> None:
    """Prices that are not there, several sources, amounts beyond 64 bits, bars of each interval."""
    book = SymbolBars(
        minutes={60: Minute(60), 120: Minute(120, TOTALS, TOTALS._replace(high=None), chunks=7)},
        greatest_event_time=2**52,
        watermark=2**51,
        live_shown_at=2**50,
        due={"1m", "1d"},
        live_timer=2**49,
        sweep_timer=2**48,
        waiting=3,
        waiting_since=2**47,
    )
    for number, interval in enumerate(INTERVALS):
        book.dropped_events[interval] = 2**40 + number
        book.indicator_marks[interval] = 2**32 - 1 - number
        book.bars[interval] = [
            Bar(number, 2**53),
            Bar(START_US, START_US + 1, 2**40, 2**39, True, TOTALS),
        ]
    assert bar_state.load(bar_state.dump(book)) == book


def test_a_book_that_has_lived_comes_back() -> None:
    """With forgotten bars, logged trades, a correction that waits, and a bar that is due to be shown."""
    bars = SymbolDriver(Rules(horizon=MINUTE_US))
    for minute in range(8):
        bars.add(
            a_trade(minute * MINUTE_US),
            a_trade(minute * MINUTE_US + 1, updates_open_close=False, updates_high_low=False),
        )
        bars.add(a_trade(minute * MINUTE_US, source="feed", correctable=True))
        bars.advance(minute * MINUTE_US)
    bars.add(a_trade(7 * MINUTE_US + 2))
    bars.correct(a_cancel("another", 7 * MINUTE_US))
    book = bar_state.load(bars.state)
    assert book.due
    assert (book.waiting, book.dropped_events["1m"] > 0) == (1, True)
    assert bar_state.load(bar_state.dump(book)) == book


def test_a_symbol_takes_some_kilobytes_at_most() -> None:
    """A trade in every minute, with the default horizon: what is read and written with every slice."""
    bars = SymbolDriver()
    for minute in range(1500):
        bars.add(a_trade(minute * MINUTE_US, sequence=minute))
        bars.advance(minute * MINUTE_US)
    assert bars.state is not None
    assert len(bars.state) < 3_000


def test_state_of_another_layout_is_refused() -> None:
    """Rather than misread."""
    with pytest.raises(ValueError, match=r"layout 99 cannot be read by this version \(it reads 3\)"):
        bar_state.load(msgpack.packb([99, "whatever"]))
