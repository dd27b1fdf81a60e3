"""The vectorised function that makes a batch of records rows of Cassandra, and dead letters."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pyflink.table import DataTypes, FunctionContext, ScalarFunction
from pyflink.table.udf import udf

from jobs.flink.columns import Integers
from jobs.flink.worker import prepare_worker
from jobs.letters import carried
from jobs.settings import JobSettings
from jobs.sinks.stores import Poison, Records, stores
from schemas.avro_codec import Decoder, Encoder, SchemaJson
from schemas.events import DeadLetter, Event
from schemas.registry import RegistryLookup
from schemas.topics import Topics

MADE = {
    "rows": DataTypes.BYTES(),  # of all records of a batch, one behind the other, with its first; else null
    "letter": DataTypes.BYTES(),  # the dead letter of a record that was refused; else null
}


class MakeRows(ScalarFunction):
    """``make_rows(topic, payload, partition, offset, record_time) -> ROW(MADE)``.

    One function for all topics of a source: what a batch costs by itself is paid once.
    """

    def __init__(
        self, settings: JobSettings, schemas: Mapping[int, SchemaJson], letter_schema_id: int
    ) -> None:
        self._settings = settings
        self._schemas = schemas
        self._letter_schema_id = letter_schema_id

    def open(self, function_context: FunctionContext) -> None:  # noqa: ARG002 -- Flink's signature
        prepare_worker()
        topics = Topics(self._settings.topic_prefix)
        self._stores = stores(topics, self._decoder, self._settings.live_every_ms / 1000)
        self._encode_letter = Encoder(DeadLetter, self._letter_schema_id)

    def is_deterministic(self) -> bool:
        """Which live bars are due is not: the planner must call it once for each record."""
        return False

    def eval(
        self,
        topics: Sequence[str],
        payloads: Sequence[bytes | None],
        partitions: Integers,
        offsets: Integers,
        record_ms: Integers,
    ) -> Mapping[str, Sequence[bytes | None]]:
        records = Records(payloads, partitions.tolist(), offsets.tolist(), record_ms)
        positions: dict[str, list[int]] = defaultdict(list)
        for position, topic in enumerate(topics):
            positions[topic].append(position)
        rows: list[bytes] = []
        letters: list[bytes | None] = [None] * len(payloads)
        for topic, places in positions.items():
            errors: Poison = {}
            rows += self._rows(topic, records, places, errors)
            for place, error in errors.items():
                position = places[place]
                letter = DeadLetter(
                    error.reason, error.detail, "store", topic, records.partitions[position],
                    records.offsets[position], carried(records.payloads[position]),
                )  # fmt: skip
                letters[position] = self._encode_letter.encode(letter)
        made: list[bytes | None] = [None] * len(payloads)
        if rows:
            made[0] = b"".join(rows)
        return {"rows": made, "letter": letters}

    def _rows(self, topic: str, records: Records, positions: list[int], poison: Poison) -> Iterable[bytes]:
        if len(positions) < len(records.payloads):
            records = Records(
                [records.payloads[position] for position in positions],
                [records.partitions[position] for position in positions],
                [records.offsets[position] for position in positions],
                records.times_ms[positions],
            )
        return self._stores[topic].rows(records, poison)

    def _decoder(self, event_types: tuple[type[Event], ...]) -> Decoder:
        return Decoder(event_types, RegistryLookup(self._settings.schema_registry_url), self._schemas)


def row_function(settings: JobSettings, schemas: Mapping[int, SchemaJson], ids: Mapping[str, int]) -> Any:
    """The function as Flink registers it."""
    function = MakeRows(settings, schemas, ids[Topics(settings.topic_prefix).dead_letter])
    result = DataTypes.ROW([DataTypes.FIELD(name, type_) for name, type_ in MADE.items()])
    return udf(function, result_type=result, func_type="pandas", deterministic=False)
