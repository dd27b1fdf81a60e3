"""The life of a bar: live, final, corrected; what is refused; what is forgotten."""

from dataclasses import replace

import pytest

from jobs.domain import bar_state
from jobs.domain.bars import FIRST_INTERVAL, VERSIONS_PER_GENERATION, Rules, TooLateError
from jobs.domain.indicators import Indicators
from schemas.events import Candle
from schemas.intervals import INTERVALS, MINUTE_US
from schemas.sessions import UtcCalendar
from tests.unit.jobs.builders import (
    DAY_US,
    MARKET,
    SECOND_US,
    START_US,
    SymbolDriver,
    a_cancel,
    a_trade,
    slice_of,
)

GRACE_US = Rules().grace
HORIZON_US = Rules().horizon
DEDUP_US = Rules().dedup_memory


def minutes(candles: list[Candle]) -> list[Candle]:
    return [candle for candle in candles if candle.interval == "1m"]


def versions(candles: list[Candle]) -> dict[tuple[str, int], int]:
    return {(candle.interval, candle.start - START_US): candle.version for candle in candles}


def test_the_first_trade_shows_a_live_bar_of_every_interval() -> None:
    """All start at midnight here, and hold the one trade."""
    candles = SymbolDriver().add(a_trade(7, price=101.5, size=2.0))
    assert candles == [
        Candle("AAPL", interval, START_US, START_US + length, 101.5, 101.5, 101.5, 101.5, 2.0, 203.0, 101.5,
               1, False, 2, ("sim",))
        for interval, length in INTERVALS.items()
    ]  # fmt: skip


def test_a_bar_is_live_then_final_then_corrected() -> None:
    """Final one grace after its end and not a microsecond sooner; a late trade makes a new final version."""
    bars = SymbolDriver()
    bars.add(a_trade(0, price=100.0, size=1.0))
    live = minutes(bars.add(a_trade(59 * SECOND_US, price=103.0, size=2.0)))
    assert [(bar.close, bar.trades, bar.final, bar.version) for bar in live] == [(103.0, 2, False, 4)]
    assert minutes(bars.advance(MINUTE_US + GRACE_US - 1)) == []
    final = minutes(bars.advance(MINUTE_US + GRACE_US))
    assert final == [replace(live[0], final=True, version=5)]
    corrected = minutes(bars.add(a_trade(30 * SECOND_US, price=99.0, size=1.0)))
    assert corrected == [
        replace(final[0], low=99.0, volume=4.0, notional=405.0, vwap=101.25, trades=3, version=7,
                late_trades=1)
    ]  # fmt: skip


def test_within_the_grace_a_late_trade_changes_a_bar_that_is_still_live() -> None:
    """The grace is there so that the final version is seldom corrected."""
    bars = SymbolDriver()
    bars.add(a_trade(0))
    bars.advance(MINUTE_US + GRACE_US - 1)
    assert [(bar.final, bar.version) for bar in minutes(bars.add(a_trade(1)))] == [(False, 4)]


def test_open_and_close_go_by_event_time_then_sequence_whatever_the_arrival() -> None:
    """Most trades share their millisecond with another; the sequence tells them apart."""
    first = a_trade(1_000, price=10.0, sequence=5)
    second = a_trade(1_000, price=30.0, sequence=6)
    third = a_trade(2_000, price=20.0, sequence=1)
    for order in ([first, second, third], [third, second, first], [second, third, first]):
        bars = SymbolDriver()
        for trade in order:
            bars.add(trade)
        assert (bars.last["1m", 0].open, bars.last["1m", 0].close) == (10.0, 20.0)
    together = SymbolDriver()
    together.add(second, first)
    assert (together.last["1m", 0].open, together.last["1m", 0].close) == (10.0, 30.0)


