"""The window of extremes against the plain way to find them."""

from hypothesis import given
from hypothesis import strategies as st

from jobs.domain.anomalies.price_window import MOST_STEPS, PriceWindow

LENGTH = 60
points = st.lists(st.tuples(st.integers(0, 300), st.integers(1, 30).map(float)), min_size=1, max_size=60)


@given(points)
def test_the_extremes_since_any_time_are_exact(added: list[tuple[int, float]]) -> None:
    """In whatever order the prices came, of all those that are not older than the window."""
    window = PriceWindow(LENGTH)
    known: list[tuple[int, float]] = []
    for time, price in added:
        window.add(time, price, price)
        if time >= window.newest - LENGTH:
            known.append((time, price))
        for since in range(window.newest - LENGTH, window.newest + 1, 7):
            prices = [price for time, price in known if time >= since]
            least, greatest = window.least(since, window.newest), window.greatest(since, window.newest)
            assert (least and least[1]) == min(prices, default=None)
            assert (greatest and greatest[1]) == max(prices, default=None)


@given(points, st.integers(0, 300))
def test_nothing_after_the_end_is_found(added: list[tuple[int, float]], until: int) -> None:
    """A late slice is not held against what lay after it by mistake, and what is found was there."""
    window = PriceWindow(LENGTH)
    for time, price in added:
        window.add(time, price, price)
    for found in (window.least(until - LENGTH, until), window.greatest(until - LENGTH, until)):
        assert found is None or (found in added and until - LENGTH <= found[0] <= until)


@given(points, st.integers(0, 300), st.one_of(st.none(), st.integers(1, 30).map(float)))
def test_a_correction_holds_for_its_bar(
    added: list[tuple[int, float]], start: int, price: float | None
) -> None:
    """Afterwards nothing in the bar is beyond its extremes; outside nothing has changed."""
    window, before = PriceWindow(LENGTH), PriceWindow(LENGTH)
    for time, each in added:
        window.add(time, each, each)
        before.add(time, each, each)
    end = start + 20
    window.correct(start, end, price, price)
    for since in range(end):
        least, greatest = window.least(since, end - 1), window.greatest(since, end - 1)
        for found in (least, greatest):
            if found is not None and found[0] >= start:
                assert price is not None
        assert least is None or least[0] < start or least[1] >= (price or 0)
        assert greatest is None or greatest[0] < start or greatest[1] <= (price or 0)
    assert window.least(end, 10**6) == before.least(end, 10**6)
    assert window.greatest(end, 10**6) == before.greatest(end, 10**6)


def test_a_market_that_moves_one_way_cannot_fill_it() -> None:
    """Every slice is a step then; the ends stay, so what is found is a step off at most."""
    window = PriceWindow(60_000_000)
    for number in range(3000):
        window.add(number * 20_000, 100 + number / 100, 100 + number / 100)
        assert len(window.lows.times) <= MOST_STEPS
    least, greatest = window.least(0, 10**9), window.greatest(0, 10**9)
    assert least == (0, 100.0)
    assert greatest == (2999 * 20_000, 129.99)
