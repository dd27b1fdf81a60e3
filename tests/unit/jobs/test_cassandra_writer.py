"""The writer's batches: what goes together, how much at once, and what it does when it is refused."""

import threading
from collections import Counter
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from cassandra import InvalidRequest, OperationTimedOut, Unavailable
from cassandra.query import BatchType

from jobs.sinks import cassandra_writer
from jobs.sinks.cassandra_writer import (
    MAX_BATCH_BYTES,
    MAX_IN_FLIGHT,
    UNMARKED_S,
    CassandraWriter,
    Mutation,
)
from jobs.sinks.rows import Insert, RowBatch
from schemas.errors import UnavailableError
from tests.unit.jobs.fake_cassandra import FakeSession, table_and_row


class Time:
    """The writer's clock, which only its own sleeping moves."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return sum(self.slept)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    monkeypatch.setattr(cassandra_writer, "time", time)
    return time


def mutation(session: FakeSession, partition: int, key: str, size: int = 0) -> Mutation:
    part = partition.to_bytes(4, "big")
    row = Insert(session, "symbols", ("part", "symbol")).row((part, key.encode() + b"." * size))
    return Mutation((part,), key, (row,))


def symbols(batch: RowBatch) -> list[str]:
    return [table_and_row(row)[1]["symbol"] for row in batch.rows]


def keys(batch: RowBatch) -> list[str]:
    return [symbol.rstrip(".") for symbol in symbols(batch)]


def test_rows_of_a_node_go_together_by_partition_and_no_others() -> None:
    """In unlogged, idempotent batches that know a node which has all that is in them; of two groups too, even
    where their keys are the same."""
    session = FakeSession(nodes=2)
    rows = [mutation(session, number % 4, f"k{number}") for number in range(8)]
    others = [mutation(session, number, f"k{number}", 1) for number in range(2)]
    CassandraWriter(session, 1.0).write(rows, others)
    assert [keys(batch) for batch in session.sent] == [["k0", "k4", "k2", "k6", "k0"],
                                                       ["k1", "k5", "k3", "k7", "k1"]]  # fmt: skip
    for number, batch in enumerate(session.sent):
        assert batch.batch_type == BatchType.UNLOGGED
        assert (batch.routing_key, batch.keyspace) == (number.to_bytes(4, "big"), "market")
        assert batch.is_idempotent


def test_without_knowledge_of_nodes_all_goes_together() -> None:
    """As while the driver has not read them yet."""
    session = FakeSession(nodes=0)
    CassandraWriter(session, 1.0).write([mutation(session, number, f"k{number}") for number in range(3)])
    assert [keys(batch) for batch in session.sent] == [["k0", "k1", "k2"]]


def test_of_one_key_the_last_mutation_counts() -> None:
    """A batch would give both the same timestamp, and Cassandra the greater value, not the later one."""
    session = FakeSession()
    CassandraWriter(session, 1.0).write([mutation(session, 0, "k", 5), mutation(session, 0, "k", 2)])
    [batch] = session.sent
    assert symbols(batch) == ["k.."]


def test_batches_are_bounded_in_bytes() -> None:
    """One that has reached the bound goes out; a row beyond it goes alone."""
    session = FakeSession()
    half = MAX_BATCH_BYTES // 2
    sizes = {"a": half, "b": half, "c": 9 * half, "d": 0}
    rows = [mutation(session, 0, key, size) for key, size in sizes.items()]
    CassandraWriter(session, 1.0).write(rows)
    assert [keys(batch) for batch in session.sent] == [["a", "b"], ["c"], ["d"]]


def test_a_batch_that_goes_on_is_of_the_partition_that_it_begins_with() -> None:
    """Where the one before was full."""
    session = FakeSession()
    rows = [mutation(session, number, f"k{number}", MAX_BATCH_BYTES // 2) for number in range(3)]
    CassandraWriter(session, 1.0).write([*rows, mutation(session, 2, "last", MAX_BATCH_BYTES)])
    assert [(batch.routing_key[-1], keys(batch)) for batch in session.sent] == [
        (0, ["k0", "k1"]),
        (2, ["k2", "last"]),
    ]


def test_no_more_are_in_flight_than_allowed_and_none_when_it_returns() -> None:
    """The next batch waits for the oldest."""
    session = FakeSession(nodes=3 * MAX_IN_FLIGHT)

    def rows() -> Iterator[Mutation]:
        for number in range(3 * MAX_IN_FLIGHT):
            yield mutation(session, number, f"k{number}")

    CassandraWriter(session, 1.0).write(rows())
    assert [keys(batch) for batch in session.sent] == [[f"k{n}"] for n in range(3 * MAX_IN_FLIGHT)]
    assert (session.most_in_flight, session.in_flight) == (MAX_IN_FLIGHT, 0)


def test_a_part_is_on_its_way_before_the_next_is_made() -> None:
    """And nothing is waited for until all are."""
    session = FakeSession()
    seen = []

    def parts() -> Iterator[list[list[Mutation]]]:
        for number in range(3):
            seen.append((len(session.sent), session.in_flight))
            yield [[mutation(session, number, f"k{number}")]]

    CassandraWriter(session, 1.0).write_parts(parts())
    assert seen == [(0, 0), (1, 1), (2, 2)]
    assert ([keys(batch) for batch in session.sent], session.in_flight) == ([["k0"], ["k1"], ["k2"]], 0)


def test_nothing_to_write() -> None:
    """A batch of heartbeats sends nothing."""
    session = FakeSession()
    CassandraWriter(session, 1.0).write([])
    assert session.sent == []


def test_what_was_refused_is_sent_again_until_it_is_taken(time: Time) -> None:
    """And only that, at growing intervals up to 5 s."""
    refusals = Counter({"k1": 8, "k3": 1})

    def answer(batch: RowBatch) -> None:
        [key] = keys(batch)
        if refusals[key]:
            refusals[key] -= 1
            raise OperationTimedOut()

    session = FakeSession(answer, nodes=5)
    CassandraWriter(session, 60.0).write([mutation(session, n, f"k{n}") for n in range(5)])
    sent = Counter(keys(batch)[0] for batch in session.sent)
    assert sent == {"k0": 1, "k1": 9, "k2": 1, "k3": 2, "k4": 1}
    assert time.slept == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0])


@pytest.mark.parametrize(
    "error", [OperationTimedOut(), Unavailable("no replica"), InvalidRequest("unconfigured")]
)
def test_it_gives_up_after_its_time(time: Time, error: Exception) -> None:
    """So that the job fails, and starts again from its checkpoint."""

    def refuse(_: RowBatch) -> None:
        raise error

    session = FakeSession(refuse)
    with pytest.raises(UnavailableError, match=r"not taken a write for 20 s .*; the job restarts") as failed:
        CassandraWriter(session, 20.0).write([mutation(session, 0, "k")])
    assert failed.value.__cause__ is error
    assert 20.0 <= time.monotonic() <= 25.0
    assert session.in_flight == 0


def test_an_error_that_is_not_cassandras_is_not_swallowed() -> None:
    """A mistake of ours is seen at once."""

    def fail(_: RowBatch) -> None:
        raise TypeError("ours")

    session = FakeSession(fail)
    with pytest.raises(TypeError, match="ours"):
        CassandraWriter(session, 1.0).write([mutation(session, 0, "k")])


NODE = SimpleNamespace(endpoint="127.0.0.1:9042")


def away_and_back(writer: CassandraWriter) -> None:
    """As the driver tells it; returns when the writer has done all that it does of itself."""
    writer.on_down(NODE)
    writer.on_up(NODE)
    for thread in threading.enumerate():
        if thread.name == "write-again":
            thread.join(10)


def test_what_was_acknowledged_last_is_written_again_when_a_node_is_back(time: Time) -> None:
    """Once, in its order, without another write: it may have been forgotten with the process."""
    session = FakeSession()
    writer = CassandraWriter(session, 20.0)
    for key in ("old", "first", "second"):
        writer.write([mutation(session, 0, key)])
        time.sleep(UNMARKED_S + 0.1 if key == "old" else 0.1)
    session.sent.clear()
    away_and_back(writer)
    assert [keys(batch) for batch in session.sent] == [["first"], ["second"]]
    writer.write([mutation(session, 0, "next")])
    assert [keys(batch) for batch in session.sent[2:]] == [["next"]]


def test_nothing_is_forgotten_while_a_node_is_away(time: Time) -> None:
    """However long that takes, and whatever other nodes acknowledge meanwhile."""
    session = FakeSession()
    writer = CassandraWriter(session, 20.0)
    writer.write([mutation(session, 0, "before")])
    writer.on_down(NODE)
    for _ in range(3):
        time.sleep(UNMARKED_S)
        writer.write([mutation(session, 0, "meanwhile")])
    session.sent.clear()
    writer.on_up(NODE)
    writer.write([])
    assert [keys(batch) for batch in session.sent] == [["before"], *[["meanwhile"]] * 3]


@pytest.mark.usefixtures("time")
def test_what_could_not_be_written_again_is_with_the_next_write() -> None:
    """Whose caller then hears whether it could."""
    refusing = False

    def answer(_: RowBatch) -> None:
        if refusing:
            raise OperationTimedOut()

    session = FakeSession(answer)
    writer = CassandraWriter(session, 1.0)
    writer.write([mutation(session, 0, "before")])
    refusing = True
    away_and_back(writer)
    with pytest.raises(UnavailableError):
        writer.write([mutation(session, 0, "next")])
    refusing = False
    session.sent.clear()
    writer.write([mutation(session, 0, "next")])
    assert [keys(batch) for batch in session.sent] == [["before"], ["next"]]