def test_an_interval_holds_its_start_and_not_its_end() -> None:
    """A trade at 00:01:00.000000 opens the second minute."""
    bars = SymbolDriver()
    bars.add(a_trade(MINUTE_US - 1, price=1.0))
    bars.add(a_trade(MINUTE_US, price=2.0))
    assert (bars.last["1m", 0].close, bars.last["1m", MINUTE_US].open) == (1.0, 2.0)
    bars.advance(5 * MINUTE_US + GRACE_US)
    assert bars.last["5m", 0].trades == 2


def test_every_interval_starts_on_the_utc_day() -> None:
    """A trade at 15:59:59.999999 of the second day."""
    bars = SymbolDriver()
    bars.add(a_trade(DAY_US + 16 * 60 * MINUTE_US - 1))
    assert dict(bars.last.keys()) == {
        "1m": DAY_US + 959 * MINUTE_US,
        "5m": DAY_US + 955 * MINUTE_US,
        "15m": DAY_US + 945 * MINUTE_US,
        "1h": DAY_US + 900 * MINUTE_US,
        "4h": DAY_US + 720 * MINUTE_US,
        "1d": DAY_US,
    }


def test_a_version_counts_the_events_of_earlier_bars_too() -> None:
    """Two events in the first minute, one in the second, three in the third."""
    bars = SymbolDriver()
    for at in (0, 1, MINUTE_US, 2 * MINUTE_US, 2 * MINUTE_US + 1, 2 * MINUTE_US + 2):
        bars.add(a_trade(at))
    bars.advance(5 * MINUTE_US + GRACE_US)
    finals = {start: bar.version for (interval, start), bar in bars.last.items() if interval == "1m"}
    assert finals == {0: 2 * 2 + 1, MINUTE_US: 2 * 3 + 1, 2 * MINUTE_US: 2 * 6 + 1}
    assert bars.last["5m", 0].version == 2 * 6 + 1


def test_a_correction_makes_new_versions_of_the_final_bars_after_it() -> None:
    """Their values are the same, but what hangs on the earlier bars (indicators) is not."""
    bars = SymbolDriver()
    for minute in range(4):
        bars.add(a_trade(minute * MINUTE_US, price=100.0 + minute))
    bars.advance(3 * MINUTE_US + GRACE_US)
    _, second, third, _ = (bars.last["1m", minute * MINUTE_US] for minute in range(4))
    again = minutes(bars.add(a_trade(MINUTE_US + 1, price=50.0)))
    assert again == [
        replace(
            second,
            low=50.0,
            close=50.0,
            volume=2.0,
            notional=151.0,
            vwap=75.5,
            trades=2,
            version=7,
            late_trades=1,
        ),
        replace(third, version=9),
    ]


def test_a_late_first_trade_of_a_minute_is_final_at_once() -> None:
    """The watermark has passed the end of a minute in which nothing had been traded."""
    bars = SymbolDriver()
    bars.add(a_trade(0))
    bars.add(a_trade(2 * MINUTE_US))
    bars.advance(3 * MINUTE_US + GRACE_US)
    again = minutes(bars.add(a_trade(MINUTE_US)))
    assert [(bar.start - START_US, bar.final, bar.version) for bar in again] == [
        (MINUTE_US, True, 5),
        (2 * MINUTE_US, True, 7),
    ]


def test_a_trade_that_comes_with_the_end_of_the_grace_is_final_at_once() -> None:
    """To the microsecond: no timer would come any more."""
    bars = SymbolDriver()
    bars.add(a_trade(MINUTE_US))
    bars.advance(MINUTE_US + GRACE_US)
    assert [(bar.start - START_US, bar.final) for bar in minutes(bars.add(a_trade(0)))] == [(0, True)]


def test_a_generation_wins_over_all_versions_before_it() -> None:
    """A rebuild counts its events anew, from a higher floor."""
    bars = SymbolDriver(Rules(generation=3))
    bars.add(a_trade(0))
    assert bars.last["1d", 0].version == 3 * VERSIONS_PER_GENERATION + 2
    assert VERSIONS_PER_GENERATION == 2**33


