"""A Cassandra session without a server: prepares by our own DDL, and keeps what it was given."""

import re
from collections.abc import Callable
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
from cassandra.policies import HostStateListener
from cassandra.protocol import read_binary_string, read_byte, read_short, read_value
from cassandra.query import PreparedStatement

from jobs.sinks.cassandra_writer import Mutation, composite
from jobs.sinks.rows import RowBatch
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
PARTITION = re.compile(r"PRIMARY KEY \((?:\(([^)]*)\)|(\w+))")


class Column(NamedTuple):
    """As the driver describes a bound value."""

    keyspace_name: str
    table_name: str
    name: str
    type: Any


@cache
def tables() -> dict[str, tuple[dict[str, Any], list[str]]]:
    """Table -> its columns' types and the names of its partition key, from the DDL."""
    found = {}
    for statement in table_ddl(CassandraSettings()):
        if create := CREATE.match(statement):
            columns = COLUMN.findall(create[2].partition("PRIMARY KEY (")[0])
            partition = PARTITION.search(create[2])
            names = [name for name, _, primary in columns if primary]
            if partition:
                names = (partition[1] or partition[2]).split(", ")
            found[create[1]] = {name: TYPES[kind] for name, kind, _ in columns}, names
    return found


class FakeCluster:
    """So many nodes, of which each partition has two, the first by the last byte of its key. Tells nobody of
    any node by itself."""

    def __init__(self, nodes: int) -> None:
        self._nodes = nodes
        self.listeners: list[HostStateListener] = []
        self.metadata = self

    def get_replicas(self, keyspace: str, key: bytes) -> list[str]:
        assert keyspace == FakeSession.keyspace
        return [f"node {(key[-1] + place) % self._nodes}" for place in range(2)] if self._nodes else []

    def register_listener(self, listener: HostStateListener) -> None:
        self.listeners.append(listener)


class FakeSession:
    """``answer(batch)`` decides what a batch's future does: it returns, or raises. ``nodes``: 0 where the
    driver does not know which node has what."""

    keyspace = "market"

    def __init__(self, answer: Callable[[RowBatch], None] = lambda _: None, nodes: int = 1) -> None:
        self._tables = tables()
        self._answer = answer
        self.cluster = FakeCluster(nodes)
        self.sent: list[RowBatch] = []
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
        return PreparedStatement(columns, query.encode(), key, query, self.keyspace, PROTOCOL, None, None)

    def execute_async(self, batch: RowBatch) -> "FakeFuture":
        self.sent.append(batch)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        return FakeFuture(self, batch)

    def settle(self, batch: RowBatch) -> None:
        self.in_flight -= 1
        self._answer(batch)


class FakeFuture:
    """Acknowledges when it is asked."""

    def __init__(self, session: FakeSession, batch: RowBatch) -> None:
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


def parsed(data: bytes) -> tuple[PreparedStatement, list[bytes | None]]:
    """Statement and values of a row as it stands in a batch: native protocol v5, 4.1.7."""
    stream = BytesIO(data)
    assert read_byte(stream) == 1
    statement = FakeSession().prepare(read_binary_string(stream).decode())
    values = [read_value(stream) for _ in range(read_short(stream))]
    assert not stream.read()
    return statement, values


def table_and_row(data: bytes) -> tuple[str, dict[str, Any]]:
    """What a row in a batch says."""
    statement, values = parsed(data)
    return statement.column_metadata[0].table_name, row(statement, values)


def written(mutation: Mutation) -> dict[str, dict[str, Any]]:
    """Table -> the row that a mutation writes to it."""
    return dict(map(table_and_row, mutation.rows))


def sent_rows(session: FakeSession) -> list[tuple[str, dict[str, Any]]]:
    """(table, row) of everything that was sent."""
    return [table_and_row(data) for batch in session.sent for data in batch.rows]


def same_bytes(mutation: Mutation) -> None:
    """Asserts that values and routing key are what the driver makes of the same row."""
    for data in mutation.rows:
        statement, values = parsed(data)
        bound = statement.bind(list(row(statement, values).values()))
        assert values == bound.values
        assert composite(mutation.partition) == bound.routing_key
