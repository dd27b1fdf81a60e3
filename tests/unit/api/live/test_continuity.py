"""Whether what the feed has handed over is all there was."""

import pytest

from api.live.continuity import CURRENT_SECONDS, Continuity
from tests.unit.api.live.events import NOON


class Clock:
    def __init__(self) -> None:
        self.now = NOON
        self.monotonic = 100.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


def continuity(clock: Clock) -> Continuity:
    made = Continuity(lambda: clock.now, lambda: clock.monotonic)
    made.connected = True
    return made


def test_it_is_current_when_every_partition_of_trades_has_been_heard_of_lately(clock: Clock) -> None:
    """One that was assigned and has said nothing yet counts as silent; so does one that fell silent."""
    feed = continuity(clock)
    assert not feed.is_current()
    feed.begin({0, 1})
    feed.ticked(0, NOON // 1000)
    assert not feed.is_current()
    feed.ticked(1, NOON // 1000)
    assert feed.is_current()
    clock.now += int(CURRENT_SECONDS * 1e6)
    feed.ticked(0, clock.now // 1000)
    assert feed.is_current()
    clock.now += 1
    assert not feed.is_current()
    feed.ticked(1, clock.now // 1000)
    assert feed.is_current()
    feed.connected = False
    assert not feed.is_current()


def test_partitions_that_are_assigned_later_interrupt_and_keep_the_clocks_of_the_others(clock: Clock) -> None:
    """What was published in them before is not known."""
    feed = continuity(clock)
    feed.begin({0})
    feed.ticked(0, NOON // 1000)
    epoch, clock.monotonic = feed.epoch, 123.0
    feed.begin(set())
    assert (feed.epoch, feed.since) == (epoch + 1, 123.0)
    assert feed.is_current()
    feed.begin({1})
    assert not feed.is_current()
