"""What was measured lately."""

from api.meters import RATE_SECONDS, SAMPLE_SECONDS, SAMPLES, Percentiles, Rates, Recent


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_percentiles_are_values_that_came() -> None:
    """Nearest rank; None where nothing came."""
    recent = Recent()
    assert recent.percentiles() is None
    for value in range(200, 0, -1):
        recent.add(float(value))
    assert recent.percentiles() == Percentiles(200, 100.0, 190.0, 198.0, 200.0)


def test_only_the_newest_values_of_the_last_minutes_count() -> None:
    """Bounded in number and in time."""
    clock = Clock()
    recent = Recent(clock)
    recent.add(9.0)
    clock.now += SAMPLE_SECONDS + 1
    recent.add(1.0)
    assert recent.percentiles() == Percentiles(1, 1.0, 1.0, 1.0, 1.0)
    for _ in range(SAMPLES):
        recent.add(2.0)
    assert recent.percentiles() == Percentiles(SAMPLES, 2.0, 2.0, 2.0, 2.0)


def test_rates_are_of_whole_seconds() -> None:
    """The one that is under way is not over; what is long ago is forgotten."""
    clock = Clock()
    rates = Rates(clock)
    assert rates.per_second() == {}
    rates.add("trades", 30)
    clock.now += 1
    rates.add("trades", 10)
    rates.add("quotes")
    assert rates.per_second() == {"trades": 30.0}
    clock.now += 1
    assert rates.per_second() == {"trades": 20.0, "quotes": 0.5}
    clock.now += RATE_SECONDS
    assert rates.per_second() == {}
