"""Reading from Cassandra which trades were cancelled or corrected.

A correction lies in the minute in which it was reported. Most minutes have none, so one query asks which of
the next ones hold any, and only those are read.
"""

from itertools import islice

from api.database import Row
from api.expiring import ExpiringStore
from api.models import Correction
from api.store import BUCKETS_AT_ONCE, MAX_MINUTES, Position
from api.times import to_datetime
from schemas.intervals import MINUTE_US
from schemas.tables import trade_minute, trade_shard

FIELDS = (
    "event_time", "sequence", "source", "correction_id", "trade_id", "trade_time", "kind", "price", "size",
    "exchange", "conditions", "updates_open_close", "updates_high_low", "updates_volume", "received_at",
)  # fmt: skip
OF_SYMBOL = "shard = ? AND symbol = ?"
IN_RANGE = (
    " AND (event_time) >= (?) AND (event_time, sequence, source, correction_id) < (?, ?, ?, ?)"
    " ORDER BY symbol DESC LIMIT ?"
)


def statements(keyspace: str) -> dict[str, str]:
    """Every query of corrections by the name that the metrics give it."""
    table = f"{keyspace}.trade_corrections"
    return {
        "corrected_minutes": f"SELECT minute FROM {table} WHERE minute IN ? AND {OF_SYMBOL}"  # noqa: S608
        " PER PARTITION LIMIT 1",
        "corrections": f"SELECT {', '.join(FIELDS)} FROM {table} WHERE minute = ? AND {OF_SYMBOL}{IN_RANGE}",  # noqa: S608
    }


class CorrectionStore(ExpiringStore):
    """Corrections as the route asks for them. Times in microseconds since 1970 UTC. Raises
    StorageUnavailable."""

    async def corrections(
        self, symbol: str, start: int, before: Position, limit: int
    ) -> tuple[list[Correction], Position | None]:
        """The newest ``limit`` corrections from ``start`` to before ``before``, and where the next page goes
        on: None at the end of the range. A page may be shorter than ``limit`` although more follow."""
        rows: list[Row] = []
        end, oldest = before.newest, start - start % MINUTE_US
        every = iter(range(end - end % MINUTE_US, oldest - 1, -MINUTE_US))
        asked = oldest
        for minutes in iter(lambda: list(islice(every, BUCKETS_AT_ONCE)), []):
            for minute in await self._held(symbol, minutes):
                values = (minute, trade_shard(symbol), symbol, start, *before, limit + 1 - len(rows))
                rows += await self._database.query("corrections", values)
                if len(rows) > limit:
                    page = rows[:limit]
                    return [_correction(symbol, row) for row in page], Position(*page[-1][:4])
            asked = minutes[-1]
            if (end - asked) // MINUTE_US >= MAX_MINUTES:
                break
        more = Position(asked) if asked > oldest else None
        return [_correction(symbol, row) for row in rows], more

    async def _held(self, symbol: str, minutes: list[int]) -> list[int]:
        """Those of ``minutes`` that hold corrections, as the table has them, newest first."""
        values = ([trade_minute(minute) for minute in minutes], trade_shard(symbol), symbol)
        rows = await self._database.query("corrected_minutes", values)
        return sorted((row[0] for row in rows), reverse=True)


def _correction(symbol: str, row: Row) -> Correction:
    values = dict(zip(FIELDS, row, strict=True))
    trade_time = values["trade_time"]
    return Correction(
        **values
        | {
            "symbol": symbol,
            "event_time": to_datetime(values["event_time"]),
            "received_at": to_datetime(values["received_at"]),
            "trade_time": None if trade_time is None else to_datetime(trade_time),
            "conditions": values["conditions"] or [],
        }
    )
