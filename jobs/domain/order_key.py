"""The packed key that orders the trades of a bar: event time, then sequence, then price.

48 hexadecimal digits whose order as text is the order of the trades, so that SQL's MIN and MAX find the
trades that open and close a slice, and two slices can be merged in any order.
"""

import struct

import numpy as np
from numpy.typing import NDArray

_FIELDS = struct.Struct(">qqd")
_DIGITS = 2 * _FIELDS.size


def pack(
    event_times: NDArray[np.int64], sequences: NDArray[np.int64], prices: NDArray[np.float64]
) -> list[str]:
    """One key for each trade. All values must be >= 0: then big-endian bytes sort as the numbers do."""
    table = np.empty((len(prices), 3), dtype=">u8")
    table[:, 0] = event_times
    table[:, 1] = sequences
    table[:, 2] = prices.view(np.uint64)
    digits = table.tobytes().hex()
    return [digits[at : at + _DIGITS] for at in range(0, len(digits), _DIGITS)]


def of(event_time: int, sequence: int, price: float) -> str:
    """The key of one trade."""
    return _FIELDS.pack(event_time, sequence, price).hex()


def unpack(key: str) -> tuple[int, int, float]:
    """``(event_time_us, sequence, price)`` of a key."""
    event_time, sequence, price = _FIELDS.unpack(bytes.fromhex(key))
    return event_time, sequence, price


def price_of(key: str) -> float:
    """The price of the trade that a key stands for."""
    return unpack(key)[2]
