"""Until when the market was observed by whatever ran before, read from the log itself."""

from confluent_kafka import Consumer, KafkaException, TopicPartition

from producer.log_reader import reading
from schemas.errors import UnavailableError
from schemas.settings import KafkaSettings
from schemas.topics import Topics

TIMEOUT_S = 10.0


def last_heard_us(settings: KafkaSettings) -> int | None:
    """Event time (us) up to which every partition of the trades has a record, heartbeats too, but for those
    that have none at all, as new ones; None where all are empty: then nothing was observed before, as far as
    Kafka remembers. Raises UnavailableError."""
    topic = Topics(settings.topic_prefix).trades
    options = {"auto.offset.reset": "error", "fetch.wait.max.ms": 10}
    with reading(settings, topic, "what was heard last from", options) as consumer:
        partitions = consumer.list_topics(topic, timeout=TIMEOUT_S).topics[topic].partitions
        newest = [_newest_ms(consumer, TopicPartition(topic, number)) for number in partitions]
    known = [time_ms for time_ms in newest if time_ms is not None]
    return min(known) * 1000 if known else None


def _newest_ms(consumer: Consumer, place: TopicPartition) -> int | None:
    """The time of the last record of a partition; None where it has none."""
    low, high = consumer.get_watermark_offsets(place, timeout=TIMEOUT_S)
    if high <= low:
        return None
    place.offset = high - 1
    consumer.assign([place])
    messages = consumer.consume(1, timeout=TIMEOUT_S)
    if not messages:
        raise UnavailableError(f"{place.topic} partition {place.partition} cannot be read at its end")
    if messages[0].error() is not None:
        raise KafkaException(messages[0].error())
    return int(messages[0].timestamp()[1])
