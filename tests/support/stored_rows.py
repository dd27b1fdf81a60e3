"""Rows of jobs.sinks into a real Cassandra, without the store job."""

from collections.abc import Iterable

from cassandra.cluster import Session
from cassandra.query import BoundStatement

from tests.unit.jobs.row_reading import parsed


def store(session: Session, rows: Iterable[bytes]) -> None:
    """One by one."""
    for data in rows:
        for insert, values in parsed(data):
            statement = BoundStatement(session.prepare(insert.statement))
            statement.values = values
            session.execute(statement)
