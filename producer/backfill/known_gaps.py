"""The gaps of a symbol as the ledger has them, read from its topic."""

from confluent_kafka import Consumer, KafkaException, TopicPartition

from schemas.avro_codec import Decoder
from schemas.errors import PoisonError, UnavailableError
from schemas.events import Gap
from schemas.registry import RegistryLookup
from schemas.settings import KafkaSettings
from schemas.topics import Topics

TIMEOUT_S = 10.0
READ_S = 0.2
AT_ONCE = 500


def unfilled_gaps(settings: KafkaSettings, symbol: str, start: int, end: int) -> list[Gap]:
    """The gaps of a symbol that touch ``[start, end)`` (us), are closed and not filled, by their start, each
    as it was told last. Raises UnavailableError."""
    newest: dict[str, Gap] = {}
    decode = Decoder(Gap, RegistryLookup(settings.schema_registry_url)).decode_fields
    for payload in _records(settings, symbol.encode(), start):
        try:
            gap = Gap(**decode(payload))
        except PoisonError:
            continue  # the store job reports it
        known = newest.get(gap.gap_id)
        if known is None or gap.order > known.order:
            newest[gap.gap_id] = gap
    found = [
        gap
        for gap in newest.values()
        if gap.closed and not gap.filled and gap.start < gap.end and gap.start < end and gap.end > start
    ]
    return sorted(found, key=lambda gap: (gap.start, gap.gap_id))


def _records(settings: KafkaSettings, key: bytes, since_us: int) -> list[bytes]:
    """What was told of a key since a time, in each partition in its order. A record is dated with the end of
    its gap, so none that ends later is before that time."""
    topic = Topics(settings.topic_prefix).gaps
    consumer = Consumer(
        {
            "bootstrap.servers": settings.kafka_bootstrap_servers,
            "group.id": f"{topic}.backfill",  # the client insists on one; nothing is committed under it
            "enable.auto.commit": False,
            "enable.partition.eof": False,
            "auto.offset.reset": "earliest",
            "log_level": 2,
        }
    )
    try:
        return _read_to_end(consumer, topic, key, max(0, since_us) // 1000)
    except KafkaException as error:
        raise UnavailableError(
            f"cannot read the gaps of {topic}: {error.args[0].str()}; is Kafka running?"
        ) from error
    finally:
        consumer.close()


def _read_to_end(consumer: Consumer, topic: str, key: bytes, since_ms: int) -> list[bytes]:
    numbers = consumer.list_topics(topic, timeout=TIMEOUT_S).topics[topic].partitions
    if not numbers:
        raise UnavailableError(f"no topic {topic}: run `make topics`, or set TOPIC_PREFIX")
    places = consumer.offsets_for_times(
        [TopicPartition(topic, number, since_ms) for number in numbers], timeout=TIMEOUT_S
    )
    ends = {place.partition: consumer.get_watermark_offsets(place, timeout=TIMEOUT_S)[1] for place in places}
    left = {place.partition for place in places if 0 <= place.offset < ends[place.partition]}
    consumer.assign([place for place in places if place.partition in left])
    found, silent_s = [], 0.0
    while left:
        messages = consumer.consume(AT_ONCE, timeout=READ_S)
        silent_s = 0.0 if messages else silent_s + READ_S
        if silent_s > TIMEOUT_S:
            raise UnavailableError(f"{topic} cannot be read to its end: is Kafka running?")
        for message in messages:
            if message.error() is not None:
                raise KafkaException(message.error())
            if message.key() == key and message.value() is not None:
                found.append(message.value())
            if message.offset() + 1 >= ends[message.partition()]:
                left.discard(message.partition())
    return found
