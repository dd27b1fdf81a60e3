"""Any Confluent client reads what we write, and we read what it writes, over real Kafka and registry."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, fields
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro
import httpx
import kafka as kafka_python
import pytest
from confluent_kafka import Consumer, Message, Producer
from confluent_kafka.schema_registry import (
    Schema,
    SchemaRegistryClient,
    topic_record_subject_name_strategy,
)
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from schemas.avro_codec import HEADER, SCHEMA_FILES, Decoder, Encoder, schema_text
from schemas.errors import ConfigurationError, PoisonError
from schemas.events import Alert, Candle, Correction, DeadLetter, Event, Gap, ProviderBar, Quote, Trade
from schemas.registry import RegistryLookup, our_schemas, register_schemas, registry_client
from schemas.settings import TopicSettings
from schemas.topics import Topics

pytestmark = pytest.mark.servers
FIRST = Path(__file__).parent / "first/avro"
"""The schemas of the first release that today's have changed."""
TIME = 1_723_204_800_123_456
EVENTS: dict[type[Event], list[Event]] = {
    Trade: [
        Trade("AAPL", TIME, TIME + 321, 187.25, 100.0, "t-1", 7, "sim", "X", ("@", "I"),
              False, True, False, True),
        Trade("BTC-USD", 0, 2**52, 5e-324, 0.0, "идентификатор", 0, "s"),
    ],
    Correction: [
        Correction("AAPL", TIME, TIME + 1, "c-1", 0, "sim", "t-1"),
        Correction("AAPL", TIME, TIME + 1, "c-2", 1, "sim", "t-2", TIME - 5, "correct", 187.5, 3.0, "X",
                   ("@",), False, True, False),
    ],
    Quote: [Quote("AAPL", TIME, TIME + 1, 187.0, 1.0, 187.5, 2.0, 3, "sim", "X")],
    Candle: [
        Candle("AAPL", "1m", TIME, TIME + 1, 1.0, 2.0, 0.5, 1.5, 10.0, 15.0, 1.5, 3, True, 7, ("a", "b"), 2,
               TIME + 2, 0.5, {"sma_20": 1.25, "rsi_14": 70.0}),
        Candle("AAPL", "1d", TIME, TIME + 60_000_000, None, None, None, None, 0.0, 0.0, None, 0, False, 0),
    ],
    Alert: [
        Alert("a-1", 0, "AAPL", "price_spike", "high", "raised", TIME, TIME + 1, 6.5, 5.0, "up 6.5 %", "1m",
              TIME - 9, 7),
        Alert("a-2", 1, "*", "latency", "low", "resolved", TIME, TIME + 1, 0.1, 0.1, "it is over"),
    ],
    Gap: [
        Gap("g-1", "AAPL", "finnhub", TIME, TIME + 1, True, "silence", "нет сделок", TIME + 2),
        Gap("g-2", "BTC-USD", "coinbase", 0, 0, False, "failover"),
    ],
    ProviderBar: [
        ProviderBar("AAPL", "yahoo", "1m", TIME, TIME + 60_000_000, 1.0, 2.0, 0.5, 1.5, 10.0, 1.25, 3, True,
                    TIME + 2, TIME + 9, {"sma_20": 1.25}),
        ProviderBar("AAPL", "alphavantage", "1d", 0, 1, 1.0, 1.0, 1.0, 1.0, 0.0, None, None, False, 2),
    ],
    DeadLetter: [
        DeadLetter("not_avro", "why", "store", "t", 3, 2**40, b"\x00\xff"),
        DeadLetter("unreadable_row", "why", "producer", "t"),
    ],
}  # fmt: skip
TIMES = {"event_time", "received_at", "start", "end", "updated_at", "trade_time", "bar_start"}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def as_clients_see(event: Event) -> dict[str, Any]:
    """The fields as an Avro client gives them: times as datetimes, tuples as lists."""
    return {
        name: EPOCH + timedelta(microseconds=value)
        if name in TIMES and value is not None
        else list(value)
        if isinstance(value, tuple)
        else value
        for name, value in asdict(event).items()
    }


