"""Rows as a batch has them on the wire (native protocol v5, 4.1.7), and how the driver is given such batches.

The driver packs a batch value by value when it sends it, which costs as much as all else that is done with a
trade's two rows. Here rows are made whole by those who know their columns, and the driver only sends them.
"""

import struct
from collections.abc import Iterable, Sequence
from copy import copy
from io import BytesIO
from typing import Any

from cassandra.cluster import Session
from cassandra.protocol import BatchMessage, ProtocolHandler
from cassandra.query import BatchStatement, BatchType

from jobs.sinks import cql

_SHORT = struct.Struct(">H")
_PREPARED = b"\1"


class Insert:
    """An INSERT of some columns. ``at_time``: the last value of a row is the timestamp (bigint) that it is
    written with. ``head`` is what a row begins with in a batch; its values come after, each after its
    length."""

    def __init__(
        self, session: Session, table: str, columns: Sequence[str], *, at_time: bool = False
    ) -> None:
        markers = ", ".join("?" * len(columns))
        text = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({markers})"  # noqa: S608
        query = session.prepare(text + " USING TIMESTAMP ?" * at_time).query_id
        self.head = _PREPARED + _SHORT.pack(len(query)) + query + _SHORT.pack(len(columns) + at_time)

    def row(self, values: Iterable[bytes | None]) -> bytes:
        """A row of these values, each in CQL's binary form; None: null."""
        return self.head + b"".join(map(cql.sized, values))


class RowBatch(BatchStatement):
    """Rows for a session that speaks ``RowProtocol``. Unlogged, and idempotent: our rows are written whole.
    ``routing_key``: of a partition whose replicas may coordinate it."""

    def __init__(self, rows: list[bytes], routing_key: bytes, keyspace: str) -> None:
        super().__init__(batch_type=BatchType.UNLOGGED)
        self.rows = self._statements_and_parameters = rows
        self.size = sum(map(len, rows))
        """Of its rows, in bytes."""
        self.routing_key = routing_key
        self.keyspace = keyspace
        self.is_idempotent = True

    def extend(self, rows: Sequence[bytes]) -> None:
        """Takes in further rows."""
        self.rows.extend(rows)
        self.size += sum(map(len, rows))


class RowProtocol(ProtocolHandler):
    """The driver's protocol, with nothing but RowBatches for batches: to be set as a session's
    ``client_protocol_handler``."""

    @classmethod
    def encode_message(cls, msg: Any, *frame: Any, **options: Any) -> bytes:
        """The bytes of a message."""
        if isinstance(msg, BatchMessage):
            msg = _RowMessage(msg)
        encoded: bytes = super().encode_message(msg, *frame, **options)
        return encoded


class _RowMessage:
    """A batch's message as the driver made it, whose queries are rows."""

    opcode = BatchMessage.opcode

    def __init__(self, message: BatchMessage) -> None:
        self._message = message
        self.tracing = message.tracing
        self.custom_payload = message.custom_payload

    def send_body(self, body: BytesIO, protocol_version: int) -> None:
        """What ``BatchMessage.send_body`` does."""
        without_rows, around = copy(self._message), BytesIO()
        without_rows.queries = ()
        without_rows.send_body(around, protocol_version)
        kind, rest = around.getvalue()[:1], around.getvalue()[1 + _SHORT.size :]
        rows = self._message.queries
        body.writelines((kind, _SHORT.pack(len(rows)), *rows, rest))
