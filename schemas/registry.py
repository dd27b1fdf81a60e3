"""The schema registry: registering our schemas, and looking up the writer schema of a record."""

import json
import time
from collections.abc import Iterable, Mapping

import httpx
import structlog
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError

from schemas.avro_codec import SchemaJson, schema_text
from schemas.errors import ConfigurationError, UnavailableError
from schemas.topics import Topics

log = structlog.get_logger()
COMPATIBILITY = "BACKWARD"


def registry_client(url: str) -> SchemaRegistryClient:
    """A client of the registry at ``url``, for a ``with``; retries are ours, so that waiting is logged."""
    return SchemaRegistryClient({"url": url, "timeout": 5, "max.retries": 0})


def is_loading(url: str) -> bool:
    """Whether the registry answers without knowing yet all that it holds.

    Apicurio does so for a moment after each start, while it reads its topic: schemas that exist are unknown
    then, and registering them again is a conflict. Other registries have no such address and never load.
    """
    return httpx.get(httpx.URL(url).join("/health/ready"), timeout=5, trust_env=False).status_code == 503


def register_schemas(url: str, topics: Topics) -> dict[str, int]:
    """Registers a schema for every key of ``topics.record_types``, BACKWARD compatible; returns key -> id.

    Raises ConfigurationError where the registry holds an incompatible schema, UnavailableError where it does
    not answer. Registering again changes nothing.
    """
    ids = {}
    try:
        _refuse_loading(url)
        with registry_client(url) as client:
            for name, event_type in topics.record_types.items():
                subject = topics.subject(name)
                ids[name] = client.register_schema(subject, Schema(schema_text(event_type), "AVRO"))
                client.set_compatibility(subject_name=subject, level=COMPATIBILITY)
    except SchemaRegistryError as error:
        if error.http_status_code == 409:
            raise ConfigurationError(
                f"the registry holds a schema for {subject} that ours cannot follow ({error.error_message});"
                f" add fields with a default only, or use another TOPIC_PREFIX"
            ) from error
        raise UnavailableError(f"schema registry {url}: {error}") from error
    except UnavailableError:
        raise
    except Exception as error:  # connection errors of whatever HTTP library the client uses
        raise UnavailableError(f"schema registry {url} does not answer: {error}") from error
    return ids


def _refuse_loading(url: str) -> None:
    if is_loading(url):
        raise UnavailableError(f"schema registry {url} is still reading what it holds")


def our_schemas(topics: Topics, ids: Mapping[str, int]) -> dict[int, SchemaJson]:
    """Schema id -> schema of every type of record of ours, from what ``register_schemas`` returned: a job
    ships with it, so that it decodes our records while the registry is away."""
    return {ids[name]: json.loads(schema_text(kind)) for name, kind in topics.record_types.items()}


class RegistryLookup:
    """Writer schema by id. An id that the registry does not know gives None; while the registry is away it
    waits and asks again for as long as it takes: an outage must never make a good record a dead letter."""

    def __init__(self, url: str, retry_seconds: Iterable[float] = (0.2, 0.5, 1.0, 2.0, 5.0)) -> None:
        self._url = url
        self._delays = tuple(retry_seconds)

    def __call__(self, schema_id: int) -> SchemaJson | None:
        attempt = 0
        while True:
            try:
                schema = self._ask(schema_id)
            except Exception as error:  # the registry's, or of whatever HTTP library its client uses
                delay = self._delays[min(attempt, len(self._delays) - 1)]
                log.warning("registry_unavailable", schema_id=schema_id, error=str(error), retry_in_s=delay)
                attempt += 1
                time.sleep(delay)
            else:
                return None if schema is None else self._parse(schema)

    def _ask(self, schema_id: int) -> Schema | None:
        """The schema, or None where a registry that has all of its schemas does not know it."""
        # Asked before: it may be done with loading by the time it is asked again.
        loading = is_loading(self._url)
        with registry_client(self._url) as client:
            try:
                return client.get_schema(schema_id)
            except SchemaRegistryError as error:
                if error.http_status_code != 404:
                    raise
                if loading:
                    raise UnavailableError("it is still reading what it holds") from error
                return None

    @staticmethod
    def _parse(schema: Schema) -> SchemaJson:
        if schema.schema_type not in (None, "AVRO"):
            return {"type": str(schema.schema_type)}  # the decoder refuses it as the wrong schema
        parsed = json.loads(schema.schema_str)
        return parsed if isinstance(parsed, dict) else {"type": parsed}
