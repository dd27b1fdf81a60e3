"""Whether as many trades are stored as Kafka has."""

from schemas.topics import Topics
from tests.support.faults_finish import topic_settings
from tests.support.reading import records, session_of
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
    # A heartbeat has no value.
    return sum(
        message.value() is not None for message in records(settings, Topics(settings.topic_prefix).trades)
    )


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
