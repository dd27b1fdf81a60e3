"""Reading alerts from Cassandra: those of a symbol by UTC month, those of all symbols by UTC day.

Alerts are rare, so most partitions are empty, and which hold any is asked first, for more of them at once the
longer nothing comes. What a filter leaves out is read all the same: one page reads a bounded number of rows
and partitions, and the next one goes on where it ended.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC
from itertools import islice
from typing import Any, NamedTuple

from api.database import Row
from api.expiring import ExpiringStore
from api.models import Alert
from api.times import to_datetime, to_micros
from schemas.intervals import INTERVALS
from schemas.tables import alert_bucket

DAY_US = INTERVALS["1d"]
PARTITIONS_AT_ONCE = 36
"""Partitions that one query asks about."""
MAX_PARALLEL = 8
"""Such queries at the same time."""
MAX_PARTITIONS = 30 * PARTITIONS_AT_ONCE
"""Partitions looked at for one page: about three years of days."""
MAX_ROWS = 5_000
"""Alerts read for one page, those that a filter leaves out included."""
ROWS_AT_ONCE = 500
"""Alerts that one query reads for a filter; without one, as many as are answered with."""

FIELDS = ("alert_id", "event_time", "symbol", "revision", "type", "severity", "status", "updated_at",
          "interval", "bar_start", "bar_version", "value", "threshold", "message")  # fmt: skip
COLUMNS = ", ".join(FIELDS)
BY_SYMBOL, BY_DAY = "alerts_by_symbol", "alerts_by_day"
KEYS = {BY_SYMBOL: ("symbol = ? AND", "bucket"), BY_DAY: ("", "day")}
"""Table -> its partition key, the column of time apart."""


def statements(keyspace: str) -> dict[str, str]:
    """Every query of alerts by the name that the metrics give it: what is older than a place, the rest of
    its microsecond, and which partitions hold any."""

    def select(columns: str, table: str, where: str) -> str:
        return f"SELECT {columns} FROM {keyspace}.{table} WHERE {where}"  # noqa: S608 -- no value of a user

    texts: dict[str, str] = {}
    for table, (symbol, period) in KEYS.items():
        key = f"{symbol} {period}"
        texts |= {
            table: select(COLUMNS, table, f"{key} = ? AND event_time >= ? AND event_time < ? LIMIT ?"),
            f"{table}_tied": select(COLUMNS, table, f"{key} = ? AND event_time = ? AND alert_id > ? LIMIT ?"),
            f"{table}_held": select(period, table, f"{key} IN ? PER PARTITION LIMIT 1"),
        }
    return texts


class AlertPlace(NamedTuple):
    """A place in the order of alerts, newest first: behind the alert ``alert_id`` of the microsecond
    ``event_time``; without an id, behind all that are not before ``event_time``."""

    event_time: int
    alert_id: str | None = None


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """Which alerts to answer with; an empty set takes all."""

    types: frozenset[str] = frozenset()
    severities: frozenset[str] = frozenset()
    statuses: frozenset[str] = frozenset()

    def takes(self, alert: Alert) -> bool:
        return (
            (not self.types or alert.type in self.types)
            and (not self.severities or alert.severity in self.severities)
            and (not self.statuses or alert.status in self.statuses)
        )


ALL = AlertFilter()


class _Partition(NamedTuple):
    """The period of a partition as its key has it, ``2026-01`` or ``2026-01-05``, and its first
    microsecond."""

    period: str
    start: int


class AlertStore(ExpiringStore):
    """Alerts as the route asks for them. Times in microseconds since 1970 UTC. Raises StorageUnavailable."""

    async def alerts(
        self, symbol: str | None, only: AlertFilter, start: int, place: AlertPlace, limit: int
    ) -> tuple[list[Alert], AlertPlace | None]:
        """The newest ``limit`` alerts from ``start`` on that are behind ``place``, of one symbol or of all,
        and where the next page goes on: None at the end of the range. A page may be shorter than ``limit``
        although more follow."""
        table, key = (BY_DAY, ()) if symbol is None else (BY_SYMBOL, (symbol,))
        at_once = limit + 1 if only == ALL else ROWS_AT_ONCE
        found: list[Alert] = []
        read = looked_at = 0
        parallel = 1
        every = _partitions(table, start, place)
        while near := list(islice(every, parallel * PARTITIONS_AT_ONCE)):
            for partition in await self._held(table, key, near):
                full = True
                while full:
                    rows = await self._read(table, (*key, partition.period), start, place, at_once)
                    found += filter(only.takes, map(_alert, rows))
                    if len(found) > limit:
                        return found[:limit], _behind(found[limit - 1])
                    full = len(rows) == at_once
                    place = _row_place(rows[-1]) if full else AlertPlace(partition.start)
                    read += len(rows)
                    if read >= MAX_ROWS:
                        return found, place
            looked_at += len(near)
            if looked_at >= MAX_PARTITIONS:
                return found, AlertPlace(near[-1].start)
            parallel = min(2 * parallel, MAX_PARALLEL)
        return found, None

    async def _held(self, table: str, key: tuple[str, ...], near: list[_Partition]) -> list[_Partition]:
        """Those of ``near`` that hold alerts, in their order."""
        periods = [partition.period for partition in near]
        parts = await asyncio.gather(
            *(
                self._database.query(f"{table}_held", (*key, periods[first : first + PARTITIONS_AT_ONCE]))
                for first in range(0, len(periods), PARTITIONS_AT_ONCE)
            )
        )
        held = {str(row[0]) for part in parts for row in part}
        return [partition for partition in near if partition.period in held]

    async def _read(
        self, table: str, key: tuple[str, ...], start: int, place: AlertPlace, limit: int
    ) -> list[Row]:
        """The next ``limit`` rows of a partition behind ``place``. Two queries where it is within a
        microsecond: times descend and ids ascend, so no one slice begins there."""
        time, alert_id = place
        rows: list[Row] = []
        if alert_id is not None:
            rows = await self._database.query(f"{table}_tied", (*key, time, alert_id, limit))
        if len(rows) < limit:
            rows += await self._database.query(table, (*key, start, time, limit - len(rows)))
        return rows


def _partitions(table: str, start: int, place: AlertPlace) -> Iterator[_Partition]:
    """Every partition from ``place`` back to the one that holds ``start``, newest first."""
    time = place.event_time if place.alert_id is not None else place.event_time - 1
    while time >= start:
        if table == BY_DAY:
            first = time - time % DAY_US
            yield _Partition(to_datetime(first).date().isoformat(), first)
        else:
            month = to_datetime(time).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
            first = to_micros(month)
            yield _Partition(alert_bucket(first), first)
        time = first - 1


def _behind(alert: Alert) -> AlertPlace:
    return AlertPlace(to_micros(alert.event_time), alert.alert_id)


def _row_place(row: Row) -> AlertPlace:
    alert_id, event_time = row[:2]
    return AlertPlace(event_time, alert_id)


def _alert(row: Row) -> Alert:
    values: dict[str, Any] = dict(zip(FIELDS, row, strict=True))
    bar_start = values["bar_start"]
    return Alert(
        **values
        | {
            "event_time": to_datetime(values["event_time"]),
            "updated_at": to_datetime(values["updated_at"]),
            "bar_start": bar_start and bar_start.replace(tzinfo=UTC),
        }
    )
