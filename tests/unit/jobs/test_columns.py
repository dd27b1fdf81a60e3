"""Columns on their way between Arrow and the vectorised functions."""

import numpy as np
import pyarrow as pa
import pytest

from jobs.flink.columns import from_arrow, spread, to_arrow


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_record_times_are_milliseconds_whatever_their_unit(unit: str) -> None:
    """Records have no finer time."""
    times = pa.array([1_764_000_000_123, -1], pa.timestamp("ms")).cast(pa.timestamp(unit))
    [found] = from_arrow(None, None, [pa.record_batch([times], ["t"])])
    assert isinstance(found, np.ndarray)
    assert (found.dtype, found.tolist()) == (np.int64, [1_764_000_000_123, -1])


def test_text_and_bytes_are_objects_and_numbers_are_not() -> None:
    """Null payloads are None."""
    batch = pa.record_batch(
        [pa.array(["a", "ü"]), pa.array([b"x", None]), pa.array([1, 2**40]), pa.array([3, 4], pa.int32())],
        list("abcd"),
    )
    texts, payloads, longs, ints = from_arrow(None, None, [batch])
    assert (texts, payloads) == (["a", "ü"], [b"x", None])
    assert (longs.tolist(), ints.tolist()) == ([1, 2**40], [3, 4])  # type: ignore[union-attr]


def test_a_column_or_a_row_of_columns_goes_back() -> None:
    """NaN is null where there are floats, None everywhere; the schema's order counts."""
    row = pa.struct([("price", pa.float64()), ("log", pa.string()), ("n", pa.int64()), ("on", pa.bool_())])
    schema = pa.schema([("r", row), ("letter", pa.binary())])
    result = {
        "on": np.array([True, False]),
        "n": np.array([1, 2]),
        "price": np.array([np.nan, 1.5]),
        "log": np.array(["a", None], dtype=object),
    }
    batch = to_arrow(schema, None, None, [result, [None, b"letter"]])
    assert batch.schema == schema
    assert batch.to_pylist() == [
        {"r": {"price": None, "log": "a", "n": 1, "on": True}, "letter": None},
        {"r": {"price": 1.5, "log": None, "n": 2, "on": False}, "letter": b"letter"},
    ]


def test_a_column_is_spread_over_the_places_of_its_rows() -> None:
    """Null or 0 between them; a full one as it is, and text stays text."""
    assert spread(("a", None), [1, 3], 5).tolist() == [None, "a", None, None, None]
    assert spread(np.array([1.5, 2.5]), [0, 2], 3).tolist() == [1.5, 0.0, 2.5]
    assert spread(np.array([True]), [1], 2).tolist() == [False, True]
    assert spread((), [], 2).tolist() == [None, None]
    assert spread(("a", "b"), [0, 1], 2).tolist() == ["a", "b"]
    assert spread(np.array([2**62]), [0], 1).dtype == np.int64
