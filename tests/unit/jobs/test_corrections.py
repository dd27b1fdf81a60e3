"""Cancels and corrections: what they change, which one counts, what waits, what is refused."""

from dataclasses import replace

import pytest

from jobs.domain.bars import Rules, TooLateError
from jobs.domain.indicators import Indicators
from jobs.domain.trade_store import MAX_WAITING
from schemas.events import Candle, Trade
from schemas.intervals import INTERVALS, MINUTE_US
from tests.unit.jobs.builders import (
    DAY_US,
    MARKET,
    SECOND_US,
    START_US,
    SymbolDriver,
    a_cancel,
    a_correct,
    a_trade,
)

GRACE_US, HORIZON_US, DEDUP_US = Rules().grace, Rules().horizon, Rules().dedup_memory


def logged(at: int = 0, price: float = 100.0, size: float = 1.0, **changes: object) -> Trade:
    return a_trade(at, price, size, correctable=True, **changes)


def minute(candles: list[Candle]) -> Candle:
    """The one candle of 1m."""
    [candle] = [each for each in candles if each.interval == "1m"]
    return candle


def three_trades() -> SymbolDriver:
    """Closes at 98; the high is that of ``b``."""
    bars = SymbolDriver()
    bars.add(logged(0, 100.0, trade_id="a"), logged(1, 110.0, 2.0, trade_id="b"))
    bars.add(logged(2, 98.0, trade_id="c"))
    return bars


def test_a_cancelled_trade_never_counted() -> None:
    """Its price is out of the high, its size out of the sums; the version counts trade and cancel."""
    before = minute(SymbolDriver().add(logged(0, 100.0), logged(2, 98.0)))
    after = minute(three_trades().correct(a_cancel("b", SECOND_US)))
    assert after == replace(before, version=2 * 4)


def test_a_corrected_trade_has_its_new_price_size_and_flags_at_its_old_time() -> None:
    """The opening trade still opens."""
    bars = three_trades()
    bar = minute(bars.correct(a_correct("a", SECOND_US, 120.0, 3.0)))
    assert (bar.open, bar.high, bar.low, bar.close) == (120.0, 120.0, 98.0, 98.0)
    assert (bar.volume, bar.notional, bar.trades) == (6.0, 360.0 + 220.0 + 98.0, 3)
    volume_only = a_correct(
        "a", 2 * SECOND_US, 130.0, 3.0, correction_id="c2", updates_high_low=False, updates_open_close=False
    )
    bar = minute(bars.correct(volume_only))
    assert (bar.open, bar.high, bar.volume, bar.trades) == (110.0, 110.0, 6.0, 3)


def test_the_latest_correction_of_a_trade_counts_whatever_came_first() -> None:
    """By event time, then sequence; a cancel may itself be corrected."""
    corrections = [
        a_cancel("b", SECOND_US, correction_id="x"),
        a_correct("b", 2 * SECOND_US, 105.0, 2.0, correction_id="y", sequence=1),
        a_correct("b", 2 * SECOND_US, 104.0, 2.0, correction_id="z", sequence=2),
    ]
    for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0)):
        bars = three_trades()
        for place in order:
            bar = minute(bars.correct(corrections[place]))
        assert (bar.high, bar.volume, bar.version) == (104.0, 4.0, 2 * 6)


@pytest.mark.parametrize("second_first", [False, True])
@pytest.mark.parametrize("trade_last", [False, True])
def test_a_correction_may_refer_to_the_correction_before_it(*, second_first: bool, trade_last: bool) -> None:
    """Some venues name the record that they replace; in any order, also with the trade after both."""
    pair = [
        a_correct("b", SECOND_US, 105.0, 2.0, correction_id="x"),
        a_correct("x", 2 * SECOND_US, 104.0, 2.0, correction_id="y"),
    ]
    trade = logged(1, 110.0, 2.0, trade_id="b")
    bars = SymbolDriver()
    bars.add(logged(0, 100.0, trade_id="a"))
    if not trade_last:
        bars.add(trade)
    for correction in reversed(pair) if second_first else pair:
        bars.correct(correction)
    if trade_last:
        bars.add(trade)
    bar = bars.last["1m", 0]
    assert (bar.high, bar.volume, bar.trades, bar.version) == (104.0, 3.0, 2, 2 * 4)
    assert bars.load().waiting == 0


def test_a_correction_waits_for_its_trade() -> None:
    """Nothing is published until the trade comes; then the version counts both."""
    bars = SymbolDriver()
    bars.add(logged(0, trade_id="a"))
    assert bars.correct(a_cancel("b", SECOND_US)) == []
    assert bars.load().waiting == 1
    bar = minute(bars.add(logged(1, 110.0, trade_id="b"), logged(2, 105.0, trade_id="c")))
    assert (bar.high, bar.trades, bar.version) == (105.0, 2, 2 * 4)
    assert (bars.load().waiting, "waiting" in bars.memory.trades) == (0, False)


