"""The way into Cassandra: rows of one node together in unlogged batches, many batches at once, and no return
before every one of them is acknowledged.

What a request costs, here and in Cassandra, hardly depends on how much is in it, and live bars are of many
partitions with a row or two each. So a batch has whatever partitions have the same first replica, which can
coordinate it without asking others to; rows of one partition lie side by side, and are one mutation.

A caller that has returned has stored its rows, so that a checkpoint after it covers them. Rows have
deterministic keys and are written whole: writing them again changes nothing.

What is acknowledged is not yet safe from the death of a Cassandra process: as shipped, Cassandra marks its
commit log ten times a second, and after a kill it replays the log up to the last mark. What came after the
mark may be under a checkpoint already, and would never be written again. So the writer keeps what was
acknowledged last, and writes it again when a node has been away.
"""

import struct
import threading
import time
from collections import defaultdict, deque
from collections.abc import Hashable, Iterable, Sequence
from itertools import chain
from typing import Any, NamedTuple

import structlog
from cassandra import DriverException, RequestExecutionException
from cassandra.cluster import NoHostAvailable, ResponseFuture, Session
from cassandra.policies import HostStateListener
from cassandra.pool import Host

from jobs.sinks.rows import RowBatch, RowProtocol
from schemas.errors import UnavailableError

log = structlog.get_logger()

MAX_BATCH_BYTES = 40 * 1024
"""Of rows in one batch, some fifty trades: to the driver a request costs what making rows of twenty does. As
shipped, Cassandra refuses more than 50 KiB."""

MAX_IN_FLIGHT = 64
"""Batches sent and not yet acknowledged; the next one waits for the oldest."""

UNMARKED_S = 2.0
"""So long after its acknowledgement a write may be without a mark in the commit log. Cassandra's thread sets
one every 0.1 s; the rest is for a machine that has no time for it."""

RETRYABLE = (DriverException, RequestExecutionException, NoHostAvailable)


class Mutation(NamedTuple):
    """The rows that belong to one key of one partition, in however many tables with that partition key; of
    two mutations with the same key the later one counts. ``partition``: the values of the partition key."""

    partition: tuple[bytes, ...]
    key: Hashable
    rows: Sequence[bytes]
    """As ``Insert`` makes them."""


Groups = Iterable[Iterable[Mutation]]

_Partitions = dict[tuple[bytes, ...], dict[Hashable, Sequence[bytes]]]


