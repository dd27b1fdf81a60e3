"""Slices that wait for Python become one, and nothing of them is lost."""

import random
from collections.abc import Mapping
from typing import Any

import pytest

from jobs.flink.bar_function import SLICE_COLUMNS
from schemas.intervals import MINUTE_US
from tests.support.jvm_program import answer_of
from tests.support.slice_rows import SliceRow, merged
from tests.unit.jobs.builders import START_US

pytestmark = pytest.mark.servers
SLICES = 3_000


def a_slice(chance: random.Random, number: int) -> SliceRow:
    """Of a few symbols, some without prices, some with the texts of their trades, some late."""
    at = START_US + chance.randrange(3 * MINUTE_US)
    key = f"{at:020d}{number}" if chance.random() < 0.9 else None
    price = chance.randrange(100, 200) / 4 if chance.random() < 0.9 else None
    correctable = chance.random() < 0.3
    late = chance.random() < 0.01
    return [
        chance.choice("ABC"), chance.choice(["one", "other"]), at, key, key, price, price,
        chance.randrange(2**40), chance.randrange(10**9), 5, 7, 1, 1, chance.randrange(2),
        chance.randrange(-5, 99), correctable, f"log of {number}" if correctable else None,
        chance.randrange(4), number, f"payload of {number}" if late else None,
    ]  # fmt: skip


def kind_of(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Of rows that may become one; each that stays apart is one of its own."""
    return row["symbol"], row["source"], row["correctable"], row["event_time"] // MINUTE_US, row["payload"]


def test_python_gets_fewer_slices_that_add_up_to_the_same(planner_environment: Mapping[str, str]) -> None:
    """They wait while the worker starts; what may not be merged comes as it was."""
    chance = random.Random(5)
    sent = [a_slice(chance, number) for number in range(SLICES)]
    received: list[SliceRow] = answer_of("tests.pipeline.run_merging", planner_environment, sent)
    assert len(received) < SLICES / 2
    assert merged(received, kind_of) == merged(sent, kind_of)
    payload = list(SLICE_COLUMNS).index("payload")
    late = [row for row in sent if row[payload] is not None]
    assert late
    assert sorted((row for row in received if row[payload] is not None), key=str) == sorted(late, key=str)