@pytest.fixture
def client(topics: TopicSettings) -> Iterator[SchemaRegistryClient]:
    """confluent-kafka's client of the registry."""
    with registry_client(topics.schema_registry_url) as client:
        yield client


@pytest.fixture
def ids(topics: TopicSettings) -> dict[str, int]:
    """Our schemas are registered: type of record, as ``Topics.record_types`` names it -> schema id."""
    return register_schemas(topics.schema_registry_url, Topics(topics.topic_prefix))


def home(topics: TopicSettings, kind: type[Event]) -> tuple[str, str]:
    """Where a type lives: its topic, and what its schema id is kept under."""
    names = Topics(topics.topic_prefix)
    name = next(name for name, of in names.record_types.items() if of is kind)
    return names.trades if kind is Correction else name, name


def produce(topics: TopicSettings, topic: str, payloads: list[bytes]) -> None:
    """All payloads, in order, in one partition; each delivery report is looked at."""
    failed: list[object] = []

    def delivered(error: object, _: Message) -> None:
        if error is not None:
            failed.append(error)

    producer = Producer({"bootstrap.servers": topics.kafka_bootstrap_servers, "acks": "all"})
    for payload in payloads:
        producer.produce(topic, payload, key=b"AAPL", on_delivery=delivered)
    assert (producer.flush(30), failed) == (0, [])


@pytest.fixture
def consumer(topics: TopicSettings) -> Iterator[Consumer]:
    """confluent-kafka's consumer, from the beginning of what it subscribes to."""
    config = {
        "bootstrap.servers": topics.kafka_bootstrap_servers,
        "group.id": topics.topic_prefix,
        "auto.offset.reset": "earliest",
    }
    with closing(Consumer(config)) as consumer:
        yield consumer


def consume(consumer: Consumer, topic: str, count: int) -> list[bytes]:
    """The first ``count`` values of a topic."""
    consumer.subscribe([topic])
    values: list[bytes] = []
    while len(values) < count:
        message = consumer.poll(60)
        assert message is not None, "nothing came within a minute"
        assert message.error() is None, message.error()
        values.append(message.value())
    return values


@pytest.mark.parametrize("kind", list(EVENTS))
def test_confluents_deserializer_reads_what_we_write(
    kind: type[Event],
    topics: TopicSettings,
    ids: dict[str, int],
    consumer: Consumer,
    client: SchemaRegistryClient,
) -> None:
    """From the topic, with the schema from the registry: every field, times to the microsecond."""
    topic, name = home(topics, kind)
    encoder = Encoder(kind, ids[name])
    produce(topics, topic, [encoder.encode(event) for event in EVENTS[kind]])
    deserialize = AvroDeserializer(client)
    context = SerializationContext(topic, MessageField.VALUE)
    read = [deserialize(value, context) for value in consume(consumer, topic, len(EVENTS[kind]))]
    assert read == [as_clients_see(event) for event in EVENTS[kind]]


@pytest.mark.parametrize("kind", list(EVENTS))
def test_we_read_what_confluents_serializer_writes(
    kind: type[Event],
    topics: TopicSettings,
    ids: dict[str, int],
    consumer: Consumer,
    client: SchemaRegistryClient,
) -> None:
    """It finds our schema in the registry by itself; we decode with the id that it wrote. Corrections share a
    topic: their producer says so by the name of Confluent's strategy for that, and gives their schema."""
    topic, _ = home(topics, kind)
    strategy = {"subject.name.strategy": topic_record_subject_name_strategy} if kind is Correction else {}
    serialize = AvroSerializer(
        client,
        schema_str=schema_text(kind) if kind is Correction else None,
        conf={"auto.register.schemas": False, "use.latest.version": True, **strategy},
    )
    context = SerializationContext(topic, MessageField.VALUE)
    payloads = [serialize(as_clients_see(event), context) for event in EVENTS[kind]]
    produce(topics, topic, payloads)
    values = consume(consumer, topic, len(payloads))
    lookup = Decoder(kind, RegistryLookup(topics.schema_registry_url))
    assert [lookup.decode(value) for value in values] == EVENTS[kind]
    shipped = Decoder(kind, nobody, our_schemas(Topics(topics.topic_prefix), ids))
    assert [shipped.decode(value) for value in values] == EVENTS[kind]


