"""The vectorised function that stores a batch of records and returns the dead letters among them.

When a call returns, everything it was given is in Cassandra or is a letter in its result. Flink finishes the
open batch before a checkpoint's barrier passes, so a checkpoint covers only what is stored.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from pyflink.table import DataTypes, FunctionContext, ScalarFunction
from pyflink.table.udf import udf

from jobs.flink.columns import Integers
from jobs.flink.worker import prepare_worker
from jobs.flink.worker_session import shared_session
from jobs.letters import carried
from jobs.settings import JobSettings
from jobs.sinks.cassandra_writer import CassandraWriter, Mutation
from jobs.sinks.stores import Poison, Records, stores
from schemas.avro_codec import Decoder, Encoder, SchemaJson
from schemas.events import DeadLetter, Event
from schemas.registry import RegistryLookup
from schemas.topics import Topics

PART = 400
"""Ticks that are made rows of at a time, and sent: some batches of each node. With fewer, reading them takes
longer than need be, and rows of one partition are in more mutations."""


class WriteRecords(ScalarFunction):
    """``write(topic, payload, partition, offset, record_time) -> letter``: null, or the dead letter's bytes.

    One function for all topics: what a batch costs by itself is paid once, and everything in it is on its way
    to Cassandra at the same time.
    """

    def __init__(
        self, settings: JobSettings, schemas: Mapping[int, SchemaJson], letter_schema_id: int
    ) -> None:
        self._settings = settings
        self._schemas = schemas
        self._letter_schema_id = letter_schema_id

    def open(self, function_context: FunctionContext) -> None:  # noqa: ARG002 -- Flink's signature
        prepare_worker()
        session = shared_session(self._settings)
        live_every = self._settings.live_every_ms / 1000
        self._stores = stores(Topics(self._settings.topic_prefix), session, self._decoder, live_every)
        self._writer = CassandraWriter(session, self._settings.cassandra_retry_seconds)
        self._encode_letter = Encoder(DeadLetter, self._letter_schema_id)

    def is_deterministic(self) -> bool:
        """It writes: the planner must call it once for each record, and never fold it away."""
        return False

    def eval(
        self,
        topics: Sequence[str],
        payloads: Sequence[bytes | None],
        partitions: Integers,
        offsets: Integers,
        record_ms: Integers,
    ) -> Sequence[bytes | None]:
        records = Records(payloads, partitions.tolist(), offsets.tolist(), record_ms)
        positions: dict[str, list[int]] = defaultdict(list)
        for position, topic in enumerate(topics):
            positions[topic].append(position)
        poison: list[tuple[str, list[int], Poison]] = []
        self._writer.write_parts(self._parts(records, positions, poison))
        letters: list[bytes | None] = [None] * len(payloads)
        for topic, places, errors in poison:
            for place, error in errors.items():
                position = places[place]
                letter = DeadLetter(
                    error.reason, error.detail, "store", topic, records.partitions[position],
                    records.offsets[position], carried(records.payloads[position]),
                )  # fmt: skip
                letters[position] = self._encode_letter.encode(letter)
        return letters

    def _parts(
        self,
        records: Records,
        positions: Mapping[str, list[int]],
        poison: list[tuple[str, list[int], Poison]],
    ) -> Iterator[Iterable[Iterable[Mutation]]]:
        """What is made and sent at a time: ticks in parts, with the last ones all else. Adds to ``poison`` of
        each topic and positions in the batch what is refused of them."""
        groups: dict[Hashable, list[Iterable[Mutation]]] = defaultdict(list)

        def mutations(topic: str, places: list[int]) -> Iterable[Mutation]:
            errors: Poison = {}
            poison.append((topic, places, errors))
            return self._mutations(topic, records, places, errors)

        for topic, places in positions.items():
            left = places
            while self._stores[topic].divisible and len(left) > 2 * PART:
                yield [mutations(topic, left[:PART])]
                left = left[PART:]
            groups[self._stores[topic].partitions].append(mutations(topic, left))
        yield map(chain.from_iterable, groups.values())

    def _mutations(
        self, topic: str, records: Records, positions: list[int], poison: Poison
    ) -> Iterable[Mutation]:
        if len(positions) < len(records.payloads):
            records = Records(
                [records.payloads[position] for position in positions],
                [records.partitions[position] for position in positions],
                [records.offsets[position] for position in positions],
                records.times_ms[positions],
            )
        return self._stores[topic].mutations(records, poison)

    def _decoder(self, event_types: tuple[type[Event], ...]) -> Decoder:
        return Decoder(event_types, RegistryLookup(self._settings.schema_registry_url), self._schemas)


def write_function(settings: JobSettings, schemas: Mapping[int, SchemaJson], ids: Mapping[str, int]) -> Any:
    """The function as Flink registers it."""
    function = WriteRecords(settings, schemas, ids[Topics(settings.topic_prefix).dead_letter])
    return udf(function, result_type=DataTypes.BYTES(), func_type="pandas", deterministic=False)
