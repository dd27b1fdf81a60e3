"""The way into Cassandra: rows of one partition together in unlogged batches, many batches at once, and no
return before every one of them is acknowledged.

A caller that has returned has stored its rows, so that a checkpoint after it covers them. Rows have
deterministic keys and are written whole: writing them again changes nothing.
"""

import struct
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import structlog
from cassandra import DriverException, RequestExecutionException
from cassandra.cluster import NoHostAvailable, ResponseFuture, Session
from cassandra.query import BatchStatement, BatchType, PreparedStatement

from schemas.errors import UnavailableError

log = structlog.get_logger()

MAX_BATCH_BYTES = 24 * 1024
"""Of values in one batch. A batch of one partition is one mutation, which Cassandra takes at any size up to
half a commit-log segment; beyond this size larger ones gain nothing and block its threads for longer."""

MAX_IN_FLIGHT = 64
"""Batches sent and not yet acknowledged; the next one waits for the oldest."""

RETRYABLE = (DriverException, RequestExecutionException, NoHostAvailable)


class Insert(NamedTuple):
    """One row for one table: its statement and its values, each already in CQL's binary form (None: null)."""

    statement: PreparedStatement
    values: Sequence[bytes | None]


class Mutation(NamedTuple):
    """The rows that belong to one key of one partition, in however many tables with that partition key; of
    two mutations with the same key the later one counts."""

    partition: tuple[bytes, ...]
    key: tuple[bytes, ...]
    inserts: Sequence[Insert]


def insert(table: str, columns: Sequence[str]) -> str:
    """INSERT of these columns, with a marker for each."""
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608


class CassandraWriter:
    """Writes mutations durably. ``retry_seconds``: how long it goes on trying before it gives up."""

    def __init__(self, session: Session, retry_seconds: float) -> None:
        self._session = session
        self._retry_seconds = retry_seconds

    def write(self, mutations: Iterable[Mutation]) -> None:
        """Returns once everything is acknowledged; raises UnavailableError after ``retry_seconds``."""
        in_flight: deque[tuple[ResponseFuture, BatchStatement]] = deque()
        refused: list[BatchStatement] = []
        for batch in self._batches(mutations):
            if len(in_flight) >= MAX_IN_FLIGHT:
                self._settle(*in_flight.popleft(), refused)
            in_flight.append((self._session.execute_async(batch), batch))
        while in_flight:
            self._settle(*in_flight.popleft(), refused)
        if refused:
            self._retry(refused)

    def _retry(self, batches: list[BatchStatement]) -> None:
        give_up_at = time.monotonic() + self._retry_seconds
        delay = 0.1
        while batches:
            log.warning("cassandra_write_retried", batches=len(batches), retry_in_s=delay)
            time.sleep(delay)
            delay = min(delay * 2, 5.0)
            still_refused: list[BatchStatement] = []
            for batch in batches:
                self._settle(
                    self._session.execute_async(batch), batch, still_refused, time.monotonic() > give_up_at
                )
            batches = still_refused

    def _settle(
        self,
        future: ResponseFuture,
        batch: BatchStatement,
        refused: list[BatchStatement],
        last_try: bool = False,
    ) -> None:
        try:
            future.result()
        except RETRYABLE as error:
            if last_try:
                raise UnavailableError(
                    f"Cassandra has not taken a write for {self._retry_seconds:g} s ({error});"
                    f" the job restarts from its last checkpoint and tries again"
                ) from error
            refused.append(batch)

    def _batches(self, mutations: Iterable[Mutation]) -> Iterable[BatchStatement]:
        partitions: dict[tuple[bytes, ...], dict[tuple[bytes, ...], Mutation]] = defaultdict(dict)
        for mutation in mutations:
            partitions[mutation.partition][mutation.key] = mutation
        for partition, rows in partitions.items():
            routing_key = composite(partition)
            batch, size = self._new_batch(routing_key), 0
            for mutation in rows.values():
                for insert in mutation.inserts:
                    # The values are in binary form already: binding them one by one would cost four times
                    # what the whole trade costs here, so they go where the driver puts bound values.
                    batch._statements_and_parameters.append((True, insert.statement.query_id, insert.values))
                    size += sum(len(value) for value in insert.values if value)
                if size >= MAX_BATCH_BYTES:
                    yield batch
                    batch, size = self._new_batch(routing_key), 0
            if size:
                yield batch

    def _new_batch(self, routing_key: bytes) -> BatchStatement:
        batch = BatchStatement(batch_type=BatchType.UNLOGGED)
        batch.routing_key = routing_key
        batch.keyspace = self._session.keyspace
        batch.is_idempotent = True
        return batch


_LENGTH = struct.Struct(">H")


def composite(partition: tuple[bytes, ...]) -> bytes:
    """A partition key's binary form, by which a batch finds the replicas of its rows."""
    if len(partition) == 1:
        return partition[0]
    return b"".join(_LENGTH.pack(len(part)) + part + b"\0" for part in partition)
