"""Reading from Cassandra the bars that providers publish, those of one provider at a time.

Which partitions hold bars, a table of its own says, so no empty one is looked at.
"""

from collections.abc import Sequence
from datetime import UTC

from api.database import Database, Row
from api.models import Candle
from api.store import Span
from api.times import Now, to_datetime
from schemas.tables import gold_bucket

FIELDS = "start, end, open, high, low, close, volume, vwap, trades, final, received_at, version"
BARS_IN_RANGE = (
    "symbol = ? AND source = ? AND interval = ? AND bucket = ? AND start >= ? AND start < ? LIMIT ?"
)


def statements(keyspace: str) -> dict[str, str]:
    """Every query of provider bars by the name that the metrics give it."""

    def select(columns: str, table: str, where: str) -> str:
        return f"SELECT {columns} FROM {keyspace}.{table} WHERE {where}"  # noqa: S608 -- no value of a user

    return {
        "provider_buckets": select("source, interval, bucket", "provider_buckets", "symbol = ?"),
        "provider_candles": select(FIELDS, "provider_candles", BARS_IN_RANGE),
        "provider_indicators": select(f"{FIELDS}, indicators", "provider_candles", BARS_IN_RANGE),
    }


class ProviderStore:
    """Times in microseconds since 1970 UTC. Raises StorageUnavailable."""

    def __init__(self, database: Database, now: Now) -> None:
        self._database = database
        self.now = now

    async def newest(self, symbol: str, interval: str) -> str | None:
        """The provider that has the newest bars of a symbol, by their month or year; of several the first by
        name. None where nobody has any."""
        rows = await self._database.query("provider_buckets", (symbol,))
        buckets = sorted((bucket, source) for source, each, bucket in rows if each == interval)
        return min((source for bucket, source in buckets if bucket == buckets[-1][0]), default=None)

    async def candles(  # noqa: PLR0913 -- what Store.candles takes, and the provider
        self, provider: str, symbol: str, interval: str, span: Span, limit: int, *, indicators: bool = False
    ) -> list[Candle]:
        """The newest ``limit`` bars of a provider that start in ``span``, newest first; with their indicators
        if asked."""
        statement = "provider_indicators" if indicators else "provider_candles"
        found: list[Candle] = []
        for bucket in await self._buckets(provider, symbol, interval, span):
            bounds = (-(-span.start // 1000), -(-span.end // 1000))
            values = (symbol, provider, interval, bucket, *bounds, limit - len(found))
            rows = await self._database.query(statement, values)
            found += (_candle(provider, symbol, interval, row) for row in rows)
            if len(found) >= limit:
                break
        return found

    async def _buckets(self, provider: str, symbol: str, interval: str, span: Span) -> Sequence[str]:
        """The partitions that hold bars, newest first."""
        if span.start >= span.end:
            return ()
        first, last = gold_bucket(interval, span.start), gold_bucket(interval, span.end - 1)
        rows = await self._database.query("provider_buckets", (symbol,))
        held = {bucket for source, each, bucket in rows if (source, each) == (provider, interval)}
        return sorted((bucket for bucket in held if first <= bucket <= last), reverse=True)


def _candle(provider: str, symbol: str, interval: str, row: Row) -> Candle:
    """A bar from FIELDS, and indicators where they were read: only then they are set."""
    start, end, open_, high, low, close, volume, vwap, trades, final, received_at, version, *indicators = row
    read = {"indicators": dict(indicators[0] or {})} if indicators else {}
    return Candle(
        symbol=symbol,
        interval=interval,
        start=start.replace(tzinfo=UTC),
        end=end.replace(tzinfo=UTC),
        open=open_,
        high=high,
        low=low,
        close=close,
        volume=volume,
        notional=None,
        vwap=vwap,
        trades=trades,
        final=final,
        version=version,
        sources=[provider],
        late_trades=None,
        updated_at=to_datetime(received_at),
        quality=None,
        observed=None,
        provider_bar=provider,
        **read,
    )
