"""The order key: as text it sorts as (event time, sequence, price) do."""

import random

import numpy as np
import pytest

from jobs.domain.order_key import pack, price_of, unpack

TIMES = [0, 1, 255, 256, 1_723_161_600_000_000, 1_723_161_600_000_001, 2**63 - 1]
SEQUENCES = [0, 1, 65_535, 65_536, 2**63 - 1]
PRICES = [5e-324, 1e-9, 0.5, 1.0, 187.25, 60_000.01, 1e13]


def keys(trades: list[tuple[int, int, float]]) -> list[str]:
    times, sequences, prices = zip(*trades, strict=True)
    return pack(np.array(times, dtype=np.int64), np.array(sequences, dtype=np.int64), np.array(prices))


def test_the_order_of_the_texts_is_the_order_of_the_trades() -> None:
    """Over every combination of small, neighbouring and greatest values."""
    trades = [(time, sequence, price) for time in TIMES for sequence in SEQUENCES for price in PRICES]
    shuffled = random.Random(3).sample(trades, len(trades))
    assert [unpack(key) for key in sorted(keys(shuffled))] == sorted(trades)


def test_a_key_gives_back_what_was_packed() -> None:
    """All three, to the bit."""
    trade = (1_723_161_600_000_001, 42, 0.1 + 0.2)
    [key] = keys([trade])
    assert (len(key), unpack(key), price_of(key)) == (48, trade, 0.1 + 0.2)


def test_no_trades_no_keys() -> None:
    """A batch may hold nothing but heartbeats."""
    nothing = np.array([], dtype=np.int64)
    assert pack(nothing, nothing, np.array([])) == []


def test_a_key_that_is_none_is_refused() -> None:
    """Rather than read as some price."""
    with pytest.raises(ValueError, match="hexadecimal"):
        unpack("no key")
