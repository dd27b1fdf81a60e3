"""What gaps do to bars: the share that was observed, new versions, and nothing else."""

from dataclasses import replace

import pytest

from jobs.domain.bars import Rules
from jobs.domain.coverage import MAX_GAPS
from schemas.intervals import MINUTE_US
from tests.unit.jobs.builders import SECOND_US, START_US, SymbolDriver, a_gap, a_trade

GRACE_US, HORIZON_US, DEDUP_US = Rules().grace, Rules().horizon, Rules().dedup_memory
HOUR_US = 60 * MINUTE_US


def final_minute(bars: SymbolDriver) -> SymbolDriver:
    """One trade in the first minute, which is final."""
    bars.add(a_trade(10 * SECOND_US))
    bars.advance(MINUTE_US + GRACE_US)
    return bars


def test_a_gap_within_the_horizon_makes_a_new_version_of_a_final_bar() -> None:
    """Everything else of it stays, the count of late trades too; the live bars over it say it as well."""
    bars = final_minute(SymbolDriver())
    before = bars.last["1m", 0]
    candles = bars.miss(a_gap(30 * SECOND_US, 45 * SECOND_US))
    assert [bar for bar in candles if bar.interval == "1m"] == [
        replace(before, observed=0.75, version=before.version + 2)
    ]
    assert {bar.interval: bar.observed for bar in candles if bar.interval != "1m"} == dict.fromkeys(
        ("5m", "15m", "1h", "4h", "1d"), 1 - 15 / 45
    )
    bars.advance(5 * MINUTE_US + GRACE_US)
    assert bars.last["5m", 0].observed == pytest.approx(1 - 15 / 300)


def test_a_live_bar_is_observed_for_part_of_what_has_passed() -> None:
    """Up to its last trade, or to the end of the gap where that is later."""
    bars = SymbolDriver()
    bars.add(a_trade(10 * SECOND_US))
    [live] = [bar for bar in bars.miss(a_gap(10 * SECOND_US, 20 * SECOND_US)) if bar.interval == "1m"]
    assert (live.final, live.observed) == (False, 0.5)
    bars.add(a_trade(40 * SECOND_US))
    assert bars.last["1m", 0].observed == 0.75
    bars.advance(MINUTE_US + GRACE_US)
    assert bars.last["1m", 0].observed == pytest.approx(1 - 10 / 60)


def test_a_gap_alone_makes_no_bar_and_is_not_lost_for_one_that_begins_later() -> None:
    """Neither is what it counts for the version, nor when the gap itself is long out of reach."""
    bars = SymbolDriver()
    assert bars.miss(a_gap(0, 20 * MINUTE_US)) == []
    bars.advance(40 * MINUTE_US)
    assert bars.load().coverage.gaps == {}
    bars.add(a_trade(45 * MINUTE_US))
    bars.advance(HOUR_US + GRACE_US)
    hour = bars.last["1h", 0]
    assert hour.observed == pytest.approx(1 - 20 / 60)
    assert (hour.version, bars.last["1m", 45 * MINUTE_US].version) == (2 * 2 + 1, 2 * 1 + 1)
    assert bars.last["1m", 45 * MINUTE_US].observed == 1.0


def test_a_gap_that_grows_replaces_itself() -> None:
    """Each record of it that adds time is an event of the bars that it adds to, and of no others."""
    bars = final_minute(SymbolDriver())
    start = 50 * SECOND_US
    bars.miss(a_gap(start, 55 * SECOND_US))
    bars.miss(a_gap(start, 70 * SECOND_US))
    bars.add(a_trade(80 * SECOND_US))
    assert bars.miss(a_gap(start, 70 * SECOND_US, closed=True)) == []
    assert bars.miss(a_gap(start, 60 * SECOND_US)) == []
    version = bars.last["1m", 0].version
    grown = bars.miss(a_gap(start, 75 * SECOND_US))
    bars.advance(2 * MINUTE_US + GRACE_US)
    assert {bar.start - START_US for bar in grown if bar.interval == "1m"} == {MINUTE_US}
    assert bars.last["1m", 0].version == version == 2 * 3 + 1
    assert bars.last["1m", 0].observed == pytest.approx(1 - 10 / 60)
    assert bars.last["1m", MINUTE_US].observed == pytest.approx(1 - 15 / 60)
    assert bars.last["1m", MINUTE_US].version == 2 * (3 + 3) + 1


