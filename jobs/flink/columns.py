"""Columns between Arrow, pandas and numpy: what the vectorised functions have in common."""

from typing import Any

import numpy as np
import pandas as pd


def spread(values: Any, positions: list[int], length: int) -> np.ndarray[Any, Any]:
    """A column as long as the batch, with the values at their positions and null (text) or 0 elsewhere.

    Plain numpy types only: Arrow's conversion in PyFlink refuses pandas' nullable ones.
    """
    array = values if isinstance(values, np.ndarray) else np.array(values, dtype=object)
    if len(positions) == length:
        return array
    column = np.full(length, None if array.dtype == object else 0, dtype=array.dtype)
    column[positions] = array
    return column


def milliseconds(record_times: "pd.Series[Any]") -> np.ndarray[Any, np.dtype[np.int64]]:
    """Record timestamps as milliseconds since 1970 UTC."""
    return record_times.to_numpy(dtype="datetime64[ms]").astype(np.int64)
