"""Every INSERT of the ``store`` job, and rows as the writer takes them: see jobs/java.

The writer knows an insert by its number, its place in INSERTS, and a row as that number and its values in
CQL's binary form, in the order of the insert's columns.
"""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from jobs.sinks import cql
from schemas.tables import GOLD_TABLES

_NUMBER = struct.Struct(">H")


@dataclass(frozen=True, slots=True)
class Insert:
    """An INSERT of some columns, of which the first ``partition`` are the partition key and the first ``key``
    the whole key. ``at_time``: the last value of a row is the timestamp (bigint) that it is written with."""

    number: int
    table: str
    columns: tuple[str, ...]
    partition: int
    key: int
    at_time: bool

    @property
    def statement(self) -> str:
        """In CQL."""
        markers = ", ".join("?" * len(self.columns))
        text = f"INSERT INTO {self.table} ({', '.join(self.columns)}) VALUES ({markers})"  # noqa: S608
        return text + " USING TIMESTAMP ?" * self.at_time

    @property
    def values(self) -> int:
        """How many a row has."""
        return len(self.columns) + self.at_time

    @property
    def ordered_key(self) -> int:
        """The same as ``key`` where of two rows with one key the one written last counts; 0 where each has a
        timestamp of its own."""
        return 0 if self.at_time else self.key

    @property
    def head(self) -> bytes:
        """What a row begins with; its values come after, each after its length."""
        return _NUMBER.pack(self.number)

    def row(self, values: Iterable[bytes | None]) -> bytes:
        """A row of these values, each in CQL's binary form; None: null."""
        return self.head + b"".join(map(cql.sized, values))


_inserts: list[Insert] = []


def _insert(
    table: str, partition: str, rest_of_key: str, others: Iterable[str], *, at_time: bool = False
) -> Insert:
    first, second = partition.split(), rest_of_key.split()
    key = len(first) + len(second)
    insert = Insert(len(_inserts), table, (*first, *second, *others), len(first), key, at_time)
    _inserts.append(insert)
    return insert


TICK = "minute shard", "symbol event_time sequence source"
"""Where all tables of ticks have them: in partitions of a minute and a shard of the symbols, so that the rows
of one event are one mutation, whatever the number of tables."""
UPDATES = ("updates_open_close", "updates_high_low", "updates_volume")
BRONZE = _insert(
    "trades_bronze", TICK[0], f"{TICK[1]} trade_id", ("kafka_partition", "kafka_offset", "payload")
)
SILVER = _insert(
    "trades_silver",
    TICK[0],
    f"{TICK[1]} trade_id",
    ("price", "size", "exchange", "conditions", *UPDATES, "correctable", "received_at"),
)
CORRECTION = _insert(
    "trade_corrections",
    TICK[0],
    f"{TICK[1]} correction_id",
    ("trade_id", "trade_time", "kind", "price", "size", "exchange", "conditions", *UPDATES, "received_at"),
)

_QUOTE_VALUES = ("bid", "bid_size", "ask", "ask_size", "mid", "spread", "exchange", "received_at")
QUOTE = _insert("quotes", *TICK, _QUOTE_VALUES)
LATEST_QUOTE = _insert(
    "latest_quotes", "part", "symbol", ("event_time", "sequence", "source", *_QUOTE_VALUES), at_time=True
)

_BAR_VALUES = ("open", "high", "low", "close", "volume", "notional", "vwap", "trades", "final", "sources",
               "late_trades", "updated_at", "quality", "observed", "indicators")  # fmt: skip
GOLD: Mapping[str, Insert] = {
    interval: _insert(table, "symbol bucket", "start", ("end", "version", *_BAR_VALUES), at_time=True)
    for interval, table in GOLD_TABLES.items()
}
VERSION = _insert(
    "candle_versions", "symbol interval day", "start version", ("end", *_BAR_VALUES), at_time=True
)
SYMBOL = _insert("symbols", "part", "symbol", ())

_ALERT_VALUES = ("revision", "type", "severity", "status", "updated_at", "interval", "bar_start",
                 "bar_version", "value", "threshold", "message")  # fmt: skip
ALERT_BY_SYMBOL = _insert(
    "alerts_by_symbol", "symbol bucket", "event_time alert_id", _ALERT_VALUES, at_time=True
)
ALERT_BY_DAY = _insert(
    "alerts_by_day", "day", "event_time alert_id", ("symbol", *_ALERT_VALUES), at_time=True
)
GAP = _insert(
    "gaps",
    "symbol bucket",
    "start gap_id",
    ("end", "closed", "source", "reason", "detail", "updated_at", "filled"),
    at_time=True,
)

_PROVIDER_BAR_VALUES = ("end", "open", "high", "low", "close", "volume", "vwap", "trades", "final",
                        "received_at", "version")  # fmt: skip
PROVIDER_BAR = _insert(
    "provider_candles", "symbol source interval bucket", "start", _PROVIDER_BAR_VALUES, at_time=True
)
PROVIDER_BAR_WITH_INDICATORS = _insert(
    "provider_candles",
    "symbol source interval bucket",
    "start",
    (*_PROVIDER_BAR_VALUES, "indicators"),
    at_time=True,
)
PROVIDER_BUCKET = _insert("provider_buckets", "symbol", "source interval bucket", ())

INSERTS: tuple[Insert, ...] = tuple(_inserts)
