"""Batches of rows on the wire: byte for byte what the driver makes of the same statements and values."""

from typing import Any

import pytest
from cassandra import ConsistencyLevel
from cassandra.protocol import BatchMessage, ProtocolHandler, QueryMessage
from cassandra.query import BatchType

from jobs.sinks.rows import Insert, RowBatch, RowProtocol
from tests.unit.jobs.fake_cassandra import PROTOCOL, FakeSession

ROWS: list[list[bytes | None]] = [[b"\0\0\0\0", b"AAPL"], [b"\0\0\0\1", None], [b"", b"x" * 70_000]]
OPTIONS = [
    {},
    {"timestamp": 1_700_000_000_000_000},
    {"keyspace": "market", "timestamp": 0},
    {"serial_consistency_level": ConsistencyLevel.LOCAL_SERIAL},
]


def message(queries: Any, **options: Any) -> BatchMessage:
    return BatchMessage(BatchType.UNLOGGED, queries, ConsistencyLevel.LOCAL_QUORUM, **options)


def encoded(handler: type[ProtocolHandler], sent: Any) -> bytes:
    """As a connection asks for it."""
    options = {"compressor": None, "allow_beta_protocol_version": False}
    data: bytes = handler.encode_message(sent, 7, PROTOCOL, **options)
    return data


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("count", [0, 1, 3])
@pytest.mark.parametrize("traced", [False, True])
def test_a_batch_is_what_the_driver_makes_of_it(count: int, options: dict[str, Any], traced: bool) -> None:
    """And again when it is sent again."""
    session = FakeSession()
    query = session.prepare("INSERT INTO symbols (part, symbol) VALUES (?, ?)").query_id
    of_the_driver = message([(True, query, values) for values in ROWS[:count]], **options)
    insert = Insert(session, "symbols", ("part", "symbol"))
    batch = RowBatch([insert.row(values) for values in ROWS[:count]], b"key", "market")
    of_rows = message(batch._statements_and_parameters, **options)
    for each in (of_the_driver, of_rows):
        each.tracing = traced
        each.update_custom_payload({"why": b"a test"} if traced else None)
    expected = encoded(ProtocolHandler, of_the_driver)
    assert encoded(RowProtocol, of_rows) == expected
    assert encoded(RowProtocol, of_rows) == expected


def test_a_timestamp_is_one_more_value() -> None:
    """After those of the columns."""
    session = FakeSession()
    query = session.prepare("INSERT INTO symbols (part, symbol) VALUES (?, ?) USING TIMESTAMP ?").query_id
    values = [*ROWS[0], b"\0" * 8]
    row = Insert(session, "symbols", ("part", "symbol"), at_time=True).row(values)
    expected = encoded(ProtocolHandler, message([(True, query, values)]))
    assert encoded(RowProtocol, message([row])) == expected


def test_other_messages_are_the_drivers() -> None:
    """The session prepares its statements like any other."""
    sent = QueryMessage("SELECT release_version FROM system.local", ConsistencyLevel.ONE)
    assert encoded(RowProtocol, sent) == encoded(ProtocolHandler, sent)


def test_a_batch_may_be_written_again() -> None:
    """So the driver may send it to another node when one does not answer."""
    batch = RowBatch([], b"key", "market")
    assert (batch.batch_type, batch.is_idempotent) == (BatchType.UNLOGGED, True)
    assert (batch.routing_key, batch.keyspace) == (b"key", "market")
