"""A symbol's bars as bytes and back."""

import msgpack
import pytest

from jobs.domain import bar_state
from jobs.domain.bars import Bar, Rules, SymbolBars
from schemas.intervals import INTERVALS, MINUTE_US
from tests.unit.jobs.builders import START_US, SymbolDriver, a_trade

KEY = "0" * 48


def test_a_symbol_that_was_never_seen_has_an_empty_book() -> None:
    """Flink gives None where there is no state."""
    assert bar_state.load(None) == SymbolBars()


def test_everything_comes_back() -> None:
    """Prices that are not there, several sources, amounts beyond 64 bits, bars of each interval."""
    book = SymbolBars(greatest_event_time=2**52, watermark=2**51, live_shown_at=2**50, live_is_due=True)
    for number, interval in enumerate(INTERVALS):
        book.dropped_events[interval] = 2**40 + number
        book.bars[interval][number] = Bar(number)
        book.bars[interval][START_US] = Bar(
            START_US, KEY, KEY.replace("0", "f"), 0.1 + 0.2, 5e-324, 2**80 + 1, 10**25 + 7, 2**40, 2**41,
            True, ("a", "é"),
        )  # fmt: skip
    assert bar_state.load(bar_state.dump(book)) == book


def test_a_book_that_has_lived_comes_back() -> None:
    """With forgotten bars, and one that is due to be shown."""
    bars = SymbolDriver(Rules(horizon=MINUTE_US))
    for minute in range(8):
        bars.add(
            a_trade(minute * MINUTE_US),
            a_trade(minute * MINUTE_US + 1, updates_open_close=False, updates_high_low=False),
        )
        bars.advance(minute * MINUTE_US)
    bars.add(a_trade(7 * MINUTE_US + 2))
    book = bar_state.load(bars.state)
    assert book.live_is_due
    assert book.dropped_events["1m"] > 0
    assert bar_state.load(bar_state.dump(book)) == book


def test_state_of_another_layout_is_refused() -> None:
    """Rather than misread."""
    with pytest.raises(ValueError, match=r"layout 99 cannot be read by this version \(it reads 1\)"):
        bar_state.load(msgpack.packb([99, "whatever"]))