def nobody(schema_id: int) -> None:
    """A registry that must not be asked."""
    raise AssertionError(f"asked for {schema_id}")


def test_an_independent_consumer_reads_every_topic(topics: TopicSettings, ids: dict[str, int]) -> None:
    """kafka-python, plain HTTP to the registry and the Avro specification are enough."""
    names = Topics(topics.topic_prefix)
    expected: dict[str, list[Any]] = {topic: [] for topic in names.event_types}
    for kind, events in EVENTS.items():
        topic, name = home(topics, kind)
        encoder = Encoder(kind, ids[name])
        produce(topics, topic, [encoder.encode(event) for event in events])
        expected[topic] += [as_clients_see(event) for event in events]
    read: dict[str, list[Any]] = {topic: [] for topic in expected}
    consumer = kafka_python.KafkaConsumer(
        *expected,
        bootstrap_servers=topics.kafka_bootstrap_servers,
        auto_offset_reset="earliest",
        group_id=None,
    )
    with closing(consumer), httpx.Client(base_url=topics.schema_registry_url, trust_env=False) as registry:
        while read != expected:
            batches = consumer.poll(timeout_ms=60_000)
            assert batches, f"nothing more came within a minute; so far {read}"
            for record in (record for records in batches.values() for record in records):
                assert record.key == b"AAPL"
                assert record.value[0] == 0
                schema_id = int.from_bytes(record.value[1:5], "big")
                schema = json.loads(registry.get(f"/schemas/ids/{schema_id}").json()["schema"])
                value = fastavro.schemaless_reader(BytesIO(record.value[5:]), schema, None)
                read[record.topic].append(value)


def test_registering_again_gives_the_same_ids(
    topics: TopicSettings, ids: dict[str, int], client: SchemaRegistryClient
) -> None:
    """A restart changes nothing in the registry."""
    names = Topics(topics.topic_prefix)
    assert register_schemas(topics.schema_registry_url, names) == ids
    for name in names.record_types:
        assert len(client.get_versions(names.subject(name))) == 1
        assert client.get_compatibility(names.subject(name)) == "BACKWARD"


def test_trades_and_corrections_share_a_topic(
    topics: TopicSettings, ids: dict[str, int], consumer: Consumer
) -> None:
    """Under subjects of their own; one decoder, as the jobs use it, gives both back in their order."""
    names = Topics(topics.topic_prefix)
    assert names.subject(names.corrections) == f"{topics.topic_prefix}.trades-market.Correction"
    assert ids[names.corrections] != ids[names.trades]
    encoders = {kind: Encoder(kind, ids[home(topics, kind)[1]]) for kind in (Trade, Correction)}
    mixed = [event for pair in zip(EVENTS[Trade], EVENTS[Correction], strict=True) for event in pair]
    produce(topics, names.trades, [encoders[type(event)].encode(event) for event in mixed])
    decoder = Decoder((Trade, Correction), RegistryLookup(topics.schema_registry_url))
    assert [decoder.decode(value) for value in consume(consumer, names.trades, len(mixed))] == mixed


