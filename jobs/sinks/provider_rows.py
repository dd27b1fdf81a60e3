"""Bars of providers as rows: which tables they go to, under which key, with which values."""

from collections.abc import Iterator, Sequence

from jobs.sinks import cql
from jobs.sinks.inserts import PROVIDER_BAR, PROVIDER_BAR_WITH_INDICATORS, PROVIDER_BUCKET, SYMBOL
from schemas.events import ProviderBar
from schemas.tables import SYMBOLS_PART, gold_bucket


class ProviderBarRows:
    """Bars to the table of all providers, each symbol to the list of symbols, and each partition once to the
    list of those that there are."""

    def __init__(self) -> None:
        self._listed: set[tuple[bytes, ...]] = set()

    def rows(self, bars: Sequence[ProviderBar]) -> Iterator[bytes]:
        """One for each, written with its version as timestamp: whatever the order of the writes, the
        greatest stays. One without indicators leaves those that the row has: the jobs no longer knew the bars
        before it."""
        for bar in bars:
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
            insert = PROVIDER_BAR
            if bar.indicators:
                values, insert = (*values, cql.double_map(bar.indicators)), PROVIDER_BAR_WITH_INDICATORS
            yield insert.row((*values, cql.bigint(bar.version)))

    def _names(self, partition: tuple[bytes, ...]) -> Iterator[bytes]:
        symbol = partition[0]
        yield SYMBOL.row((cql.int32(SYMBOLS_PART), symbol))
        yield PROVIDER_BUCKET.row(partition)
