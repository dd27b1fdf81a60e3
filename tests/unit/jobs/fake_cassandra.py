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
    MapType,
    SetType,
    SimpleDateType,
    UTF8Type,
)
from cassandra.policies import HostStateListener
from cassandra.query import BatchStatement, PreparedStatement

from jobs.sinks.cassandra_writer import Mutation, composite
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
    """Tells nobody of any node by itself."""

    def __init__(self) -> None:
        self.listeners: list[HostStateListener] = []

    def register_listener(self, listener: HostStateListener) -> None:
        self.listeners.append(listener)


class FakeSession:
    """``answer(batch)`` decides what a batch's future does: it returns, or raises."""

    keyspace = "market"

    def __init__(self, answer: Callable[[BatchStatement], None] = lambda _: None) -> None:
        self._tables = tables()
        self._answer = answer
        self.cluster = FakeCluster()
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


def written(mutation: Mutation) -> dict[str, dict[str, Any]]:
    """Table -> the row that a mutation writes to it."""
    return {
        insert.statement.column_metadata[0].table_name: row(insert.statement, insert.values)
        for insert in mutation.inserts
    }


def sent_rows(session: FakeSession) -> list[tuple[str, dict[str, Any]]]:
    """(table, row) of everything that was sent."""
    return [
        (
            session.statements[query_id].column_metadata[0].table_name,
            row(session.statements[query_id], values),
        )
        for batch in session.sent
        for _, query_id, values in batch._statements_and_parameters
    ]


def same_bytes(mutation: Mutation) -> None:
    """Asserts that values and routing key are what the driver makes of the same row."""
    for insert in mutation.inserts:
        values = list(row(insert.statement, insert.values).values())
        bound = insert.statement.bind(values)
        assert list(insert.values) == bound.values
        assert composite(mutation.partition) == bound.routing_key
