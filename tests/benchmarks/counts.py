"""Whether as many trades are stored as Kafka has."""

from confluent_kafka import TopicPartition

from schemas.topics import Topics
from tests.support.faults_finish import consumer_of, topic_settings
from tests.support.reading import session_of
from tests.support.servers import LiveSystem

COUNTS = {
    "bronze": "SELECT COUNT(*) FROM trades_bronze WHERE minute = ? AND shard = ?",
    "silver": "SELECT COUNT(*) FROM trades_silver WHERE minute = ? AND shard = ?",
}
PARTITIONS = {
    "bronze": "SELECT DISTINCT minute, shard FROM trades_bronze",
    "silver": "SELECT DISTINCT minute, shard FROM trades_silver",
}
SECONDS = 300


def counts(live: LiveSystem) -> dict[str, int]:
    """Trades in the topic, and rows of bronze and silver, which hold each trade once. The market is over and
    all is stored; no trade was sent twice."""
    return {"topic": _in_topic(live), **_stored(live)}


def _in_topic(live: LiveSystem) -> int:
    settings = topic_settings(live)
    topic = Topics(settings.topic_prefix).trades
    found = 0
    with consumer_of(settings, "bench-count") as consumer:
        for number in consumer.list_topics(topic, 10).topics[topic].partitions:
            place = TopicPartition(topic, number, 0)
            end = consumer.get_watermark_offsets(place, timeout=10)[1]
            consumer.assign([place])
            position = 0
            while position < end:
                for message in consumer.consume(min(100_000, end - position), 10):
                    position = message.offset() + 1
                    found += message.value() is not None  # a heartbeat has none
    return found


def _stored(live: LiveSystem) -> dict[str, int]:
    """Partition by partition, so that no query is long."""
    found = {}
    with session_of(live.cassandra) as session:
        for table, query in COUNTS.items():
            read = session.prepare(query)
            partitions = session.execute(PARTITIONS[table], timeout=SECONDS)
            found[table] = sum(
                session.execute(read, (minute, shard), timeout=SECONDS).one()[0]
                for minute, shard in partitions
            )
    return found