def test_a_trade_at_the_horizon_corrects_and_one_beyond_it_is_refused() -> None:
    """To the microsecond, by the symbol's greatest event time; a refusal changes nothing."""
    bars = SymbolDriver()
    bars.add(a_trade(HORIZON_US + MINUTE_US))
    bars.advance(HORIZON_US + MINUTE_US)
    assert bars.add(a_trade(MINUTE_US))[0].final
    state, published = bars.state, list(bars.published)
    with pytest.raises(TooLateError, match=r"300\.000 s behind .* 300 s \(HORIZON_SECONDS\)"):
        bars.add(a_trade(MINUTE_US - 1))
    assert (bars.state, bars.published) == (state, published)


def test_what_is_on_time_is_taken_though_others_have_overtaken_it() -> None:
    """After a restart trades go round the windows until the watermark is known: hours of them, where there is
    much to catch up with. What a window still holds is in its bar all the same, in any order."""
    waiting, overtaking = a_trade(30, price=1.0), a_trade(3 * HORIZON_US, price=3.0)
    begun = a_trade(10, price=2.0)
    overtaken, in_order = SymbolDriver(), SymbolDriver()
    for bars, order in ((overtaken, (begun, overtaking, waiting)), (in_order, (begun, waiting, overtaking))):
        for trade in order:
            bars.add(trade, on_time=trade is waiting)
        bars.advance(DAY_US + GRACE_US)
    assert overtaken.last == in_order.last
    assert (overtaken.last["1d", 0].trades, overtaken.last["1m", 0].trades) == (3, 2)


def test_the_horizon_is_judged_by_the_symbols_own_time() -> None:
    """A quiet symbol is still corrected when the watermark, driven by others, is far ahead of it."""
    bars = SymbolDriver()
    bars.add(a_trade(MINUTE_US))
    bars.advance(HORIZON_US + 3 * MINUTE_US)
    assert bars.add(a_trade(MINUTE_US - 1))[0] == replace(
        bars.last["1m", 0], open=100.0, trades=1, final=True, version=3
    )


def test_what_no_watermark_has_passed_is_never_too_late() -> None:
    """Trades that came before there was one wait for their turn one by one; slices, which have a way of their
    own, overtake them, in a replay by years. A correction may wait for such a trade."""
    bars = SymbolDriver()
    bars.add(a_trade(400 * DAY_US, trade_id="next year"), on_time=True)
    bars.correct(a_cancel("second", MINUTE_US))
    bars.add(a_trade(0, trade_id="first"))
    bars.add(a_trade(1, trade_id="second", correctable=True))
    bars.advance(DAY_US + GRACE_US)
    assert (bars.last["1d", 0].final, bars.last["1d", 0].trades) == (True, 1)
    with pytest.raises(TooLateError):
        bars.add(a_trade(2))


def test_what_dedup_may_have_forgotten_is_refused() -> None:
    """A repeated trade would be counted twice; the bound is the dedup memory behind the watermark."""
    bars = SymbolDriver()
    bars.add(a_trade(10))
    bars.advance(DEDUP_US + 10)
    bars.add(a_trade(10, trade_id="another"))
    with pytest.raises(TooLateError, match=r"beyond 600 s \(DEDUP_MEMORY_SECONDS\)"):
        bars.add(a_trade(9))


def test_a_quiet_symbol_closes() -> None:
    """One trade and then silence: each interval becomes final once, and no timer is left behind."""
    bars = SymbolDriver()
    bars.add(a_trade(0))
    finals = bars.advance(DAY_US + GRACE_US)
    assert [(bar.interval, bar.final, bar.version) for bar in finals] == [
        (interval, True, 3) for interval in INTERVALS
    ]
    assert bars.advance(10 * DAY_US) == []
    assert bars.timers == set()


