"""Exact sums. Each size and notional is rounded once, to 1e-9, and then only added as integers: the order in
which trades arrive cannot change a sum.

On the way through SQL an amount is two 64-bit integers, whole units and billionths, because one such integer
would overflow at 9.2e9 units. Here they become one Python integer of billionths.
"""

import math

import numpy as np
from numpy.typing import NDArray

BILLION = 10**9


def split(amounts: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Whole units and billionths of each amount (finite, 0 <= amount < 2**63); billionths may be 1e9."""
    units = np.floor(amounts)
    billionths = np.rint((amounts - units) * BILLION)
    return units.astype(np.int64), billionths.astype(np.int64)


def join(units: int, billionths: int) -> int:
    """The two sums as one exact number of billionths."""
    return units * BILLION + billionths


def to_float(billionths: int) -> float:
    """The double nearest to an exact amount."""
    return billionths / BILLION


def exact(amount: float) -> int:
    """One amount in billionths: the sum of what ``split`` makes of it, without an array."""
    units = math.floor(amount)
    return units * BILLION + round((amount - units) * BILLION)
