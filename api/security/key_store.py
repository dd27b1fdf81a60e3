"""API keys as the API reads them from Cassandra."""

from api.database import Database, Row
from api.security.keys import ApiKey

COLUMNS = "key_id, digest, name, scopes, created_at, expires_at, revoked_at, replaced_by"
MOST_KEYS = 10_000
"""Keys that are looked through in order to tell whether any is valid."""


def statements(keyspace: str) -> dict[str, str]:
    """CQL by name, for ``Database``."""
    return {
        "api_key": f"SELECT {COLUMNS} FROM {keyspace}.api_keys WHERE key_id = ?",  # noqa: S608
        "api_keys": f"SELECT {COLUMNS} FROM {keyspace}.api_keys LIMIT {MOST_KEYS}",  # noqa: S608
    }


def to_key(row: Row) -> ApiKey:
    """A row of COLUMNS."""
    key_id, digest, name, scopes, created_at, expires_at, revoked_at, replaced_by = row
    return ApiKey(
        key_id, digest, name, frozenset(scopes or ()), created_at, expires_at, revoked_at, replaced_by
    )


class KeyStore:
    """Reads keys; raises StorageUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, key_id: str) -> ApiKey | None:
        """The key of an id, valid or not."""
        rows = await self._database.query("api_key", (key_id,))
        return to_key(rows[0]) if rows else None

    async def any_active(self, now: int) -> bool:
        """Whether there is a key that is valid at ``now``."""
        return any(to_key(row).state(now) == "active" for row in await self._database.query("api_keys"))