def test_no_trades_no_bar() -> None:
    """Minutes without trades are not invented."""
    bars = SymbolDriver()
    bars.add(a_trade(0))
    bars.add(a_trade(10 * MINUTE_US))
    bars.advance(20 * MINUTE_US)
    assert {start for interval, start in bars.last if interval == "1m"} == {0, 10 * MINUTE_US}


def test_a_trade_that_sets_no_price_adds_volume_only() -> None:
    """An average-price print: alone it makes a bar without prices, and it never moves those of others."""
    bars = SymbolDriver()
    alone = bars.add(a_trade(0, price=500.0, size=2.0, updates_open_close=False, updates_high_low=False))[0]
    assert (alone.open, alone.high, alone.low, alone.close) == (None, None, None, None)
    assert (alone.volume, alone.notional, alone.vwap, alone.trades) == (2.0, 1000.0, 500.0, 1)
    bars.add(a_trade(1, price=100.0, size=2.0))
    bars.add(a_trade(2, price=900.0, size=0.0, updates_open_close=False, updates_high_low=False))
    bar = bars.last["1m", 0]
    assert (bar.open, bar.high, bar.low, bar.close) == (100.0, 100.0, 100.0, 100.0)
    assert (bar.volume, bar.vwap, bar.trades) == (4.0, 300.0, 3)


def test_a_trade_that_adds_no_volume_sets_the_price_only() -> None:
    """There is no VWAP without volume."""
    bar = SymbolDriver().add(a_trade(0, price=100.0, size=5.0, updates_volume=False))[0]
    assert (bar.open, bar.close, bar.volume, bar.notional, bar.vwap, bar.trades) == (
        100.0,
        100.0,
        0,
        0,
        None,
        1,
    )


def test_a_trade_that_counts_for_nothing_still_makes_a_version() -> None:
    """The version counts events, so that it moves whenever anything was applied."""
    bars = SymbolDriver()
    bars.add(a_trade(0))
    bar = bars.add(a_trade(1, updates_open_close=False, updates_high_low=False, updates_volume=False))[0]
    assert (bar.volume, bar.trades, bar.version) == (1.0, 1, 4)


def test_sources_are_named_once_and_in_order() -> None:
    """Whoever came first."""
    bars = SymbolDriver()
    for source in ("polygon", "finnhub", "polygon"):
        bars.add(a_trade(0, source=source))
    assert bars.last["1m", 0].sources == ("finnhub", "polygon")


def test_longer_intervals_are_shown_at_most_once_in_a_while() -> None:
    """1m goes out with every slice, the others after a second of event time."""
    bars = SymbolDriver()
    bars.add(a_trade(0))
    assert [bar.interval for bar in bars.add(a_trade(SECOND_US - 1))] == [FIRST_INTERVAL]
    assert [bar.interval for bar in bars.add(a_trade(SECOND_US))] == list(INTERVALS)
    assert bars.last["1d", 0].trades == 3


def test_the_last_change_of_a_longer_interval_is_shown_by_a_timer() -> None:
    """When the market falls silent right after it; once, and never again without a change."""
    bars = SymbolDriver()
    bars.add(a_trade(0))
    bars.add(a_trade(200_000))
    bars.add(a_trade(400_000))
    assert bars.advance(1_999_000 - 1) == []
    shown = bars.advance(1_999_000)  # what ends the second that they are due in, for all symbols together
    assert {(bar.interval, bar.trades, bar.final) for bar in shown} == {
        (interval, 3, False) for interval in INTERVALS if interval != FIRST_INTERVAL
    }
    assert bars.advance(50 * SECOND_US) == []


def test_a_timer_that_comes_after_a_slice_has_shown_them_shows_nothing() -> None:
    """The slice was ahead of the watermark."""
    bars = SymbolDriver()
    bars.add(a_trade(0))
    bars.add(a_trade(200_000))
    bars.add(a_trade(1_100_000))
    assert bars.advance(SECOND_US) == []


