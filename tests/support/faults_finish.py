"""The end of a run: everything read and stored, every bar closed; and the same log once more, undisturbed."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition

from docker.local.supervisor import STOPPED, Supervisor
from jobs.cluster import FlinkCluster
from schemas.create import create_topics
from schemas.kafka_admin import partition_counts
from schemas.settings import KafkaSettings, TopicSettings
from schemas.topics import Topics
from tests.support.jobs_run import running_jobs
from tests.support.reading import consumer_of, eventually, records
from tests.support.servers import LiveSystem

DRAIN_SECONDS = 600
COVERING_CHECKPOINTS = 2
"""After the last record was read: the watermark follows the record, and the bars the watermark."""


def stop_producer(live: LiveSystem) -> None:
    """Ends the log: after the producer's own stop, which waits for every acknowledgement."""
    supervisor = Supervisor(live.settings.folders)
    supervisor.stop_process("producer")
    eventually(lambda: supervisor.processes()["producer"].state in STOPPED, 60, "the producer has stopped")


def close_all_bars(live: LiveSystem) -> None:
    """Tells the log's clock that the day is over: bars of every interval become final, as at the end of a
    replay. The topics must take records that are dated ahead for that."""
    settings = topic_settings(live)
    topics = create_topics(settings, any_time=True)
    tomorrow = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    closing_ms = int(tomorrow.timestamp() * 1000) + 10_000
    producer = Producer({"bootstrap.servers": settings.kafka_bootstrap_servers, "log_level": 0})
    for topic, partitions in partition_counts(settings, topics.inputs).items():
        for partition in range(partitions):
            producer.produce(topic, None, partition=partition, timestamp=closing_ms)
    assert producer.flush(30) == 0


def drain(live: LiveSystem) -> None:
    """Returns when the jobs have read and stored all that is in the topics."""
    settings = topic_settings(live)
    with FlinkCluster(live.settings.flink_url) as cluster:
        await_read(settings, cluster, "bars")
        await_read(settings, cluster, "store")


def await_read(settings: KafkaSettings, cluster: FlinkCluster, job: str) -> None:
    """Returns when checkpoints of the job cover everything in the topics that it reads, and what follows."""
    topics = Topics(settings.topic_prefix)
    name = topics.job_name(job)
    with consumer_of(settings, name) as consumer:
        eventually(lambda: has_read_all(consumer, topics), DRAIN_SECONDS, f"{name} has read everything")

    def completed() -> int:
        current = cluster.job(name)
        return cluster.completed_checkpoints(current.job_id) if current else 0

    covering = completed() + COVERING_CHECKPOINTS
    eventually(lambda: completed() >= covering, DRAIN_SECONDS, f"checkpoints of {name} cover it")


def has_read_all(consumer: Consumer, topics: Topics) -> bool:
    """Whether checkpoints cover everything in the topics that the consumer's group reads. Until one covers
    something in every partition of the trades, a fresh group only seems to have no lag."""
    numbers = consumer.list_topics(topics.trades, 10).topics[topics.trades].partitions
    places = consumer.committed([TopicPartition(topics.trades, number) for number in numbers], timeout=10)
    return all(place.offset >= 0 for place in places) and lag(consumer, topics) == 0


def lag(consumer: Consumer, topics: Topics) -> int:
    """Records that no checkpoint has covered yet, of the topics that the consumer's group reads at all."""
    left = 0
    for topic in topics.event_types:
        numbers = consumer.list_topics(topic, 10).topics[topic].partitions
        places = consumer.committed([TopicPartition(topic, number) for number in numbers], timeout=10)
        if any(place.offset >= 0 for place in places):
            for place in places:
                left += consumer.get_watermark_offsets(place, timeout=10)[1] - max(0, place.offset)
    return left


def copy_log(source: KafkaSettings, to: KafkaSettings) -> int:
    """Copies trades and quotes record by record: partition, order, key, value, headers and timestamp; with
    the heartbeats. Returns how many records that were."""
    copied = 0
    producer = Producer(
        {
            "bootstrap.servers": to.kafka_bootstrap_servers,
            "enable.idempotence": True,
            "queue.buffering.max.messages": 1_000_000,
            "compression.type": "lz4",
        }
    )
    for old, new in zip(Topics(source.topic_prefix).inputs, Topics(to.topic_prefix).inputs, strict=True):
        for message in records(source, old):
            producer.produce(
                new,
                message.value(),
                message.key(),
                message.partition(),
                timestamp=message.timestamp()[1],
                headers=message.headers(),
            )
            copied += 1
            producer.poll(0)
    assert producer.flush(120) == 0
    return copied


@contextmanager
def undisturbed(live: LiveSystem, environment: Mapping[str, str], folder: Path) -> Iterator[TopicSettings]:
    """A fresh bars job has run over a copy of the log, and nothing happened to it: its topics."""
    log = topic_settings(live)
    trades = Topics(log.topic_prefix).trades
    partitions = partition_counts(log, [trades])[trades]
    with running_jobs(environment, folder, "undisturbed", jobs=("bars",), TOPIC_PARTITIONS=partitions) as run:
        copy_log(log, run.topic_settings)
        await_read(run.topic_settings, run.cluster, "bars")
        yield run.topic_settings


def topic_settings(live: LiveSystem) -> TopicSettings:
    """The live system's topics."""
    return TopicSettings(
        kafka_bootstrap_servers=live.settings.kafka_address, schema_registry_url=live.settings.registry_url
    )
