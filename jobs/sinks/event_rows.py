"""Candles, alerts and gaps as rows: which tables they go to, under which key, with which values."""

from collections.abc import Iterator, Sequence

from jobs.sinks import cql
from jobs.sinks.inserts import ALERT_BY_DAY, ALERT_BY_SYMBOL, GAP, GOLD, SYMBOL, VERSION
from schemas.events import Alert, Candle, Gap
from schemas.tables import SYMBOLS_PART, alert_bucket, gap_bucket, gold_bucket


class CandleRows:
    """Candles to the gold table of their interval and to the versions, and each symbol once to the list of
    symbols."""

    def __init__(self) -> None:
        self._listed: set[str] = set()

    def rows(self, candles: Sequence[Candle]) -> Iterator[bytes]:
        """Two for each candle. That of the bar is written with a timestamp that grows with the version:
        whatever the order of the writes, the greatest version stays. That of the version is written with one
        that falls with ``updated_at``: a version that is published again after a failure stays the one that
        was known first."""
        for candle in candles:
            if candle.symbol not in self._listed:
                self._listed.add(candle.symbol)
                yield SYMBOL.row((cql.int32(SYMBOLS_PART), candle.symbol.encode()))
            yield from self._bar(candle)

    def _bar(self, candle: Candle) -> Iterator[bytes]:
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
        bucket = gold_bucket(candle.interval, candle.start).encode()
        at = cql.bigint(candle.start + candle.version)
        yield GOLD[candle.interval].row((symbol, bucket, start, end, version, *values, at))
        age = min(max(0, candle.updated_at - candle.start), candle.start)  # fits, whatever a record claims
        day, at = cql.date(candle.start), cql.bigint(candle.start - age)
        yield VERSION.row((symbol, interval, day, start, version, end, *values, at))


class AlertRows:
    """Alerts to the tables by symbol and by day."""

    def rows(self, alerts: Sequence[Alert]) -> Iterator[bytes]:
        """One in each table, written with a timestamp that grows with the revision."""
        for alert in alerts:
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
            bucket = alert_bucket(alert.event_time).encode()
            yield ALERT_BY_SYMBOL.row((symbol, bucket, event_time, alert_id, *values))
            day = cql.date(alert.event_time)
            yield ALERT_BY_DAY.row((day, event_time, alert_id, symbol, *values))


class GapRows:
    """Gaps to the table of a symbol's month."""

    def rows(self, gaps: Sequence[Gap]) -> Iterator[bytes]:
        """One for each, written with a timestamp that grows with the gap."""
        for gap in gaps:
            partition = (gap.symbol.encode(), gap_bucket(gap.start).encode())
            key = (cql.bigint(gap.start), gap.gap_id.encode())
            values = (
                cql.bigint(gap.end), cql.boolean(gap.closed),
                *(text.encode() for text in (gap.source, gap.reason, gap.detail)),
                cql.bigint(gap.updated_at), cql.boolean(gap.filled), cql.bigint(gap.order),
            )  # fmt: skip
            yield GAP.row((*partition, *key, *values))
