"""Slices as rows of SLICE_COLUMNS, and what they add up to."""

from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import reduce
from typing import Any

from jobs.flink.bar_function import SLICE_COLUMNS
from jobs.flink.keyed import Merge

SliceRow = list[Any]

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


def merged(
    rows: Iterable[SliceRow], kind_of: Callable[[Mapping[str, Any]], Hashable]
) -> dict[Hashable, SliceRow]:
    """One row of each kind; the lines of a log in the order of the alphabet."""
    kinds: dict[Hashable, list[SliceRow]] = {}
    for row in rows:
        kinds.setdefault(kind_of(dict(zip(SLICE_COLUMNS, row, strict=True))), []).append(row)
    return {kind: _in_order(reduce(_merge, rows)) for kind, rows in kinds.items()}


def _merge(row: SliceRow, other: SliceRow) -> SliceRow:
    return [
        (one if one is not None else two) if one is None or two is None else MERGE[rule](one, two)
        for rule, one, two in zip(RULES, row, other, strict=True)
    ]


def _in_order(row: SliceRow) -> SliceRow:
    log = RULES.index(Merge.LINES)
    return [*row[:log], row[log] and "\n".join(sorted(row[log].split("\n"))), *row[log + 1 :]]