def test_a_correction_is_of_its_source() -> None:
    """Two sources may use the same ids."""
    bars = SymbolDriver()
    bars.add(logged(0, 100.0, source="one"))
    bars.add(logged(1, 110.0, source="two"))
    bars.correct(a_cancel("t", SECOND_US, source="three"))
    bar = minute(bars.correct(a_cancel("t", SECOND_US, source="two")))
    assert (bar.high, bar.trades, bar.sources) == (100.0, 1, ("one",))
    assert bars.load().waiting == 1


def test_a_trade_that_was_not_logged_cannot_be_corrected() -> None:
    """Its source sends no cancels: what comes under its name is given up in the end."""
    bars = SymbolDriver()
    bars.add(a_trade(0))
    bars.correct(a_cancel("t"), offset=77)
    bars.advance(DEDUP_US)
    assert bars.unmatched == []
    bars.advance(2 * DEDUP_US)
    [given_up] = bars.unmatched
    assert (given_up.trade_id, given_up.kafka_partition, given_up.kafka_offset) == ("t", 0, 77)
    assert bars.memory.trades == {}


def test_a_bar_without_its_only_trade_is_published_empty() -> None:
    """In every interval; a consumer of the trade's version must learn that it is gone."""
    bars = SymbolDriver()
    bars.add(logged(0))
    bars.advance(MINUTE_US + GRACE_US)
    empty = minute(bars.correct(a_cancel("t", SECOND_US)))
    assert empty == Candle(
        "AAPL", "1m", START_US, START_US + MINUTE_US, None, None, None, None, 0.0, 0.0, None, 0, True, 5, (),
        late_trades=1,
    )  # fmt: skip
    bars.advance(DAY_US + GRACE_US)
    assert {(bar.interval, bar.trades, bar.version) for bar in bars.last.values()} == {
        (interval, 0, 5) for interval in INTERVALS
    }


def test_a_correction_moves_the_bars_and_indicators_after_it() -> None:
    """Two minutes are final; the close of the first one was wrong."""
    bars = SymbolDriver(market=replace(MARKET, indicators=Indicators("sma:2")))
    bars.add(logged(0, 10.0, trade_id="a"))
    bars.add(logged(MINUTE_US, 20.0, trade_id="b"))
    bars.advance(2 * MINUTE_US + GRACE_US)
    assert bars.last["1m", MINUTE_US].indicators == {"sma_2": 15.0}
    changed = bars.correct(a_correct("a", 2 * MINUTE_US, 14.0))
    assert [
        (bar.start - START_US, bar.close, bar.indicators, bar.version) for bar in changed if bar.final
    ] == [
        (0, 14.0, {}, 5),
        (MINUTE_US, 20.0, {"sma_2": 17.0}, 7),
    ]


def test_a_correction_after_a_restart_still_finds_its_trade() -> None:
    """The log is in the store, and which of its chunks there are is in the state."""
    bars = three_trades()
    bars.restart()
    bar = minute(bars.correct(a_cancel("b", SECOND_US, trade_time=START_US + 4 * MINUTE_US)))
    assert (bar.high, bar.trades) == (100.0, 2)


def test_a_correction_beyond_the_horizon_is_refused() -> None:
    """By its trade's time, known or found, or by its own; a refusal changes nothing."""
    bars = SymbolDriver()
    bars.add(logged(MINUTE_US, trade_id="old"))
    bars.add(logged(MINUTE_US + 30 * SECOND_US, trade_id="reached"))
    latest = HORIZON_US + MINUTE_US + 30 * SECOND_US
    bars.add(logged(latest, trade_id="new"))
    bars.advance(latest)
    state, store = bars.state, dict(bars.memory.trades)
    for late in (
        a_cancel("old", latest),
        a_cancel("unknown", latest, trade_time=START_US + MINUTE_US),
        a_cancel("unknown", MINUTE_US),
    ):
        with pytest.raises(TooLateError, match=r"30\.000 s|330\.000 s"):
            bars.correct(late)
    assert (bars.state, bars.memory.trades) == (state, store)
    assert bars.correct(a_cancel("reached", latest))


def test_so_many_corrections_wait_and_no_more() -> None:
    """A source that sends nothing but cancels cannot fill the state."""
    bars = SymbolDriver()
    for number in range(MAX_WAITING + 1):
        bars.correct(a_cancel(f"t{number}", correction_id=f"c{number}"), offset=number)
    assert bars.load().waiting == MAX_WAITING
    assert [each.kafka_offset for each in bars.unmatched] == [MAX_WAITING]


def test_the_log_goes_with_its_minute() -> None:
    """Chunks of slices and corrections alike, when the minute is out of reach."""
    bars = SymbolDriver(Rules(horizon=MINUTE_US))
    for at in range(4):
        bars.add(logged(at * MINUTE_US, trade_id=f"{at}"))
        bars.correct(a_cancel(f"{at}", at * MINUTE_US, correction_id=f"c{at}"))
        bars.advance(at * MINUTE_US + GRACE_US)
    kept = {int(key.partition(".")[0]) - START_US // MINUTE_US for key in bars.memory.trades}
    assert kept == {start // MINUTE_US - START_US // MINUTE_US for start in bars.load().minutes} == {2, 3}