def test_bars_out_of_reach_are_forgotten_and_their_events_are_not() -> None:
    """State stays small however long a symbol trades; versions go on counting."""
    bars = SymbolDriver(Rules(horizon=2 * MINUTE_US))
    for minute in range(12):
        bars.advance(minute * MINUTE_US)
        bars.add(a_trade(minute * MINUTE_US))
    bars.advance(12 * MINUTE_US + GRACE_US)
    book = bar_state.load(bars.state)
    assert [(start - START_US) // MINUTE_US for start in book.minutes] == [9, 10, 11]
    assert [(bar.start - START_US) // MINUTE_US for bar in book.bars["1m"]] == [9, 10, 11]
    assert [(bar.start - START_US) // MINUTE_US for bar in book.bars["5m"]] == [5, 10]
    assert book.dropped_events == {"1m": 9, "5m": 5, "15m": 0, "1h": 0, "4h": 0, "1d": 0}
    assert (bars.last["1m", 11 * MINUTE_US].version, bars.last["5m", 5 * MINUTE_US].version) == (25, 21)
    corrected = bars.add(a_trade(9 * MINUTE_US))
    assert versions(minutes(corrected)) == {("1m", m * MINUTE_US): 2 * (m + 2) + 1 for m in (9, 10, 11)}


def test_a_bar_is_kept_while_its_last_microsecond_can_be_reached() -> None:
    """And its earlier trades are still in it."""
    bars = SymbolDriver(Rules(horizon=2 * MINUTE_US))
    bars.add(a_trade(0, price=50.0))
    bars.add(a_trade(3 * MINUTE_US - 1))
    bars.advance(3 * MINUTE_US + GRACE_US)
    corrected = minutes(bars.add(a_trade(MINUTE_US - 1)))[0]
    assert (corrected.start, corrected.open, corrected.trades) == (START_US, 50.0, 2)


def test_a_bar_that_was_final_at_once_is_so_after_a_restart() -> None:
    """Its symbol had no timer yet."""
    bars = SymbolDriver()
    bars.advance(3 * MINUTE_US)
    bars.add(a_trade(0))
    bars.restart()
    assert [(bar.final, bar.version) for bar in minutes(bars.add(a_trade(MINUTE_US)))] == [(True, 5)]


def test_after_a_restart_a_correction_of_a_final_bar_is_published_as_one() -> None:
    """The watermark is not known again until every partition has been read; what was final stays final."""

    def corrected(*, restarted: bool) -> dict[tuple[str, int], Candle]:
        bars = SymbolDriver()
        for at in (0, 5 * MINUTE_US, 7 * MINUTE_US):
            bars.add(a_trade(at))
        bars.advance(8 * MINUTE_US + GRACE_US)
        if restarted:
            bars.restart()
        bars.add(a_trade(5 * MINUTE_US + 1, price=101.0))
        bars.add(a_trade(6 * MINUTE_US, price=102.0))
        bars.add(a_trade(4 * MINUTE_US, price=103.0))
        bars.advance(DAY_US + GRACE_US)
        return bars.last

    assert corrected(restarted=True) == corrected(restarted=False)


def test_slices_that_share_nothing_but_the_bar_merge_in_any_order() -> None:
    """One with prices only, one with volume only."""
    prices = a_trade(0, price=10.0, updates_volume=False), a_trade(1, price=20.0, updates_volume=False)
    volume = a_trade(2, price=15.0, size=3.0, updates_open_close=False, updates_high_low=False)
    forward, backward = SymbolDriver(), SymbolDriver()
    forward.add(*prices)
    forward.add(volume)
    backward.add(volume)
    backward.add(*prices)
    assert forward.last["1m", 0] == backward.last["1m", 0]
    assert slice_of(volume).first is None


def test_a_trade_may_set_the_range_and_not_the_close() -> None:
    """Each field by its own flag; alone such a trade makes a bar with high and low only."""
    bars = SymbolDriver()
    alone = bars.add(a_trade(0, price=90.0, updates_open_close=False))[0]
    assert (alone.open, alone.high, alone.low, alone.close, alone.trades) == (None, 90.0, 90.0, None, 1)
    bar = bars.add(a_trade(1, price=100.0))[0]
    assert (bar.open, bar.high, bar.low, bar.close, bar.vwap) == (100.0, 100.0, 90.0, 100.0, 95.0)


def test_late_trades_are_counted_by_what_was_final_when_they_came() -> None:
    """The same trade is late for its minute and not for its day."""
    bars = SymbolDriver()
    bars.add(a_trade(0))
    bars.advance(MINUTE_US + GRACE_US)
    bars.add(a_trade(1), a_trade(2))
    bars.add(a_trade(MINUTE_US))
    assert bars.last["1m", 0].late_trades == 2
    assert bars.last["1m", MINUTE_US].late_trades == 0
    bars.advance(DAY_US + GRACE_US)
    assert bars.last["1d", 0].late_trades == 0


def test_a_candle_tells_when_it_was_made() -> None:
    """By the clock that is given, in versions of trades, timers and corrections alike."""
    bars = SymbolDriver()
    bars.clock = 5
    assert {candle.updated_at for candle in bars.add(a_trade(0, correctable=True))} == {5}
    bars.clock = 6
    assert {candle.updated_at for candle in bars.advance(MINUTE_US + GRACE_US)} == {6}
    bars.clock = 7
    assert {candle.updated_at for candle in bars.correct(a_cancel("t"))} == {7}


def test_quality_counts_clocks_that_were_off_and_outliers() -> None:
    """One trade of four is skewed; then a high 25 % above the rest scores 10 / 25 besides."""
    bars = SymbolDriver()
    bars.add(a_trade(0), a_trade(1), a_trade(2))
    assert bars.add(a_trade(3), skewed=[True])[0].quality == 0.75
    bar = bars.add(a_trade(1, price=125.0, size=0.0))[0]
    assert bar.quality == pytest.approx(0.8 * 10 / 25, rel=1e-12)


def test_no_bar_where_the_calendar_has_none() -> None:
    """At night there are minutes and hours, but no day; the next day's version counts its own trades only."""

    class Daytime(UtcCalendar):
        def bar(self, event_time_us: int, interval: str) -> tuple[int, int] | None:
            midnight = event_time_us - event_time_us % DAY_US
            if interval != "1d":
                return super().bar(event_time_us, interval)
            opens, closes = midnight + 450 * MINUTE_US, midnight + 960 * MINUTE_US
            return (opens, closes) if opens <= event_time_us < closes else None

    bars = SymbolDriver(market=replace(MARKET, calendar=Daytime()))
    assert {bar.interval for bar in bars.add(a_trade(449 * MINUTE_US))} == INTERVALS.keys() - {"1d"}
    bars.add(a_trade(450 * MINUTE_US))
    bars.advance(960 * MINUTE_US + GRACE_US)
    day = bars.last["1d", 450 * MINUTE_US]
    assert (day.end - START_US, day.trades, day.final, day.version) == (960 * MINUTE_US, 1, True, 3)


def test_live_bars_wait_for_the_budget_and_finals_do_not() -> None:
    """What was refused is due, and shown by a timer as soon as there is room."""
    bars = SymbolDriver()
    bars.budget.is_open = False
    assert bars.add(a_trade(0)) == []
    assert bars.advance(2 * SECOND_US) == []
    bars.budget.is_open = True
    shown = bars.advance(4 * SECOND_US)
    assert [(bar.interval, bar.version) for bar in shown] == [(interval, 2) for interval in INTERVALS]
    assert bars.advance(50 * SECOND_US) == []
    bars.budget.is_open = False
    assert [bar.interval for bar in bars.advance(MINUTE_US + GRACE_US)] == ["1m"]
    assert [(bar.interval, bar.version) for bar in bars.add(a_trade(1))] == [("1m", 5)]


def test_refused_live_bars_are_tried_ever_more_rarely_in_silence() -> None:
    """After two seconds, four, eight and so on: a day without trades and room takes 17 timers, not 86,400."""
    bars = SymbolDriver()
    bars.budget.is_open = False
    bars.add(a_trade(0))
    bars.advance(16 * SECOND_US)
    assert bars.budget.asked == [6, 1, 6, 6, 6, 6]
    bars.advance(DAY_US)
    assert len(bars.budget.asked) < 20


def test_refused_live_bars_wait_for_the_watermark_to_reach_their_trades() -> None:
    """It is a day behind after a start, and then passes it in a moment: no timer for each second of it."""
    bars = SymbolDriver()
    bars.budget.is_open = False
    bars.add(a_trade(0))
    bars.add(a_trade(DAY_US))
    finals = bars.advance(DAY_US)
    assert all(bar.final for bar in finals)
    assert len(bars.budget.asked) < 10
    bars.budget.is_open = True
    shown = [bar.interval for bar in bars.advance(DAY_US + 4 * SECOND_US) if not bar.final]
    assert shown == list(INTERVALS)


@pytest.mark.parametrize(("late_s", "seconds"), [(0.5, 1), (30, 30), (86_400, 60)])
def test_refused_live_bars_wait_until_a_log_may_be_made_up_for(late_s: float, seconds: int) -> None:
    """For as much event time as they are late, a minute at most: nobody waits for them."""
    bars = SymbolDriver()
    bars.budget.is_open = False
    bars.late = int(late_s * SECOND_US)
    bars.add(a_trade(0))
    bars.budget.is_open = True
    assert bars.advance(seconds * SECOND_US - 2_000) == []
    shown = [bar for bar in bars.advance((seconds + 1) * SECOND_US) if not bar.final]
    assert len(shown) == len(INTERVALS) - (seconds == 60)


def test_where_all_are_too_many_the_minute_is_shown() -> None:
    """The longer ones stay due."""
    bars = SymbolDriver()
    bars.budget.most = 1
    assert [bar.interval for bar in bars.add(a_trade(0))] == [FIRST_INTERVAL]
    bars.budget.most = 6
    assert [bar.interval for bar in bars.add(a_trade(200_000))] == list(INTERVALS)


def test_without_live_bars_the_final_ones_are_the_same() -> None:
    """And nobody is asked, and no timer waits, for what is not shown."""
    shown, hidden = SymbolDriver(), SymbolDriver(Rules(live=False))
    for bars in (shown, hidden):
        for second in (0, 1, 70, 200, 4000):
            bars.add(a_trade(second * SECOND_US, price=100.0 + second))
        bars.advance(DAY_US + GRACE_US)
    assert [bar for bar in hidden.published if not bar.final] == []
    finals = [replace(bar, updated_at=0) for bar in shown.published if bar.final]
    assert [replace(bar, updated_at=0) for bar in hidden.published] == finals
    assert {bar.interval for bar in finals} == set(INTERVALS)
    assert hidden.budget.asked == []


def test_the_budget_is_asked_for_what_would_be_shown() -> None:
    """All six at first, then the minute, then six of the next timer's."""
    bars = SymbolDriver()
    bars.add(a_trade(0))
    bars.add(a_trade(1))
    bars.advance(1_999_000)
    assert bars.budget.asked == [6, 1, 5]


def test_indicators_follow_final_bars_and_look_at_the_live_one() -> None:
    """SMA of two closes: not defined on the first bar, provisional on the live second, then final."""
    bars = SymbolDriver(market=replace(MARKET, indicators=Indicators("sma:2")))
    assert bars.add(a_trade(0, price=10.0))[0].indicators == {}
    live = bars.add(a_trade(MINUTE_US, price=20.0))[0]
    assert (live.final, live.indicators) == (False, {"sma_2": 15.0})
    assert bars.add(a_trade(MINUTE_US + 1, price=30.0))[0].indicators == {"sma_2": 20.0}
    bars.advance(2 * MINUTE_US + GRACE_US)
    assert bars.last["1m", MINUTE_US].indicators == {"sma_2": 20.0}


def test_a_late_minute_moves_the_indicators_of_those_after_it() -> None:
    """Its trade makes a bar between two that are final; the one after it is published anew."""
    bars = SymbolDriver(market=replace(MARKET, indicators=Indicators("sma:2")))
    bars.add(a_trade(0, price=10.0))
    bars.add(a_trade(2 * MINUTE_US, price=30.0))
    bars.advance(3 * MINUTE_US + GRACE_US)
    assert bars.last["1m", 2 * MINUTE_US].indicators == {"sma_2": 20.0}
    again = minutes(bars.add(a_trade(MINUTE_US, price=50.0)))
    assert [bar.indicators for bar in again] == [{"sma_2": 30.0}, {"sma_2": 40.0}]


def test_indicators_go_on_from_what_is_forgotten() -> None:
    """After an hour only the store knows the closes of the first minutes; and after a restart too."""
    market = replace(MARKET, indicators=Indicators("sma:50"))
    bars = SymbolDriver(market=market)
    for minute in range(60):
        bars.add(a_trade(minute * MINUTE_US, price=float(minute + 1)))
        bars.advance(minute * MINUTE_US)
    assert len(bars.load().minutes) < 8
    assert bars.last["1m", 59 * MINUTE_US].indicators == {"sma_50": sum(range(11, 61)) / 50}
    bars.restart()
    assert bars.add(a_trade(60 * MINUTE_US, price=61.0))[0].indicators == {"sma_50": sum(range(12, 62)) / 50}


def test_other_indicators_begin_anew() -> None:
    """The state in the store was made by another INDICATORS setting."""
    bars = SymbolDriver(Rules(horizon=MINUTE_US), market=replace(MARKET, indicators=Indicators("sma:2")))
    for minute in range(5):
        bars.add(a_trade(minute * MINUTE_US))
        bars.advance(minute * MINUTE_US)
    bars.market = replace(MARKET, indicators=Indicators("ema:1"))
    assert bars.add(a_trade(5 * MINUTE_US, price=7.0))[0].indicators == {"ema_1": 7.0}


def test_a_revision_goes_so_many_bars_far() -> None:
    """With a horizon of more minutes than the cap, what is beyond keeps its version until it is touched."""
    bars = SymbolDriver(Rules(horizon=60 * MINUTE_US, max_revised_bars=2))
    for minute in range(6):
        bars.add(a_trade(minute * MINUTE_US))
    bars.advance(10 * MINUTE_US)
    again = minutes(bars.add(a_trade(MINUTE_US)))
    assert versions(again) == {("1m", m * MINUTE_US): 2 * (m + 2) + 1 for m in (1, 2, 3)}


def test_a_silent_symbol_leaves_nothing_but_counters() -> None:
    """Once the dedup memory has passed its last bar, no event can change anything."""
    bars = SymbolDriver()
    bars.add(a_trade(0, correctable=True))
    bars.correct(a_cancel("unknown"))
    bars.advance(DAY_US + DEDUP_US - 1)
    assert [len(kept) for kept in bars.load().bars.values()] == [0, 0, 0, 0, 0, 1]
    bars.advance(DAY_US + DEDUP_US)
    book = bars.load()
    assert (book.minutes, book.waiting, bars.timers, bars.memory.trades) == ({}, 0, set(), {})
    assert list(book.bars.values()) == [[]] * 6
    assert bars.add(a_trade(2 * DAY_US))[0].version == 2 * 2
