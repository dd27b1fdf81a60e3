"""The gaps that the ledger's topic tells of, each as it was told last."""

from collections.abc import Callable
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from producer.log_reader import reading
from schemas.avro_codec import Decoder
from schemas.errors import PoisonError, UnavailableError
from schemas.events import Gap
from schemas.registry import RegistryLookup
from schemas.settings import KafkaSettings
from schemas.topics import Topics

TIMEOUT_S = 10.0
READ_S = 0.2
AT_ONCE = 500


def told_gaps(
    settings: KafkaSettings,
    since_us: int,
    symbol: str | None = None,
    client: Callable[[dict[str, Any]], Any] = Consumer,
) -> list[Gap]:
    """The newest record of each gap that was told with an end after a time (us); of one symbol, or of all. A
    record is dated with the end of its gap, so none that ends later is before that time. Raises
    UnavailableError."""
    newest: dict[str, Gap] = {}
    decode = Decoder(Gap, RegistryLookup(settings.schema_registry_url)).decode_fields
    for payload in _records(settings, since_us, None if symbol is None else symbol.encode(), client):
        try:
            gap = Gap(**decode(payload))
        except PoisonError:
            continue  # the store job reports it
        known = newest.get(gap.gap_id)
        if known is None or gap.order > known.order:
            newest[gap.gap_id] = gap
    return list(newest.values())


def _records(
    settings: KafkaSettings, since_us: int, key: bytes | None, client: Callable[[dict[str, Any]], Any]
) -> list[bytes]:
    """What was told, of a key or of all, in each partition in its order."""
    topic = Topics(settings.topic_prefix).gaps
    options = {"enable.partition.eof": False, "auto.offset.reset": "earliest"}
    with reading(settings, topic, "the gaps of", options, client=client) as consumer:
        return _read_to_end(consumer, topic, key, max(0, since_us) // 1000)


def _read_to_end(consumer: Any, topic: str, key: bytes | None, since_ms: int) -> list[bytes]:
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
            if message.value() is not None and key in (None, message.key()):
                found.append(message.value())
            if message.offset() + 1 >= ends[message.partition()]:
                left.discard(message.partition())
    return found