@pytest.mark.parametrize("kind", [Trade, Candle, Gap])
def test_records_of_the_first_contract_are_read_with_defaults(
    kind: type[Event], topics: TopicSettings, consumer: Consumer, client: SchemaRegistryClient
) -> None:
    """A registry that holds the schemas of the first release takes today's as their next version, and what
    was written then comes out as an event of today, whatever today's has more or no longer has."""
    topic, name = home(topics, kind)
    text = FIRST.joinpath(f"{SCHEMA_FILES[kind]}.avsc").read_text(encoding="utf-8")
    old_id = client.register_schema(f"{topic}-value", Schema(text, "AVRO"))
    client.set_compatibility(subject_name=f"{topic}-value", level="BACKWARD")
    new_id = register_schemas(topics.schema_registry_url, Topics(topics.topic_prefix))[name]
    assert new_id != old_id
    assert len(client.get_versions(f"{topic}-value")) == 2

    old_schema = fastavro.parse_schema(json.loads(text))
    payloads, expected = [], []
    for event in EVENTS[kind]:
        seen = as_clients_see(event)
        record = {
            field["name"]: seen.get(field["name"], field.get("default")) for field in old_schema["fields"]
        }
        buffer = BytesIO()
        fastavro.schemaless_writer(buffer, old_schema, record)
        payloads.append(HEADER.pack(0, old_id) + buffer.getvalue())
        expected.append(
            kind(
                **{field.name: getattr(event, field.name) for field in fields(event) if field.name in record}
            )
        )
    produce(topics, topic, [*payloads, Encoder(kind, new_id).encode(EVENTS[kind][0])])
    decoder = Decoder(kind, RegistryLookup(topics.schema_registry_url))
    read = [decoder.decode(value) for value in consume(consumer, topic, len(payloads) + 1)]
    assert read == [*expected, EVENTS[kind][0]]
    assert all(set(asdict(event)) - set(record) for event in read)


def test_an_incompatible_schema_is_refused(topics: TopicSettings, client: SchemaRegistryClient) -> None:
    """Where the registry holds a schema whose records we could not read, we do not start."""
    subject = f"{topics.topic_prefix}.trades-value"
    foreign = json.loads(schema_text(Trade))
    next(field for field in foreign["fields"] if field["name"] == "price")["type"] = "string"
    client.register_schema(subject, Schema(json.dumps(foreign), "AVRO"))
    client.set_compatibility(subject_name=subject, level="BACKWARD")
    with pytest.raises(ConfigurationError, match=subject):
        register_schemas(topics.schema_registry_url, Topics(topics.topic_prefix))


def test_a_schema_may_grow_by_fields_with_a_default_and_no_others(
    topics: TopicSettings, ids: dict[str, int], consumer: Consumer, client: SchemaRegistryClient
) -> None:
    """The registry takes the one and refuses the other; records of the grown schema are read by us today."""
    topic = f"{topics.topic_prefix}.trades"
    grown = json.loads(schema_text(Trade))
    grown["fields"].append({"name": "liquidity", "type": "string"})
    assert not client.test_compatibility(f"{topic}-value", Schema(json.dumps(grown), "AVRO"))
    grown["fields"][-1]["default"] = ""
    new_id = client.register_schema(f"{topic}-value", Schema(json.dumps(grown), "AVRO"))
    assert new_id != ids[topic]
    buffer = BytesIO(HEADER.pack(0, new_id))
    buffer.seek(HEADER.size)
    record = as_clients_see(EVENTS[Trade][0]) | {"liquidity": "maker"}
    fastavro.schemaless_writer(buffer, fastavro.parse_schema(grown), record)
    produce(topics, topic, [buffer.getvalue()])
    decoder = Decoder(Trade, RegistryLookup(topics.schema_registry_url))
    assert [decoder.decode(value) for value in consume(consumer, topic, 1)] == EVENTS[Trade][:1]


def test_ids_of_other_schemas_and_of_none_are_poison(topics: TopicSettings, ids: dict[str, int]) -> None:
    """As the real registry answers for them."""
    decoder = Decoder(Trade, RegistryLookup(topics.schema_registry_url))
    body = Encoder(Trade, 1).encode(EVENTS[Trade][0])[HEADER.size :]
    for schema_id, reason in (
        (ids[f"{topics.topic_prefix}.quotes"], "wrong_schema"),
        (2_000_000_000, "unknown_schema"),
        (2**32 - 1, "unknown_schema"),
        (0, "unknown_schema"),
    ):
        with pytest.raises(PoisonError) as refused:
            decoder.decode(HEADER.pack(0, schema_id) + body)
        assert refused.value.reason == reason, schema_id
