"""Reading from Cassandra what was not observed of a symbol, by UTC month.

No row reaches over a full hour of UTC, so the gaps that touch a range begin no earlier than the hour in which
it begins.
"""

from typing import NamedTuple

from api.database import Row
from api.expiring import ExpiringStore
from api.models import Gap
from api.times import to_datetime, to_micros
from schemas.intervals import INTERVALS
from schemas.tables import gap_bucket

HOUR_US = INTERVALS["1h"]
MAX_QUERIES = 36
"""Looks into partitions for one page; most are empty."""

FIELDS = ("start", "gap_id", "end", "closed", "source", "reason", "detail", "updated_at", "filled")
GAPS_IN_RANGE = (
    "symbol = ? AND bucket = ? AND (start) >= (?) AND (start, gap_id) < (?, ?)"
    " ORDER BY start DESC, gap_id DESC LIMIT ?"
)


def statements(keyspace: str) -> dict[str, str]:
    """Every query of gaps by the name that the metrics give it."""
    return {"gaps": f"SELECT {', '.join(FIELDS)} FROM {keyspace}.gaps WHERE {GAPS_IN_RANGE}"}  # noqa: S608


class GapPlace(NamedTuple):
    """A place in the order of a symbol's gaps; with the time alone, the place before all gaps of it."""

    start: int
    gap_id: str = ""


class GapStore(ExpiringStore):
    """Gaps as the route asks for them. Times in microseconds since 1970 UTC. Raises StorageUnavailable."""

    async def gaps(
        self, symbol: str, start: int, before: GapPlace, limit: int
    ) -> tuple[list[Gap], GapPlace | None]:
        """The newest ``limit`` gaps that touch the time from ``start`` on and are before ``before``, and
        where the next page goes on: None at the end of the range. A page may be shorter than ``limit``
        although more follow."""
        earliest = start - start % HOUR_US
        found: list[Gap] = []
        place = before
        for _ in range(MAX_QUERIES):
            # A place without an id is before all gaps of its microsecond, which may be the first of a month.
            inside = place.start if place.gap_id else place.start - 1
            if inside < earliest:
                return found, None
            values = (symbol, gap_bucket(inside), earliest, *place, limit + 1)
            rows = await self._database.query("gaps", values)
            for row in rows:
                if len(found) == limit:
                    return found, GapPlace(to_micros(found[-1].start), found[-1].gap_id)
                begin, _, end, *_ = row
                if end > start or begin >= start:
                    found.append(_gap(symbol, row))
            place = GapPlace(*rows[-1][:2]) if len(rows) > limit else GapPlace(_month(inside))
        return found, place


def _month(time_us: int) -> int:
    """Where the UTC month of a time begins."""
    return to_micros(to_datetime(time_us).replace(day=1, hour=0, minute=0, second=0, microsecond=0))


def _gap(symbol: str, row: Row) -> Gap:
    start, gap_id, end, closed, source, reason, detail, updated_at, filled = row
    return Gap(
        gap_id=gap_id,
        symbol=symbol,
        source=source,
        start=to_datetime(start),
        end=to_datetime(end),
        closed=closed,
        reason=reason,
        detail=detail,
        updated_at=to_datetime(updated_at),
        filled=bool(filled),  # null: from before the column
    )
