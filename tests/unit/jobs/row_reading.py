"""Rows of jobs.sinks as a reader of Cassandra gets them, decoded by the driver's own types."""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from io import BytesIO
from typing import Any, NamedTuple

from cassandra.cqltypes import (
    BooleanType,
    BytesType,
    DateType,
    DoubleType,
    Int32Type,
    ListType,
    LongType,
    MapType,
    SetType,
    SimpleDateType,
    UTF8Type,
)
from cassandra.protocol import read_short, read_value
from cassandra.query import PreparedStatement

from jobs.sinks.inserts import INSERTS, Insert
from schemas.settings import CassandraSettings
from schemas.tables import table_ddl

PROTOCOL = 5
TYPES = {
    "text": UTF8Type,
    "int": Int32Type,
    "bigint": LongType,
    "timestamp": DateType,
    "date": SimpleDateType,
    "double": DoubleType,
    "boolean": BooleanType,
    "blob": BytesType,
    "frozen<list<text>>": ListType.apply_parameters([UTF8Type]),
    "frozen<set<text>>": SetType.apply_parameters([UTF8Type]),
    "frozen<map<text, double>>": MapType.apply_parameters([UTF8Type, DoubleType]),
}
CREATE = re.compile(r"CREATE TABLE IF NOT EXISTS (\w+) \((.*?)\n\)", re.DOTALL)
COLUMN = re.compile(r"(\w+) (frozen<[\w<, ]+>>|\w+)( PRIMARY KEY)?(?=,|$)")
KEY = re.compile(r"PRIMARY KEY \((?:\(([^)]*)\)|(\w+))((?:, \w+)*)\)")
TIMESTAMP = "[timestamp]"


class Table(NamedTuple):
    """From the DDL."""

    types: dict[str, Any]
    partition: tuple[str, ...]
    key: tuple[str, ...]
    """The whole of it."""


class Column(NamedTuple):
    """As the driver describes a bound value."""

    keyspace_name: str
    table_name: str
    name: str
    type: Any


@cache
def tables() -> dict[str, Table]:
    """By name."""
    found = {}
    for statement in table_ddl(CassandraSettings()):
        if create := CREATE.match(statement):
            columns = COLUMN.findall(create[2].partition("PRIMARY KEY (")[0])
            partition = rest = tuple(name for name, _, primary in columns if primary)
            if key := KEY.search(create[2]):
                partition = tuple((key[1] or key[2]).split(", "))
                rest = (*partition, *key[3].split(", ")[1:])
            found[create[1]] = Table({name: TYPES[kind] for name, kind, _ in columns}, partition, rest)
    return found


def parsed(data: bytes) -> Iterator[tuple[Insert, list[bytes | None]]]:
    """Insert and values of each of some rows that stand one behind the other."""
    stream = BytesIO(data)
    while stream.tell() < len(data):
        insert = INSERTS[read_short(stream)]
        yield insert, [read_value(stream) for _ in range(insert.values)]


def table_and_row(data: bytes) -> tuple[str, dict[str, Any]]:
    """What a single row says; the timestamp that it is written with is in TIMESTAMP."""
    [found] = rows_in(data)
    return found


def rows_in(data: bytes) -> list[tuple[str, dict[str, Any]]]:
    """(table, row) of some rows that stand one behind the other."""
    return [(insert.table, _row(insert, values)) for insert, values in parsed(data)]


def written(*rows: bytes) -> dict[str, dict[str, Any]]:
    """Table -> the row that is written to it."""
    return dict(map(table_and_row, rows))


def stored(rows: Iterable[bytes]) -> list[tuple[str, dict[str, Any]]]:
    """(table, row) of what Cassandra keeps of rows with timestamps of their own, written in whatever order:
    of each key the latest by them."""
    kept: dict[tuple[str, *tuple[Any, ...]], dict[str, Any]] = {}
    for table, row in map(table_and_row, rows):
        key = (table, *(row[name] for name in tables()[table].key))
        if key not in kept or row[TIMESTAMP] > kept[key][TIMESTAMP]:
            kept[key] = row
    return [(key[0], row) for key, row in kept.items()]


def same_bytes(rows: Iterable[bytes]) -> None:
    """Asserts that values are what the driver makes of the same row."""
    for data in rows:
        [(insert, values)] = parsed(data)
        bound = prepared(insert).bind(list(_row(insert, values).values()))
        assert values == bound.values


def prepared(insert: Insert) -> PreparedStatement:
    """As a server answers the driver."""
    names = insert.columns
    types = tables()[insert.table].types
    columns = [Column("market", insert.table, name, types[name]) for name in names]
    if insert.at_time:
        columns.append(Column("market", insert.table, TIMESTAMP, LongType))
    key = list(range(insert.partition))
    return PreparedStatement(columns, b"id", key, insert.statement, "market", PROTOCOL, None, None)


def _row(insert: Insert, values: list[bytes | None]) -> dict[str, Any]:
    return {
        column.name: None if value is None else column.type.from_binary(value, PROTOCOL)
        for column, value in zip(prepared(insert).column_metadata, values, strict=True)
    }
