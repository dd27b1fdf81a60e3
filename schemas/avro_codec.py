"""Avro in the Confluent wire format: one zero byte, the schema's id (4 bytes, big endian), the Avro body.

Times stay integers here: the registered schemas say ``timestamp-micros``, which other clients turn into
their own time types, but building a datetime for each of 100,000 trades a second would cost more than all
the rest of the decoding. So our parsed schemas leave the logical types out; the bytes are the same.
"""

import json
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import cache
from importlib.resources import files
from io import BytesIO
from typing import Any, NamedTuple

from fastavro import parse_schema, schemaless_reader, schemaless_writer
from fastavro.read import SchemaResolutionError

from schemas.errors import PoisonError
from schemas.events import Alert, Candle, Correction, DeadLetter, Event, Gap, ProviderBar, Quote, Trade

SchemaJson = dict[str, Any]
SchemaById = Callable[[int], SchemaJson | None]
"""Writer schema by registry id; None for an id the registry does not know. May block while it is away."""

HEADER = struct.Struct(">bI")
UNKNOWN_ID_SECONDS = 5.0
"""How long an id that the registry did not know is refused without asking again."""
MAX_UNKNOWN_IDS = 1_000
"""So many are remembered; a foreign producer can make up four billion."""
SCHEMA_FILES: Mapping[type[Event], str] = {
    Trade: "trade",
    Correction: "correction",
    Quote: "quote",
    Candle: "candle",
    Alert: "alert",
    Gap: "gap",
    ProviderBar: "provider_bar",
    DeadLetter: "dead_letter",
}


def schema_text(event_type: type[Event]) -> str:
    """The Avro schema of an event type as the repository holds it, as JSON text."""
    return _read(SCHEMA_FILES[event_type])


@cache
def _read(name: str) -> str:
    return files("schemas").joinpath(f"avro/{name}.avsc").read_text(encoding="utf-8")


def without_logical_types(schema: Any) -> Any:
    """The same schema with every logical type replaced by its underlying type."""
    if isinstance(schema, list):
        return [without_logical_types(branch) for branch in schema]
    if not isinstance(schema, dict):
        return schema
    if "logicalType" in schema:
        return schema["type"]
    return {key: without_logical_types(value) if key in ("type", "fields", "items", "values") else value
            for key, value in schema.items()}  # fmt: skip


def parsed_schema(event_type: type[Event]) -> SchemaJson:
    """The schema of an event type, parsed for fastavro, without logical types."""
    parsed: SchemaJson = parse_schema(without_logical_types(json.loads(schema_text(event_type))))
    return parsed


class Encoder:
    """Encodes events of one type under one schema id. Not thread-safe: it reuses one buffer."""

    def __init__(self, event_type: type[Event], schema_id: int) -> None:
        self._header = HEADER.pack(0, schema_id)
        self._schema = parsed_schema(event_type)
        self._names = tuple(field.name for field in fields(event_type))
        self._buffer = BytesIO()

    def encode(self, event: Event) -> bytes:
        """The wire format of ``event``; raises ValueError, TypeError or OverflowError for a value that its
        schema cannot hold."""
        return self.encode_fields({name: getattr(event, name) for name in self._names})

    def encode_fields(self, values: Mapping[str, Any]) -> bytes:
        """Like ``encode``, from the fields as a mapping: spares building an event only to take it apart."""
        buffer = self._buffer
        buffer.seek(0)
        buffer.truncate()
        buffer.write(self._header)
        schemaless_writer(buffer, self._schema, values)
        return buffer.getvalue()


class _Resolution(NamedTuple):
    """How the records of one schema id are read; ``reader`` is None where it is the writer's schema."""

    event_type: type[Event]
    writer: SchemaJson
    reader: SchemaJson | None


