"""What the stores of rows that expire have in common."""

from api.database import Database
from schemas.intervals import INTERVALS


class ExpiringStore:
    """Rows that are kept for ``ttl_days``. Times in microseconds since 1970 UTC."""

    def __init__(self, database: Database, ttl_days: int) -> None:
        self._database = database
        self._kept = ttl_days * INTERVALS["1d"]

    def oldest(self, end: int) -> int:
        """Where a range without a start begins: as long before ``end`` as rows are kept."""
        return max(0, end - self._kept)
