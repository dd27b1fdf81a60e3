"""Exact sums: each amount is rounded once, and then no order and no grouping changes the sum."""

import random
from decimal import Decimal
from fractions import Fraction
from math import fsum

import numpy as np
import pytest

from jobs.domain.amounts import BILLION, join, split, to_float
from schemas.validation import MAX_AMOUNT


def billionths(*amounts: float) -> list[int]:
    units, parts = split(np.array(amounts))
    return [join(int(unit), int(part)) for unit, part in zip(units, parts, strict=True)]


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        (0.0, 0),
        (1.0, BILLION),
        (0.1, BILLION // 10),
        (1e-9, 1),
        (4e-10, 0),
        (6e-10, 1),
        (0.00001 * 60_000.01, 600_000_100),
        (123_456_789.123456, 123_456_789_123_456_001),
        (0.9999999999, BILLION),
        (MAX_AMOUNT, 10**22),
    ],
)
def test_an_amount_is_rounded_to_the_billionth(amount: float, expected: int) -> None:
    """From nothing to the greatest one that is valid, which 64 bits could not hold as one number. (A double
    near 123 million is known to 1.5e-8 only: the 001 is in the double.)"""
    assert billionths(amount) == [expected]


def test_every_decimal_of_a_venue_is_exact() -> None:
    """Up to eight places, as exchanges have them."""
    rng = random.Random(1)
    texts = [f"{rng.randrange(10**5)}.{rng.randrange(10**8):08d}" for _ in range(1_000)]
    assert billionths(*map(float, texts)) == [int(Decimal(text) * BILLION) for text in texts]


def test_the_two_columns_may_be_summed_apart_and_in_any_order() -> None:
    """As SQL does, in slices of any size; sums of doubles would differ."""
    rng = random.Random(2)
    amounts = [rng.choice([1e-8, 1e3, 1e7]) * rng.random() for _ in range(2_000)]
    expected = sum(billionths(*amounts))
    for _ in range(5):
        rng.shuffle(amounts)
        cut = rng.randrange(1, len(amounts))
        slices = [split(np.array(part)) for part in (amounts[:cut], amounts[cut:])]
        assert sum(join(int(units.sum()), int(parts.sum())) for units, parts in slices) == expected
    assert to_float(expected) == pytest.approx(fsum(amounts), abs=2_000 * 0.5e-9)


def test_the_way_back_gives_the_nearest_double() -> None:
    """Also beyond 2**53 billionths."""
    for exact in (0, 1, 3, BILLION // 10, 2**53 + 1, 10**22 + 1, 123_456_789_987_654_321):
        assert to_float(exact) == float(Fraction(exact, BILLION))
    assert to_float(sum(billionths(0.1, 0.2))) == 0.3
