"""Bars of providers as rows: which tables they go to, under which key, with which values."""

from collections.abc import Iterator, Sequence
from operator import attrgetter

from cassandra.cluster import Session

from jobs.sinks import cql
from jobs.sinks.cassandra_writer import Mutation
from jobs.sinks.rows import Insert
from schemas.events import ProviderBar
from schemas.tables import SYMBOLS_PART, gold_bucket

BAR = ("symbol", "source", "interval", "bucket", "start", "end", "open", "high", "low", "close", "volume",
       "vwap", "trades", "final", "received_at", "version")  # fmt: skip
BUCKET = ("symbol", "source", "interval", "bucket")
_version = attrgetter("version")


class ProviderBarRows:
    """Bars to the table of all providers, each symbol to the list of symbols, and each partition once to the
    list of those that there are."""

    def __init__(self, session: Session) -> None:
        self._bar = Insert(session, "provider_candles", BAR, at_time=True)
        self._with_indicators = Insert(session, "provider_candles", (*BAR, "indicators"), at_time=True)
        self._symbol = Insert(session, "symbols", ("part", "symbol"))
        self._bucket = Insert(session, "provider_buckets", BUCKET)
        self._listed: set[tuple[bytes, ...]] = set()

    def mutations(self, bars: Sequence[ProviderBar]) -> Iterator[Mutation]:
        """A row for each, written with its version as timestamp: whatever the order of the writes, the
        greatest stays; of one batch, the last is written. One without indicators leaves those that the row
        has: the jobs no longer knew the bars before it."""
        for bar in sorted(bars, key=_version):
            partition: tuple[bytes, ...] = (
                *(text.encode() for text in (bar.symbol, bar.source, bar.interval)),
                gold_bucket(bar.interval, bar.start).encode(),
            )
            if partition not in self._listed:
                self._listed.add(partition)
                yield from self._names(partition)
            start = cql.timestamp(bar.start)
            values: tuple[bytes | None, ...] = (
                *partition, start, cql.timestamp(bar.end),
                *map(cql.double, (bar.open, bar.high, bar.low, bar.close, bar.volume)),
                cql.optional_double(bar.vwap), cql.optional_bigint(bar.trades), cql.boolean(bar.final),
                cql.bigint(bar.received_at), cql.bigint(bar.version),
            )  # fmt: skip
            at, statement = cql.bigint(bar.version), self._bar
            if bar.indicators:
                values, statement = (*values, cql.double_map(bar.indicators)), self._with_indicators
            yield Mutation(partition, (start,), (statement.row((*values, at)),))

    def _names(self, partition: tuple[bytes, ...]) -> Iterator[Mutation]:
        symbol, *bucket = partition
        part = cql.int32(SYMBOLS_PART)
        yield Mutation((part,), (symbol,), (self._symbol.row((part, symbol)),))
        yield Mutation((symbol,), tuple(bucket), (self._bucket.row(partition),))
