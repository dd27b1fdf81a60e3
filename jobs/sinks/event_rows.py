"""Candles, alerts and gaps as rows: which tables they go to, under which key, with which values."""

from collections.abc import Iterator, Sequence

from cassandra.cluster import Session

from jobs.sinks import cql
from jobs.sinks.cassandra_writer import Mutation
from jobs.sinks.rows import Insert
from schemas.events import Alert, Candle, Gap
from schemas.tables import GOLD_TABLES, SYMBOLS_PART, alert_bucket, gap_bucket, gold_bucket

BAR_VALUES = ("open", "high", "low", "close", "volume", "notional", "vwap", "trades", "final", "sources",
              "late_trades", "updated_at", "quality", "observed", "indicators")  # fmt: skip
GOLD = ("symbol", "bucket", "start", "end", "version", *BAR_VALUES)
VERSION = ("symbol", "interval", "day", "start", "version", "end", *BAR_VALUES)
ALERT_VALUES = ("revision", "type", "severity", "status", "updated_at", "interval", "bar_start",
                "bar_version", "value", "threshold", "message")  # fmt: skip
BY_SYMBOL = ("symbol", "bucket", "event_time", "alert_id", *ALERT_VALUES)
BY_DAY = ("day", "event_time", "alert_id", "symbol", *ALERT_VALUES)
GAP = ("symbol", "bucket", "start", "gap_id", "end", "closed", "source", "reason", "detail", "updated_at",
       "filled")  # fmt: skip


class CandleRows:
    """Candles to the gold table of their interval and to the versions, and each symbol once to the list of
    symbols."""

    def __init__(self, session: Session) -> None:
        self._gold = {
            interval: Insert(session, table, GOLD, at_time=True) for interval, table in GOLD_TABLES.items()
        }
        self._version = Insert(session, "candle_versions", VERSION, at_time=True)
        self._symbol = Insert(session, "symbols", ("part", "symbol"))
        self._listed: set[str] = set()

    def mutations(self, candles: Sequence[Candle]) -> Iterator[Mutation]:
        """Two rows for each candle. That of the bar is written with a timestamp that grows with the version:
        whatever the order of the writes, the greatest version stays; of one batch, the last is written. That
        of the version is written with one that falls with ``updated_at``: a version that is published again
        after a failure stays the one that was known first."""
        for candle in sorted(candles, key=lambda candle: (candle.version, -candle.updated_at)):
            if candle.symbol not in self._listed:
                self._listed.add(candle.symbol)
                symbol = (cql.int32(SYMBOLS_PART), candle.symbol.encode())
                yield Mutation(symbol[:1], symbol[1:], (self._symbol.row(symbol),))
            yield from self._bar(candle)

    def _bar(self, candle: Candle) -> Iterator[Mutation]:
        symbol, interval = candle.symbol.encode(), candle.interval.encode()
        start, end, version = (
            cql.timestamp(candle.start),
            cql.timestamp(candle.end),
            cql.bigint(candle.version),
        )
        prices = (candle.open, candle.high, candle.low, candle.close)
        values = (
            *map(cql.optional_double, prices), cql.double(candle.volume), cql.double(candle.notional),
            cql.optional_double(candle.vwap), cql.bigint(candle.trades), cql.boolean(candle.final),
            cql.text_list(candle.sources), cql.bigint(candle.late_trades), cql.bigint(candle.updated_at),
            cql.double(candle.quality), cql.double(candle.observed), cql.double_map(candle.indicators),
        )  # fmt: skip
        partition: tuple[bytes, ...] = (symbol, gold_bucket(candle.interval, candle.start).encode())
        gold = (*partition, start, end, version, *values, cql.bigint(candle.start + candle.version))
        yield Mutation(partition, (interval, start), (self._gold[candle.interval].row(gold),))
        partition = (symbol, interval, cql.date(candle.start))
        age = min(max(0, candle.updated_at - candle.start), candle.start)  # fits, whatever a record claims
        row = (*partition, start, version, end, *values, cql.bigint(candle.start - age))
        yield Mutation(partition, (start, version), (self._version.row(row),))


class AlertRows:
    """Alerts to the tables by symbol and by day."""

    def __init__(self, session: Session) -> None:
        self._by_symbol = Insert(session, "alerts_by_symbol", BY_SYMBOL, at_time=True)
        self._by_day = Insert(session, "alerts_by_day", BY_DAY, at_time=True)

    def mutations(self, alerts: Sequence[Alert]) -> Iterator[Mutation]:
        """A row in each table, written with a timestamp that grows with the revision; of one batch, the
        greatest revision is written."""
        for alert in sorted(alerts, key=lambda alert: alert.revision):
            symbol, alert_id = alert.symbol.encode(), alert.alert_id.encode()
            event_time = cql.bigint(alert.event_time)
            values = (
                cql.int32(alert.revision),
                *(text.encode() for text in (alert.type, alert.severity, alert.status)),
                cql.bigint(alert.updated_at), None if alert.interval is None else alert.interval.encode(),
                None if alert.bar_start is None else cql.timestamp(alert.bar_start),
                cql.optional_bigint(alert.bar_version), cql.double(alert.value), cql.double(alert.threshold),
                alert.message.encode(), cql.bigint(alert.event_time + alert.revision),
            )  # fmt: skip
            partition: tuple[bytes, ...] = (symbol, alert_bucket(alert.event_time).encode())
            by_symbol = (*partition, event_time, alert_id, *values)
            yield Mutation(partition, (event_time, alert_id), (self._by_symbol.row(by_symbol),))
            partition = (cql.date(alert.event_time),)
            by_day = (*partition, event_time, alert_id, symbol, *values)
            yield Mutation(partition, (event_time, alert_id), (self._by_day.row(by_day),))


class GapRows:
    """Gaps to the table of a symbol's month."""

    def __init__(self, session: Session) -> None:
        self._gap = Insert(session, "gaps", GAP, at_time=True)

    def mutations(self, gaps: Sequence[Gap]) -> Iterator[Mutation]:
        """A row for each, written with a timestamp that grows with the gap; of one batch, the last to be
        known is written."""
        for gap in sorted(gaps, key=lambda gap: gap.order):
            partition = (gap.symbol.encode(), gap_bucket(gap.start).encode())
            key = (cql.bigint(gap.start), gap.gap_id.encode())
            values = (
                cql.bigint(gap.end), cql.boolean(gap.closed),
                *(text.encode() for text in (gap.source, gap.reason, gap.detail)),
                cql.bigint(gap.updated_at), cql.boolean(gap.filled), cql.bigint(gap.order),
            )  # fmt: skip
            yield Mutation(partition, key, (self._gap.row((*partition, *key, *values)),))
