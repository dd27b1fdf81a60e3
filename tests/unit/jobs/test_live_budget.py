"""How many live bars may be shown."""

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
    assert budget.may_show(6)
    assert not budget.may_show(5)
    assert budget.may_show(4)
    assert not budget.may_show(1)


def test_it_fills_with_time_up_to_a_second_of_it() -> None:
    """A long silence does not save up a flood."""
    clock = Clock()
    budget = LiveBudget(10, clock)
    assert budget.may_show(10)
    clock.now += 0.25
    assert budget.may_show(2)
    assert not budget.may_show(1)
    clock.now += 3600
    assert budget.may_show(10)
    assert not budget.may_show(1)
