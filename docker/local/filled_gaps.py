"""What a replay has filled: gaps of the ledger over whose whole time it had a provider's history.

A backfill notes beside its recording what that covers. When the replay is over, the gaps there are told again
in the live topic, as filled, under their own ids. They are not where the bars in the tables are still those
of before, because the replay was of no higher generation, or where some of the recording was refused.
"""

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from cassandra import DriverException, RequestExecutionException
from cassandra.cluster import Session

from producer.backfill.covered import Covered
from producer.clock import SystemClock
from producer.metrics import ProducerMetrics
from producer.publisher import Publisher
from producer.runtime import Runtime
from producer.settings import PublisherSettings
from producer.sources import Batch
from producer.startup import find_destination
from schemas.cassandra_session import connect
from schemas.errors import UnavailableError
from schemas.events import Gap
from schemas.intervals import INTERVALS, MINUTE_US
from schemas.settings import CassandraSettings, load_settings
from schemas.tables import GOLD_TABLES, gap_bucket

FIELDS = ("gap_id", "symbol", "source", "start", "end", "closed", "reason", "detail", "updated_at", "filled")
GAPS = (
    f"SELECT {', '.join(FIELDS)} FROM gaps"  # noqa: S608 -- our own names
    " WHERE symbol = %s AND bucket = %s AND start >= %s AND start < %s"
)
MADE = (
    f"SELECT start, updated_at FROM {GOLD_TABLES['1m']}"  # noqa: S608
    " WHERE symbol = %s AND bucket = %s AND start >= %s AND start < %s"
)


class Applied(NamedTuple):
    """Gaps that a replay covers: those whose bars it has made again, and those over which there are still
    bars of before."""

    filled: Sequence[Gap]
    outdone: Sequence[Gap]


def covered_by(files: Iterable[Path]) -> list[Covered]:
    """What the recordings among the files vouch for."""
    return [covered for file in files if (covered := Covered.of(file)) is not None]


def find_applied(environment: Mapping[str, str], recorded: Sequence[Covered], began_us: int) -> Applied:
    """The closed gaps that lie in what was recorded as a whole, and are not filled. ``began_us``: when the
    replay began; what it made is younger. Raises UnavailableError, ConfigurationError."""
    session = connect(load_settings(CassandraSettings, environment))
    try:
        gaps = {gap.gap_id: gap for covered in recorded for gap in _unfilled(session, covered)}
        outdone = [gap for gap in gaps.values() if _oldest_bar(session, gap) < began_us]
    except (DriverException, RequestExecutionException) as error:
        raise UnavailableError(f"Cassandra does not tell which gaps were filled: {error}") from error
    finally:
        session.cluster.shutdown()
    return Applied([gap for gap in gaps.values() if gap not in outdone], outdone)


def tell(environment: Mapping[str, str], gaps: Sequence[Gap]) -> None:
    """Publishes the gaps as filled, to the topic of ``environment``. Raises UnavailableError where they are
    not acknowledged, ConfigurationError."""
    settings = load_settings(PublisherSettings, environment).model_copy(update={"ledger_file": ""})
    stop = threading.Event()
    clock = SystemClock(stop)
    runtime = Runtime(clock, ProducerMetrics(), stop)
    publisher = Publisher(settings, find_destination(settings, runtime), runtime, live=False)
    now_us = clock.now_us()
    publisher.publish(Batch(0, gaps=[replace(gap, filled=True, updated_at=now_us) for gap in gaps]))
    if publisher.close() or publisher.failed:
        raise UnavailableError("Kafka has not acknowledged that gaps are filled: replay once more")


def _unfilled(session: Session, covered: Covered) -> Iterator[Gap]:
    for bucket in _months(covered.start, covered.end):
        for row in session.execute(GAPS, (covered.symbol, bucket, covered.start, covered.end)):
            gap = Gap(**{name: getattr(row, name) for name in FIELDS[:-1]}, filled=bool(row.filled))
            if gap.closed and not gap.filled and gap.start < gap.end <= covered.end:
                yield gap


def _oldest_bar(session: Session, gap: Gap) -> int:
    """When the oldest of the minutes' bars over a gap was made; now or later where there is none."""
    first = gap.start - gap.start % MINUTE_US
    made = [
        row.updated_at
        for bucket in _months(first, gap.end)
        for row in session.execute(MADE, (gap.symbol, bucket, first // 1000, -(-gap.end // 1000)))
    ]
    return min(made, default=2**63)


def _months(start: int, end: int) -> list[str]:
    """The buckets of a time, which both tables name alike."""
    times = [*range(start, end, INTERVALS["1d"]), end - 1]
    return list(dict.fromkeys(gap_bucket(time) for time in times))
