"""Whether as many trades are stored as Kafka has acknowledged, in every layer."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from cassandra.cluster import Session
from cassandra.query import PreparedStatement

from schemas.topics import Topics
from tests.benchmarks.market import LOG
from tests.support.faults_finish import close_all_bars, drain, topic_settings
from tests.support.reading import records, session_of
from tests.support.servers import LiveSystem

LAYERS = {
    "bronze": (
        "SELECT DISTINCT minute, shard FROM trades_bronze",
        "SELECT COUNT(*) FROM trades_bronze WHERE minute = ? AND shard = ?",
    ),
    "silver": (
        "SELECT DISTINCT minute, shard FROM trades_silver",
        "SELECT COUNT(*) FROM trades_silver WHERE minute = ? AND shard = ?",
    ),
    "gold": (
        "SELECT DISTINCT symbol, bucket FROM trades_gold_1m",
        "SELECT SUM(trades) FROM trades_gold_1m WHERE symbol = ? AND bucket = ?",
    ),
}
"""What asks for the partitions of a layer, and what for the trades of one."""
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
    """By layer; partition by partition, so that no query is long."""
    found = {}
    with session_of(live.cassandra) as session, ThreadPoolExecutor(AT_ONCE) as pool:
        for layer, (partitions, trades) in LAYERS.items():
            count = partial(_count, session, session.prepare(trades))
            found[layer] = sum(pool.map(count, session.execute(partitions, timeout=SECONDS)))
    return found


def _count(session: Session, trades: PreparedStatement, partition: tuple[object, object]) -> int:
    return session.execute(trades, partition, timeout=SECONDS).one()[0] or 0
