"""How many live bars may be shown."""

import pytest

from jobs.domain.live_budget import LiveBudget


class Clock:
    """Seconds, moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_second_holds_no_more_than_its_budget() -> None:
    """All at once or one by one; what is refused takes nothing."""
    budget = LiveBudget(10, Clock())
    assert not budget.may_show("AAPL", 0.0, 11)
    assert budget.may_show("AAPL", 0.0, 9)
    assert not budget.may_show("AAPL", 0.0, 2)
    assert budget.may_show("AAPL", 0.0, 1)
    assert not budget.may_show("AAPL", 0.0, 1)


def test_longer_bars_leave_half_of_it_to_those_of_a_minute() -> None:
    """Which go out with every slice, however many symbols there are."""
    clock = Clock()
    budget = LiveBudget(10, clock)
    assert budget.may_show("AAPL", 0.0, 6)
    assert not budget.may_show("MSFT", 0.0, 2)
    assert budget.may_show("MSFT", 0.0, 1)
    clock.now += 0.2
    assert budget.may_show("MSFT", 0.0, 2)


def test_it_fills_with_time_up_to_a_second_of_it() -> None:
    """A long silence does not save up a flood."""
    clock = Clock()
    budget = LiveBudget(10, clock)
    assert budget.may_show("AAPL", 0.0, 10)
    clock.now += 0.25
    assert budget.may_show("AAPL", 0.0, 1)
    assert budget.may_show("AAPL", 0.0, 1)
    assert not budget.may_show("AAPL", 0.0, 1)
    clock.now += 3600
    assert budget.may_show("AAPL", 0.0, 10)
    assert not budget.may_show("AAPL", 0.0, 1)


def test_who_is_behind_shows_live_bars_more_seldom() -> None:
    """A quarter of how late they are lies between two of them, a second at most; each symbol for itself."""
    clock = Clock()
    budget = LiveBudget(1000, clock)
    assert budget.may_show("AAPL", 2.0, 1)
    clock.now += 0.49
    assert not budget.may_show("AAPL", 2.0, 1)
    assert budget.may_show("MSFT", 2.0, 1)
    assert budget.may_show("AAPL", 0.4, 1)
    clock.now += 0.5
    assert budget.may_show("AAPL", 2.0, 1)
    clock.now += 1.0
    assert budget.may_show("AAPL", 3600.0, 1)


@pytest.mark.parametrize(
    ("late_s", "symbols"), [(0.0, 100), (5.0, 50), (20.0, 20), (45.0, 10), (86_400.0, 10)]
)
def test_the_later_live_bars_are_the_fewer_are_shown(late_s: float, symbols: int) -> None:
    """Down to a tenth: while a log is made up for nobody waits for them."""
    budget = LiveBudget(100, Clock())
    assert sum(budget.may_show(f"S{number}", late_s, 1) for number in range(200)) == symbols


def test_what_is_dated_ahead_is_not_late() -> None:
    """Nor does it wait."""
    budget = LiveBudget(1000, Clock())
    assert budget.may_show("AAPL", -5.0, 1)
    assert budget.may_show("AAPL", -5.0, 1)
