"""Slices that wait for Python become one, and nothing of them is lost."""

import random
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import pytest

from jobs.flink.bar_function import SLICE_COLUMNS
from jobs.flink.keyed import Merge
from schemas.intervals import MINUTE_US
from tests.support.jvm_program import answer_of
from tests.unit.jobs.builders import START_US

pytestmark = pytest.mark.servers
SLICES = 3_000
Row = list[Any]

MERGE: dict[Merge, Callable[[Any, Any], Any]] = {
    Merge.KEY: lambda one, _: one,
    Merge.ALONE: lambda one, _: one,
    Merge.MINUTE: min,
    Merge.LEAST: min,
    Merge.GREATEST: max,
    Merge.SUM: lambda one, other: one + other,
    Merge.LINES: lambda one, other: f"{one}\n{other}",
}
RULES = list(SLICE_COLUMNS.values())


def a_slice(chance: random.Random, number: int) -> Row:
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


def merged(rows: list[Row]) -> dict[tuple[Any, ...], Row]:
    """One row of each kind, or of each that stays apart; the lines of a log in any order."""
    kinds: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        at = dict(zip(SLICE_COLUMNS, row, strict=True))
        kind = (at["symbol"], at["source"], at["correctable"], at["event_time"] // MINUTE_US, at["payload"])
        kinds.setdefault(kind, []).append(row)
    return {kind: _in_order(reduce(_merge, rows)) for kind, rows in kinds.items()}


def _merge(row: Row, other: Row) -> Row:
    return [
        (one if one is not None else two) if one is None or two is None else MERGE[rule](one, two)
        for rule, one, two in zip(RULES, row, other, strict=True)
    ]


def _in_order(row: Row) -> Row:
    log = row[RULES.index(Merge.LINES)]
    row[RULES.index(Merge.LINES)] = log and "\n".join(sorted(log.split("\n")))
    return row


def test_python_gets_fewer_slices_that_add_up_to_the_same(planner_environment: Mapping[str, str]) -> None:
    """They wait while the worker starts; what may not be merged comes as it was."""
    chance = random.Random(5)
    sent = [a_slice(chance, number) for number in range(SLICES)]
    received: list[Row] = answer_of("tests.pipeline.run_merging", planner_environment, sent)
    assert len(received) < SLICES / 2
    assert merged(received) == merged(sent)
    payload = list(SLICE_COLUMNS).index("payload")
    late = [row for row in sent if row[payload] is not None]
    assert late
    assert sorted((row for row in received if row[payload] is not None), key=str) == sorted(late, key=str)