class Decoder:
    """Decodes records of the event types that one topic holds, whatever version of their schemas wrote them.

    ``event_types``: one or several. ``schema_by_id`` is asked once for each id that ``known`` does not hold;
    for one that it does not know either, again after a while: the id may belong to a schema yet to come.
    """

    def __init__(
        self,
        event_types: type[Event] | tuple[type[Event], ...],
        schema_by_id: SchemaById,
        known: Mapping[int, SchemaJson] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        kinds = event_types if isinstance(event_types, tuple) else (event_types,)
        schemas = {kind: parsed_schema(kind) for kind in kinds}
        self._by_name = {schema["name"]: (kind, schema) for kind, schema in schemas.items()}
        self._schema_by_id = schema_by_id
        self._monotonic = monotonic
        self._unknown_until: dict[int, float] = {}
        self._by_id: dict[int, _Resolution | PoisonError] = {}
        for schema_id, schema in (known or {}).items():
            self._by_id[schema_id] = self._resolution(schema_id, schema)

    def own_type(self, header: bytes) -> type[Event] | None:
        """The type of the records that begin with these bytes, where they were written with the very schema
        that they are read with, as far as that is known already; else None."""
        known = self._by_id.get(int.from_bytes(header[1:], "big")) if header[:1] == b"\0" else None
        if not isinstance(known, _Resolution) or len(header) != HEADER.size or known.reader is not None:
            return None
        return known.event_type

    def decode_fields(self, payload: bytes) -> dict[str, Any]:
        """The fields of one record; raises PoisonError with the reason for anything that is not one."""
        return self.decode_typed(payload)[1]

    def decode_typed(self, payload: bytes) -> tuple[type[Event], dict[str, Any]]:
        """Type and fields of one record; raises PoisonError like ``decode_fields``."""
        if len(payload) < HEADER.size or payload[0] != 0:
            raise PoisonError("not_avro", "no Confluent wire format header (one 0 byte and a schema id)")
        schema_id = int.from_bytes(payload[1:5], "big")
        resolution = self._by_id.get(schema_id)
        if resolution is None:
            schema = self._look_up(schema_id)
            resolution = self._resolution(schema_id, schema)
            if schema is not None:
                self._by_id[schema_id] = resolution
        if isinstance(resolution, PoisonError):
            raise resolution.with_traceback(None)
        event_type, writer, reader = resolution
        body = BytesIO(payload)
        body.seek(HEADER.size)
        try:
            record: dict[str, Any] = schemaless_reader(body, writer, reader)
        except SchemaResolutionError as error:
            raise self._unresolvable(payload, schema_id, writer, error) from error
        except Exception as error:  # fastavro raises EOFError, ValueError, IndexError, Unicode errors, ...
            raise PoisonError("not_avro", f"body is not schema {schema_id}: {error!r}") from error
        if body.tell() != len(payload):
            extra = len(payload) - body.tell()
            raise PoisonError("not_avro", f"{extra} bytes left over after a record of schema {schema_id}")
        return event_type, record

    def decode(self, payload: bytes) -> Event:
        """One record as an event; raises PoisonError. The values are not validated."""
        event_type, values = self.decode_typed(payload)
        for name in ("conditions", "sources"):
            if name in values:
                values[name] = tuple(values[name])
        return event_type(**values)

    def _look_up(self, schema_id: int) -> SchemaJson | None:
        now = self._monotonic()
        if now < self._unknown_until.get(schema_id, now):
            return None
        schema = self._schema_by_id(schema_id)
        if schema is None:
            if len(self._unknown_until) >= MAX_UNKNOWN_IDS:
                self._unknown_until.clear()
            self._unknown_until[schema_id] = now + UNKNOWN_ID_SECONDS
        else:
            self._unknown_until.pop(schema_id, None)
        return schema

    def _unresolvable(
        self, payload: bytes, schema_id: int, writer: SchemaJson, error: Exception
    ) -> PoisonError:
        """Why a record whose own schema is sound cannot be read as ours: most often a null symbol."""
        body = BytesIO(payload)
        body.seek(HEADER.size)
        try:
            record = schemaless_reader(body, writer, None)
        except Exception as unreadable:  # the body is broken as well
            return PoisonError("not_avro", f"body is not schema {schema_id}: {unreadable!r}")
        if isinstance(record, dict) and record.get("symbol", "") is None:
            return PoisonError("invalid_symbol", "symbol is None")
        return PoisonError("wrong_schema", f"schema {schema_id} cannot be read as {writer['name']}: {error}")

    def _resolution(self, schema_id: int, schema: SchemaJson | None) -> "_Resolution | PoisonError":
        if schema is None:
            return PoisonError("unknown_schema", f"the registry has no schema with id {schema_id}")
        try:
            writer = parse_schema(without_logical_types(schema))
        except Exception as error:  # an id of a Protobuf or JSON schema, or names that clash
            return PoisonError("wrong_schema", f"schema {schema_id} is not usable Avro: {error!r}")
        name = writer.get("name") if isinstance(writer, dict) else None
        if name not in self._by_name:
            expected = " or ".join(self._by_name)
            return PoisonError("wrong_schema", f"schema {schema_id} is {name}, expected {expected}")
        event_type, ours = self._by_name[name]
        same = without_docs(writer) == without_docs(ours)
        return _Resolution(event_type, writer, None if same else ours)


def without_docs(schema: Any) -> Any:
    """A schema reduced to what shapes the bytes and the names, for comparing two of them."""
    if isinstance(schema, list):
        return [without_docs(branch) for branch in schema]
    if isinstance(schema, dict):
        return {
            key: without_docs(value)
            for key, value in schema.items()
            if key in ("type", "name", "fields", "items", "values", "symbols", "size")
        }
    return schema
