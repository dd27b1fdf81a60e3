"""Rows as CSV and Parquet, a part at a time: what has been given is in the bytes that come back, or held
until there is enough of it for a row group.

Both have the same columns with the same values as JSON. In CSV unknown is empty, flags are true and false,
times ISO 8601 in UTC, and the texts of a list are separated by ``;``.
"""

import csv
import io
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple, Protocol

Kind = Literal["text", "texts", "number", "count", "flag", "time"]
Values = tuple[Any, ...]
ROW_GROUP = 10_000
"""Rows of a row group in Parquet: some megabytes, which is what a download holds in memory."""


class Column(NamedTuple):
    name: str
    kind: Kind


class Encoder(Protocol):
    """Of one file; not to be called by two threads at once."""

    media_type: str
    suffix: str

    def add(self, rows: Sequence[Values]) -> bytes:
        """What can be sent now; may be nothing. The values are in the order of the columns."""

    def end(self) -> bytes:
        """What remains."""


class CsvEncoder:
    """One line of names, then one for each row."""

    media_type = "text/csv; charset=utf-8; header=present"
    suffix = "csv"

    def __init__(self, columns: Sequence[Column]) -> None:
        self._text = io.StringIO()
        self._writer = csv.writer(self._text, lineterminator="\r\n")
        self._write = [WRITERS[column.kind] for column in columns]
        self._writer.writerow(column.name for column in columns)

    def add(self, rows: Sequence[Values]) -> bytes:
        self._writer.writerows(
            ["" if value is None else write(value) for write, value in zip(self._write, row, strict=True)]
            for row in rows
        )
        return self._taken()

    def end(self) -> bytes:
        return self._taken()

    def _taken(self) -> bytes:
        taken = self._text.getvalue()
        self._text.seek(0)
        self._text.truncate()
        return taken.encode()


class ParquetEncoder:
    """Row groups of ROW_GROUP rows."""

    media_type = "application/vnd.apache.parquet"
    suffix = "parquet"

    def __init__(self, columns: Sequence[Column]) -> None:
        # Imported here because it is large, and only who asks for Parquet needs it.
        import pyarrow as pa  # noqa: PLC0415
        from pyarrow import parquet  # noqa: PLC0415

        types = {
            "text": pa.string(),
            "texts": pa.list_(pa.string()),
            "number": pa.float64(),
            "count": pa.int64(),
            "flag": pa.bool_(),
            "time": pa.timestamp("us", tz="UTC"),
        }
        self._schema = pa.schema([(column.name, types[column.kind]) for column in columns])
        self._table: Callable[..., Any] = pa.Table.from_arrays
        self._array: Callable[..., Any] = pa.array
        self._sink = io.BytesIO()
        self._writer = parquet.ParquetWriter(pa.PythonFile(_Forward(self._sink), mode="w"), self._schema)
        self._rows: list[Values] = []

    def add(self, rows: Sequence[Values]) -> bytes:
        self._rows += rows
        while len(self._rows) >= ROW_GROUP:
            self._group(self._rows[:ROW_GROUP])
            del self._rows[:ROW_GROUP]
        return self._taken()

    def end(self) -> bytes:
        if self._rows:
            self._group(self._rows)
        self._writer.close()
        return self._taken()

    def _group(self, rows: Sequence[Values]) -> None:
        columns = zip(*rows, strict=True)
        arrays = [
            self._array(values, field.type) for values, field in zip(columns, self._schema, strict=True)
        ]
        self._writer.write_table(self._table(arrays, schema=self._schema))

    def _taken(self) -> bytes:
        taken = self._sink.getvalue()
        self._sink.seek(0)
        self._sink.truncate()
        return taken


class _Forward(io.RawIOBase):
    """A file that only grows, and whose bytes are taken away while it does: Parquet asks how long it is."""

    def __init__(self, sink: io.BytesIO) -> None:
        self._sink = sink
        self._length = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._length

    def write(self, data: Any) -> int:
        written = self._sink.write(data)
        self._length += written
        return written


def _time(value: datetime) -> str:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _flag(value: bool) -> str:
    return "true" if value else "false"


WRITERS: dict[Kind, Callable[[Any], str]] = {
    "text": str,
    "texts": ";".join,
    "number": repr,
    "count": str,
    "flag": _flag,
    "time": _time,
}
