"""A Cassandra session without a server: prepares by our own DDL, and keeps what it was given."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from cassandra.cqltypes import (
    BooleanType,
    BytesType,
    DateType,
    DoubleType,
    Int32Type,
    ListType,
    LongType,
    UTF8Type,
)
from cassandra.query import BatchStatement, PreparedStatement

from schemas.settings import CassandraSettings
from schemas.tables import table_ddl

PROTOCOL = 5
TYPES = {
    "text": UTF8Type,
    "int": Int32Type,
    "bigint": LongType,
    "timestamp": DateType,
    "double": DoubleType,
    "boolean": BooleanType,
    "blob": BytesType,
    "frozen<list<text>>": ListType.apply_parameters([UTF8Type]),
}
CREATE = re.compile(r"CREATE TABLE IF NOT EXISTS (\w+) \((.*?)PRIMARY KEY \((.*?)\)\n", re.DOTALL)


class Column(NamedTuple):
    """As the driver describes a bound value."""

    keyspace_name: str
    table_name: str
    name: str
    type: Any


def tables() -> dict[str, tuple[dict[str, Any], list[str]]]:
    """Table -> its columns' types and the names of its partition key, from the DDL."""
    found = {}
    for statement in table_ddl(CassandraSettings()):
        if match := re.match(
            r"CREATE TABLE IF NOT EXISTS (\w+) \((.*?)PRIMARY KEY \((.*?)\)\n", statement, re.S
        ):
            columns = dict(re.findall(r"(\w+) ([\w<>]+),", match[2]))
            key = re.match(r"\(([^)]*)\)|(\w+)", match[3])
            assert key
            partition = (key[1] or key[2]).split(", ")
            found[match[1]] = {name: TYPES[kind] for name, kind in columns.items()}, partition
    return found


class FakeSession:
    """``answer(batch)`` decides what a batch's future does: it returns, or raises."""

    keyspace = "market"

    def __init__(self, answer: Callable[[BatchStatement], None] = lambda _: None) -> None:
        self._tables = tables()
        self._answer = answer
        self.statements: dict[bytes, PreparedStatement] = {}
        self.sent: list[BatchStatement] = []
        self.in_flight = 0
        self.most_in_flight = 0

    def prepare(self, query: str) -> PreparedStatement:
        match = re.match(r"INSERT INTO (\w+) \((.*)\) VALUES \(([?, ]*)\)( USING TIMESTAMP \?)?$", query)
        assert match, query
        names = match[2].split(", ")
        types, partition = self._tables[match[1]]
        columns = [Column(self.keyspace, match[1], name, types[name]) for name in names]
        assert match[3].count("?") == len(names)
        if match[4]:
            columns.append(Column(self.keyspace, match[1], "[timestamp]", LongType))
        key = [names.index(name) for name in partition]
        statement = PreparedStatement(
            columns, query.encode(), key, query, self.keyspace, PROTOCOL, None, None
        )
        self.statements[statement.query_id] = statement
        return statement

    def execute_async(self, batch: BatchStatement) -> "FakeFuture":
        self.sent.append(batch)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        return FakeFuture(self, batch)

    def settle(self, batch: BatchStatement) -> None:
        self.in_flight -= 1
        self._answer(batch)


class FakeFuture:
    """Acknowledges when it is asked."""

    def __init__(self, session: FakeSession, batch: BatchStatement) -> None:
        self._session, self._batch = session, batch

    def result(self) -> None:
        self._session.settle(self._batch)


def row(statement: PreparedStatement, values: Any) -> dict[str, Any]:
    """The values as a reader gets them, by column, decoded by the driver's own types."""
    assert len(values) == len(statement.column_metadata)
    return {
        column.name: None if value is None else column.type.from_binary(value, PROTOCOL)
        for column, value in zip(statement.column_metadata, values, strict=True)
    }
