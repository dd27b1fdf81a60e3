"""Mid and spread in as many digits as the prices can tell."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.quotes import mid, spread


@given(
    st.sampled_from([0, -1, -2, -4, -6, -8]),
    st.integers(1, 10**8),
    st.integers(-1000, 1000),
)
def test_they_are_what_decimal_arithmetic_gives(exponent: int, bid: int, wider: int) -> None:
    """At every tick size, of prices with up to nine digits; crossed quotes, too."""
    tick = Decimal(1).scaleb(exponent)
    low, high = bid * tick, max(1, bid + wider) * tick
    assert spread(float(low), float(high)) == float(high - low)
    assert mid(float(low), float(high)) == float((low + high) / 2)


@pytest.mark.parametrize(
    ("bid", "ask", "expected"),
    [
        (224.93, 225.02, (224.975, 0.09)), (187.2, 187.23, (187.215, 0.03)), (1e-8, 3e-8, (2e-8, 2e-8)),
        (60000.01, 60000.02, (60000.015, 0.01)), (5.0, 4.99, (4.995, -0.01)), (0.0, 0.0, (0.0, 0.0)),
        (0.1 + 0.2, 1.0, (0.65, 0.7)), (6.2, 0.1, (3.15, -6.1)),
    ],
)  # fmt: skip
def test_no_error_of_doubles_is_shown(bid: float, ask: float, expected: tuple[float, float]) -> None:
    """Which the plain difference has in most of these."""
    assert (mid(bid, ask), spread(bid, ask)) == expected