class CassandraWriter(HostStateListener):
    """Writes mutations durably, by a session that sends no other batches. ``retry_seconds``: how long it goes
    on trying before it gives up."""

    def __init__(self, session: Session, retry_seconds: float) -> None:
        self._session = session
        self._retry_seconds = retry_seconds
        self._one_write = threading.Lock()
        self._unmarked: deque[tuple[float, RowBatch]] = deque()
        self._node_away = False
        self._node_back = False
        session.client_protocol_handler = RowProtocol
        session.cluster.register_listener(self)

    def write(self, *groups: Iterable[Mutation]) -> None:
        """Returns once everything is acknowledged; raises UnavailableError after ``retry_seconds``. Mutations
        of different groups have nothing to do with each other, whatever their keys."""
        self.write_parts([groups])

    def write_parts(self, parts: Iterable[Groups]) -> None:
        """The same with groups of which each is sent before the next are asked for: Cassandra writes some
        while the others are made. Of a key that is in two parts either mutation may be what stays."""
        with self._one_write:
            if self._node_back:
                self._write_again()
            elif not self._node_away:
                self._forget_marked()
            self._send(batch for groups in parts for batch in self._batches(map(_by_partition, groups)))

    def on_down(self, host: Host) -> None:  # noqa: ARG002 -- the driver's signature
        """The driver lost a node: what it had not marked is kept until the node is back."""
        self._node_away = True

    def on_up(self, host: Host) -> None:
        """A node is back. A thread of its own writes again, for the driver's must not wait for answers; and
        not the next caller of ``write`` alone, for there may never be one."""
        self._node_back = True
        self._node_away = False
        threading.Thread(target=self._catch_up, args=(host,), name="write-again", daemon=True).start()

    def on_add(self, host: Host) -> None:
        """A new node has nothing of ours to forget."""

    def on_remove(self, host: Host) -> None:
        """The others have what it had."""

    def _catch_up(self, host: Host) -> None:
        try:
            self.write()
        except UnavailableError as error:
            # Still to do, and by the next write, whose caller hears of it.
            log.warning("cassandra_not_back", host=str(host.endpoint), error=str(error))

    def _write_again(self) -> None:
        """In the order of before, so that of one key the latest values stay."""
        unmarked = [batch for _, batch in self._unmarked]
        self._node_back = False
        try:
            self._send(unmarked)
        except UnavailableError:
            self._node_back = True
            raise
        for _ in unmarked:
            self._unmarked.popleft()
        log.info("cassandra_written_again", batches=len(unmarked), why="a node was away")

    def _forget_marked(self) -> None:
        marked_by = time.monotonic() - UNMARKED_S
        while self._unmarked and self._unmarked[0][0] < marked_by:
            self._unmarked.popleft()

    def _send(self, batches: Iterable[RowBatch]) -> None:
        in_flight: deque[tuple[ResponseFuture, RowBatch]] = deque()
        refused: list[RowBatch] = []
        for batch in batches:
            if len(in_flight) >= MAX_IN_FLIGHT:
                self._settle(*in_flight.popleft(), refused)
            in_flight.append((self._session.execute_async(batch), batch))
        while in_flight:
            self._settle(*in_flight.popleft(), refused)
        if refused:
            self._retry(refused)

    def _retry(self, batches: list[RowBatch]) -> None:
        give_up_at = time.monotonic() + self._retry_seconds
        delay = 0.1
        while batches:
            log.warning("cassandra_write_retried", batches=len(batches), retry_in_s=delay)
            time.sleep(delay)
            delay = min(delay * 2, 5.0)
            still_refused: list[RowBatch] = []
            for batch in batches:
                self._settle(
                    self._session.execute_async(batch), batch, still_refused, time.monotonic() > give_up_at
                )
            batches = still_refused

    def _settle(
        self,
        future: ResponseFuture,
        batch: RowBatch,
        refused: list[RowBatch],
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
        else:
            self._unmarked.append((time.monotonic(), batch))

    def _batches(self, groups: Iterable[_Partitions]) -> Iterable[RowBatch]:
        """What is full at once, the others at the end."""
        open_batches: dict[Any, RowBatch] = {}
        keyspace = self._session.keyspace
        replicas = self._session.cluster.metadata.get_replicas
        for partition, mutated in chain.from_iterable(group.items() for group in groups):
            routing_key = composite(partition)
            node = next(iter(replicas(keyspace, routing_key)), None)
            batch = open_batches.get(node)
            for rows in mutated.values():
                if batch is None:
                    batch = open_batches[node] = RowBatch([], routing_key, keyspace)
                batch.extend(rows)
                if batch.size >= MAX_BATCH_BYTES:
                    yield batch
                    del open_batches[node]
                    batch = None
        yield from open_batches.values()


def _by_partition(mutations: Iterable[Mutation]) -> _Partitions:
    """Of each partition the rows of each key as the last mutation has them."""
    partitions: _Partitions = defaultdict(dict)
    for partition, key, rows in mutations:
        partitions[partition][key] = rows
    return partitions


_LENGTH = struct.Struct(">H")


def composite(partition: tuple[bytes, ...]) -> bytes:
    """A partition key's binary form, by which a batch finds the replicas of its rows."""
    if len(partition) == 1:
        return partition[0]
    return b"".join(_LENGTH.pack(len(part)) + part + b"\0" for part in partition)
