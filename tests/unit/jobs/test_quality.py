"""Outliers and the score of a bar."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.domain.quality import QualityRules, outliers, score

RULES = QualityRules()
price = st.floats(0.01, 1e6)
prices = st.one_of(st.none(), price)


@pytest.mark.parametrize(
    ("bar", "expected"),
    [
        ((100.0, 110.0, 90.0, 100.0, 100.0), (0.0, 0.0)),
        ((100.0, 110.01, 89.99, 100.0, 100.0), (10.01, 10.01)),
        ((100.0, 125.0, 100.0, 115.0, 110.0), (0.0, 0.0)),
        ((100.0, 125.0, 80.0, 100.0, 112.0), (pytest.approx(11.607, abs=1e-3), 20.0)),
        ((100.0, 125.0, 100.0, 100.0, None), (25.0, 0.0)),
        ((None, None, None, None, 100.0), (0.0, 0.0)),
        ((None, 120.0, 100.0, None, None), (0.0, 0.0)),
    ],
)
def test_outliers_are_measured_from_the_nearest_of_the_rest(
    bar: tuple[float | None, ...], expected: tuple[float, float]
) -> None:
    """High above the greatest, low below the least of open, close and VWAP."""
    assert outliers(*bar, RULES) == expected


@pytest.mark.parametrize(
    ("events", "skewed", "high", "low", "expected"),
    [
        (10, 0, 101.0, 99.0, 1.0),
        (10, 1, 101.0, 99.0, 0.9),
        (10, 10, 101.0, 99.0, 0.0),
        (10, 0, 110.0, 90.0, 1.0),
        (10, 0, 120.0, 99.0, 0.5),
        (10, 5, 120.0, 80.0, 0.125),
        (0, 0, None, None, 1.0),
    ],
)
def test_the_score_is_that_of_its_formula(
    events: int, skewed: int, high: float | None, low: float | None, expected: float
) -> None:
    """Share of good clocks, times how near each extreme is."""
    middle = None if high is None else 100.0
    assert score(events, skewed, middle, high, low, middle, middle, RULES) == pytest.approx(expected)


def test_the_limit_is_a_setting() -> None:
    """Also of the score."""
    rules = QualityRules(outlier_percent=20.0)
    assert score(1, 0, 100.0, 120.0, 100.0, 100.0, 100.0, rules) == 1.0
    assert score(1, 0, 100.0, 140.0, 100.0, 100.0, 100.0, rules) == pytest.approx(0.5)


@given(st.integers(0, 100), st.integers(0, 200), st.tuples(*[prices] * 5))
def test_the_score_is_always_between_zero_and_one(
    events: int, skewed: int, bar: tuple[float | None, ...]
) -> None:
    """Whatever a bar holds."""
    assert 0.0 <= score(events, skewed, *bar, RULES) <= 1.0