def test_what_two_gaps_cover_counts_once() -> None:
    """Their union is what nobody observed."""
    bars = final_minute(SymbolDriver())
    bars.miss(a_gap(20 * SECOND_US, 40 * SECOND_US))
    bars.miss(a_gap(30 * SECOND_US, 50 * SECOND_US))
    bars.miss(a_gap(25 * SECOND_US, 35 * SECOND_US))
    assert bars.last["1m", 0].observed == 0.5
    bars.advance(30 * MINUTE_US)
    assert bars.last["15m", 0].observed == pytest.approx(1 - 30 / 900)


def test_a_change_of_source_without_a_hole_changes_nothing() -> None:
    """It ends where it starts."""
    bars = final_minute(SymbolDriver())
    state = bars.state
    assert bars.miss(a_gap(20 * SECOND_US, 20 * SECOND_US, reason="failover")) == []
    assert bars.state == state


def test_a_gap_that_is_filled_is_observed_again() -> None:
    """With a version that wins; said a second time it changes nothing, and it does not grow any more."""
    bars = final_minute(SymbolDriver())
    gap = a_gap(30 * SECOND_US, 45 * SECOND_US)
    bars.miss(gap)
    before = bars.last["1m", 0]
    bars.miss(replace(gap, filled=True))
    assert bars.last["1m", 0] == replace(before, observed=1.0, version=before.version + 2)
    assert bars.miss(replace(gap, filled=True)) == []
    assert bars.miss(replace(gap, end=gap.end + 1)) == []
    bars.advance(30 * MINUTE_US)
    assert {candle.observed for candle in bars.last.values()} == {1.0}


def test_what_lies_beyond_the_horizon_is_ignored() -> None:
    """A gap that reaches into it counts from there on; one that was never known cannot be filled."""
    bars = final_minute(SymbolDriver())
    bars.add(a_trade(HORIZON_US + 30 * SECOND_US))
    assert bars.miss(a_gap(0, 30 * SECOND_US)) == []
    assert bars.miss(a_gap(40 * SECOND_US, 50 * SECOND_US, filled=True)) == []
    bars.miss(a_gap(20 * SECOND_US, 45 * SECOND_US))
    assert bars.last["1m", 0].observed == 0.75


def test_versions_of_later_final_bars_follow() -> None:
    """As with a late trade: they count what came before them."""
    bars = SymbolDriver()
    bars.add(a_trade(0))
    bars.add(a_trade(MINUTE_US))
    bars.advance(2 * MINUTE_US + GRACE_US)
    bars.miss(a_gap(30 * SECOND_US, 45 * SECOND_US))
    assert [bars.last["1m", at].version for at in (0, MINUTE_US)] == [2 * 2 + 1, 2 * 3 + 1]
    assert bars.last["1m", MINUTE_US].observed == 1.0


def test_gaps_are_forgotten_in_silence_and_bounded_in_number() -> None:
    """A timer is set for the last of them; with too many the oldest are settled, which loses no time."""
    bars = SymbolDriver()
    bars.add(a_trade(0))
    step = 100_000
    for number in range(MAX_GAPS + 10):
        bars.miss(a_gap(number * step, number * step + step // 2))
    assert len(bars.load().coverage.gaps) == MAX_GAPS
    bars.advance(MINUTE_US + GRACE_US)
    assert bars.last["1m", 0].observed == pytest.approx(1 - (MAX_GAPS + 10) * step / 2 / MINUTE_US)
    bars.advance(3 * DEDUP_US)
    assert bars.load().coverage.gaps == {}
