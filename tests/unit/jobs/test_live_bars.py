"""Which candles are worth a write to Cassandra."""

from dataclasses import replace
from itertools import permutations

import pytest

from jobs.sinks.live_bars import MOST_A_SECOND, LiveBars
from schemas.events import Candle
from schemas.intervals import MINUTE_US

LIVE = Candle("AAPL", "1m", 0, MINUTE_US, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1, False, 2, ("sim",))


class Clock:
    """Seconds, moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_live_bar_is_written_at_most_once_in_a_while() -> None:
    """Its newest version when the time has come."""
    clock = Clock()
    bars = LiveBars(1.0, clock)
    assert bars.due([LIVE]) == [LIVE]
    clock.now = 0.999
    assert bars.due([replace(LIVE, version=4)]) == []
    clock.now = 1.0
    assert bars.due([replace(LIVE, version=6)]) == [replace(LIVE, version=6)]
    clock.now = 1.5
    assert bars.due([replace(LIVE, version=8)]) == []


def test_what_came_too_soon_is_written_with_a_later_batch() -> None:
    """Whatever that is about: the day's bar must not stay behind until midnight after the last trade."""
    clock = Clock()
    bars = LiveBars(1.0, clock)
    day, other = replace(LIVE, interval="1d", end=1440 * MINUTE_US), replace(LIVE, symbol="MSFT")
    bars.due([day])
    clock.now = 0.5
    assert bars.due([replace(day, version=4)]) == []
    clock.now = 14.9
    assert bars.due([replace(day, version=6)]) == []
    clock.now = 15.0
    assert bars.due([other]) == [replace(day, version=6), other]
    clock.now = 45.0
    assert bars.due([]) == []


def test_with_many_symbols_all_of_them_wait_longer() -> None:
    """So that no more are written in a second than may be, whatever the number of symbols; final ones are."""
    clock = Clock()
    bars = LiveBars(1.0, clock)
    symbols = [replace(LIVE, symbol=f"S{number}") for number in range(3 * MOST_A_SECOND)]
    assert len(bars.due(symbols)) == len(symbols)
    clock.now = 2.9
    assert bars.due([replace(each, version=4) for each in symbols]) == []
    assert bars.due([replace(symbols[0], version=7, final=True)]) == [
        replace(symbols[0], version=7, final=True)
    ]
    clock.now = 3.0
    assert len(bars.due([])) == len(symbols) - 1


@pytest.mark.parametrize(
    ("interval", "seconds"), [("1m", 1), ("5m", 5), ("15m", 15), ("1h", 15), ("4h", 15), ("1d", 15)]
)
def test_the_longer_a_bar_the_more_seldom_it_is_written(interval: str, seconds: int) -> None:
    """Up to a quarter of a minute; those of one interval do not wait for those of another."""
    clock = Clock()
    bars = LiveBars(1.0, clock)
    day, bar = replace(LIVE, symbol="MSFT", interval="1d"), replace(LIVE, interval=interval)
    bars.due([day, bar])
    bars.due([replace(day, version=4), replace(bar, version=4)])
    clock.now = seconds - 0.1
    assert bars.due([]) == []
    clock.now = seconds
    assert replace(bar, version=4) in bars.due([])


@pytest.mark.parametrize(
    "successor",
    [
        replace(LIVE, final=True, version=7),
        replace(LIVE, start=MINUTE_US, end=2 * MINUTE_US, version=8),
        replace(LIVE, start=MINUTE_US, end=2 * MINUTE_US, final=True, version=9),
    ],
)
def test_what_was_overtaken_is_not_written_any_more(successor: Candle) -> None:
    """By the final version, or by the next bar."""
    clock = Clock()
    bars = LiveBars(1.0, clock)
    bars.due([LIVE])
    assert bars.due([replace(LIVE, version=4)]) == []
    assert bars.due([successor]) == [successor]
    clock.now = 1.0
    assert bars.due([]) == []


def test_a_newer_version_goes_instead_of_the_held_one() -> None:
    """When it comes with the batch that would have released it."""
    clock = Clock()
    bars = LiveBars(1.0, clock)
    bars.due([LIVE])
    bars.due([replace(LIVE, version=4)])
    clock.now = 1.0
    assert bars.due([replace(LIVE, version=6)]) == [replace(LIVE, version=6)]
    clock.now = 2.0
    assert bars.due([]) == []


def test_a_corrected_bar_does_not_take_the_place_of_the_one_after_it() -> None:
    """A late trade makes a final version of the bar before the live one that is held."""
    clock = Clock()
    bars = LiveBars(1.0, clock)
    held, corrected = replace(LIVE, version=4), replace(LIVE, start=-MINUTE_US, end=0, final=True, version=9)
    bars.due([LIVE])
    bars.due([held])
    assert bars.due([corrected]) == [corrected]
    clock.now = 1.0
    assert bars.due([]) == [held]


def test_a_final_bar_is_always_written() -> None:
    """However soon after the live one, and again when it is corrected."""
    bars = LiveBars(1.0, Clock())
    final, corrected = replace(LIVE, final=True, version=5), replace(LIVE, final=True, version=7)
    assert bars.due([LIVE]) == [LIVE]
    assert bars.due([final]) == [final]
    assert bars.due([corrected]) == [corrected]


def test_of_one_batch_every_final_version_is_written_and_no_live_one_beside_it() -> None:
    """As-of reads want each final version; a live one that is overtaken is of no use. In whatever order."""
    final, corrected = replace(LIVE, final=True, version=5), replace(LIVE, final=True, version=7)
    for order in permutations([replace(LIVE, version=4), final, LIVE, corrected]):
        due = LiveBars(1.0, Clock()).due(order)
        assert sorted(candle.version for candle in due) == [5, 7]


def test_of_one_batch_the_newest_of_the_live_versions_is_written() -> None:
    """In whatever order they stand in it; the others are not held for later either."""
    versions = [LIVE, replace(LIVE, version=4), replace(LIVE, version=6)]
    for order in permutations(versions):
        clock = Clock()
        bars = LiveBars(1.0, clock)
        assert bars.due(order) == [versions[2]]
        clock.now = 5.0
        assert bars.due([]) == []


def test_a_final_version_of_the_bar_before_comes_with_a_live_one() -> None:
    """Both are written, and the live one is counted as written."""
    bars = LiveBars(1.0, Clock())
    before = replace(LIVE, start=-MINUTE_US, end=0, final=True, version=9)
    assert bars.due([LIVE, before]) == [before, LIVE]
    assert bars.due([replace(LIVE, version=4), before]) == [before]


def test_a_held_version_and_final_ones_in_the_batch_that_would_release_it() -> None:
    """The held one is overtaken; each final one is written."""
    clock = Clock()
    bars = LiveBars(1.0, clock)
    bars.due([LIVE])
    bars.due([replace(LIVE, version=4)])
    clock.now = 1.0
    finals = [replace(LIVE, final=True, version=version) for version in (5, 7)]
    assert bars.due(finals) == finals
    clock.now = 3.0
    assert bars.due([]) == []


def test_every_bar_has_a_time_of_its_own() -> None:
    """Another symbol, interval or start does not wait for this one."""
    bars = LiveBars(1.0, Clock())
    others = [
        replace(LIVE, symbol="MSFT"),
        replace(LIVE, interval="5m"),
        replace(LIVE, start=MINUTE_US, end=2 * MINUTE_US),
    ]
    assert bars.due([LIVE]) == [LIVE]
    assert bars.due(others) == others
