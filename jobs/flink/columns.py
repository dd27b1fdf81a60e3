"""What the vectorised functions get and give: columns, as plain lists and numpy arrays.

PyFlink takes them through pandas, which costs 2.5 ms for each batch of trades, more than all that is done
with it. ``prepare_worker`` puts ``from_arrow`` and ``to_arrow`` in the place of that.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

Column = Sequence[Any] | np.ndarray[Any, Any]
Integers = np.ndarray[Any, np.dtype[np.int64]]


def from_arrow(_timezone: Any, _types: Any, batches: Sequence[Any]) -> list[Column]:
    """The columns of a batch: numbers as numpy has them, times as milliseconds since 1970 UTC, all else as
    Python objects. The form of ``pyflink.table.utils.arrow_to_pandas``."""
    [batch] = batches
    return [_column(array) for array in batch.columns]


def to_arrow(schema: Any, _timezone: Any, _types: Any, results: Sequence[Any]) -> Any:
    """The batch of what functions have returned: a column, or for a ROW a column by each of its names. In
    columns of floats NaN is null. The form of ``pyflink.table.utils.pandas_to_arrow``."""
    arrays = [_array(result, kind) for result, kind in zip(results, schema.types, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def spread(values: Any, positions: list[int], length: int) -> np.ndarray[Any, Any]:
    """A column as long as the batch, with the values at their positions and null (text) or 0 elsewhere."""
    array = values if isinstance(values, np.ndarray) else np.array(values, dtype=object)
    if len(positions) == length:
        return array
    column = np.full(length, None if array.dtype == object else 0, dtype=array.dtype)
    column[positions] = array
    return column


def _column(array: Any) -> Column:
    if pa.types.is_timestamp(array.type):
        array = array.cast(pa.timestamp("ms")).cast(pa.int64())
    values: np.ndarray[Any, Any] = array.to_numpy(zero_copy_only=False)
    return values.tolist() if values.dtype == object else values


def _array(result: Any, kind: Any) -> Any:
    if isinstance(result, Mapping):
        arrays = [_array(result[field.name], field.type) for field in kind]
        return pa.StructArray.from_arrays(arrays, [field.name for field in kind])
    return pa.array(result, kind, from_pandas=True)
