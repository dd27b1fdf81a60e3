"""Whether as many trades are stored as Kafka has acknowledged, in every layer."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from cassandra.cluster import Session

from schemas.topics import Topics
from tests.benchmarks.market import LOG
from tests.support.faults_finish import close_all_bars, drain, topic_settings
from tests.support.reading import records, session_of
from tests.support.servers import LiveSystem

TICKS = "SELECT COUNT(*) FROM {table} WHERE minute = ? AND shard = ?"
TICK_PARTITIONS = "SELECT DISTINCT minute, shard FROM {table}"
BARS = "SELECT SUM(trades) FROM trades_gold_1m WHERE symbol = ? AND bucket = ?"
BAR_PARTITIONS = "SELECT DISTINCT symbol, bucket FROM trades_gold_1m"
SECONDS = 300
AT_ONCE = 4


def counts(live: LiveSystem) -> dict[str, int]:
    """Trades that producers were told are in Kafka, those in the topic, the rows of bronze and silver, which
    hold each trade once, and those that the final bars of the minutes are made of. The market is over; no
    trade was sent twice."""
    close_all_bars(live)
    drain(live)
    return {"acknowledged": sum(_acknowledged(live)), "topic": _in_topic(live), **_stored(live)}


def _acknowledged(live: LiveSystem) -> Iterator[int]:
    """By each producer that has run."""
    for part in ("producer", LOG):
        for line in live.settings.folders.log(part).read_text(encoding="utf-8").splitlines():
            if '"producer_stopped"' in line:
                yield int(json.loads(line)["trade"])


def _in_topic(live: LiveSystem) -> int:
    settings = topic_settings(live)
    # A heartbeat has no value.
    return sum(
        message.value() is not None for message in records(settings, Topics(settings.topic_prefix).trades)
    )


def _stored(live: LiveSystem) -> dict[str, int]:
    """Partition by partition, so that no query is long."""
    with session_of(live.cassandra) as session, ThreadPoolExecutor(AT_ONCE) as pool:
        return {
            layer: sum(pool.map(_counting(session, query), session.execute(partitions, timeout=SECONDS)))
            for layer, query, partitions in (
                *((name, *_of(f"trades_{name}")) for name in ("bronze", "silver")),
                ("gold", BARS, BAR_PARTITIONS),
            )
        }


def _of(table: str) -> tuple[str, str]:
    return TICKS.format(table=table), TICK_PARTITIONS.format(table=table)


def _counting(session: Session, query: str):  # type: ignore[no-untyped-def]
    read = session.prepare(query)

    def count(partition: tuple[object, object]) -> int:
        return int(session.execute(read, tuple(partition), timeout=SECONDS).one()[0] or 0)

    return count
