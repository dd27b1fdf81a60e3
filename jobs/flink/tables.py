"""Kafka topics as Flink tables.

Values are bytes both ways: decoding and encoding are ours, so that a record that is no Avro becomes a dead
letter and not a failed job.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from schemas.settings import KafkaSettings

FETCH_BYTES = 256 * 1024
"""Of one partition in one answer of Kafka."""
POLL_RECORDS = 2000
"""Handed on at a time. Two of these wait while a batch is written: with Kafka's default of 500, and 32 KiB of
a partition, the next batch waited for several answers."""
ENOUGH_BYTES = 32 * 1024


class Gather(NamedTuple):
    """Kafka answers when it has so much, or after so long. With few records what comes from all partitions
    in that time is one Python batch; with many nothing waits. A question costs Kafka and us some tenths of a
    millisecond, a batch some milliseconds, however little there is in it."""

    bytes: int
    ms: int


PROMPT = Gather(ENOUGH_BYTES, 10)
"""Of a topic of which no Python batch is made. Its watermark, which slices wait for, comes when the last of
its partitions has answered."""
GATHERED = Gather(512 * 1024, 40)
"""Of topics that all go into the same Python batches."""
UNHURRIED = Gather(ENOUGH_BYTES, 250)
"""For what nobody waits for."""
RARE = Gather(1, 500)
"""Of a topic with little but heartbeats: at each of them."""


class Values(NamedTuple):
    """What a source makes of the values of its records: ``columns`` by name with their types in SQL, by the
    format that ``options`` name. One of them is the value as it came, ``payload``."""

    columns: Mapping[str, str]
    options: Mapping[str, str]


RAW = Values({"payload": "BYTES"}, {"value.format": "raw"})


def source_table(  # noqa: PLR0913 -- what a source is made of
    settings: KafkaSettings,
    name: str,
    topics: Sequence[str],
    group: str,
    watermark_delay_ms: int | None = None,
    *,
    gather: Gather,
    values: Values = RAW,
) -> str:
    """DDL of topics as a source. Event time is the record's timestamp, which keeps a watermark of each
    partition inside the source; without a delay there is none. Null values are the publisher's
    heartbeats."""
    watermark = (
        f", WATERMARK FOR record_time AS record_time - INTERVAL '{watermark_delay_ms / 1000:.3f}' SECOND"
        if watermark_delay_ms is not None
        else ""
    )
    columns = ", ".join(f"`{column}` {type_}" for column, type_ in values.columns.items())
    options = ", ".join(f"'{key}' = '{value}'" for key, value in values.options.items())
    return f"""
        CREATE TABLE {name} (
            {columns},
            topic STRING METADATA VIRTUAL,
            `partition` INT METADATA VIRTUAL,
            `offset` BIGINT METADATA VIRTUAL,
            record_time TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL{watermark}
        ) WITH (
            'connector' = 'kafka',
            'topic' = '{";".join(topics)}',
            'properties.bootstrap.servers' = '{settings.kafka_bootstrap_servers}',
            'properties.group.id' = '{group}',
            'properties.client.id' = '{group}',
            'properties.max.partition.fetch.bytes' = '{FETCH_BYTES}',
            'properties.max.poll.records' = '{POLL_RECORDS}',
            'properties.fetch.min.bytes' = '{gather.bytes}',
            'properties.fetch.max.wait.ms' = '{gather.ms}',
            'scan.startup.mode' = 'earliest-offset',
            {options}
        )"""


def sink_table(settings: KafkaSettings, name: str, topics: Sequence[str]) -> str:
    """DDL of topics as a sink. With several of them the first column, ``topic``, says where a row goes."""
    topic_column = "topic STRING METADATA," if len(topics) > 1 else ""
    return f"""
        CREATE TABLE {name} (
            {topic_column}
            key BYTES,
            payload BYTES
        ) WITH (
            'connector' = 'kafka',
            'topic' = '{";".join(topics)}',
            'properties.bootstrap.servers' = '{settings.kafka_bootstrap_servers}',
            'properties.compression.type' = 'lz4',
            'properties.linger.ms' = '2',
            'properties.delivery.timeout.ms' = '600000',
            'sink.delivery-guarantee' = 'at-least-once',
            'key.format' = 'raw',
            'key.fields' = 'key',
            'value.format' = 'raw',
            'value.fields-include' = 'EXCEPT_KEY'
        )"""
