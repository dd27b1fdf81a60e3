"""Which candles are worth a write to Cassandra."""

from dataclasses import replace

from jobs.sinks.live_bars import LiveBars
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


def test_a_final_bar_is_always_written() -> None:
    """However soon after the live one, and again when it is corrected."""
    bars = LiveBars(1.0, Clock())
    final, corrected = replace(LIVE, final=True, version=5), replace(LIVE, final=True, version=7)
    assert bars.due([LIVE]) == [LIVE]
    assert bars.due([final]) == [final]
    assert bars.due([corrected]) == [corrected]


def test_of_one_batch_only_the_greatest_version_of_a_bar_counts() -> None:
    """In whatever order they stand in it."""
    final = replace(LIVE, final=True, version=5)
    assert LiveBars(1.0, Clock()).due([replace(LIVE, version=4), final, LIVE]) == [final]


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
