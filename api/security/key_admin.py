"""API keys made, listed, rotated and revoked. For commands: it blocks."""

import dataclasses
from typing import Any

from cassandra.cluster import Session

from api.security.key_store import COLUMNS, to_key
from api.security.keys import ApiKey, Scope, digest, new_key
from api.times import Now
from schemas.errors import ConfigurationError


class KeyAdmin:
    """Changes the table ``api_keys``. All writes are conditional, so that two commands at a time cannot undo
    each other."""

    def __init__(self, session: Session, keyspace: str, now: Now) -> None:
        self._session = session
        self._table = f"{keyspace}.api_keys"
        self._now = now

    def create(
        self, name: str, scopes: frozenset[Scope], expires_at: int | None = None
    ) -> tuple[ApiKey, str]:
        """Stores a new key; returns it with its text, which nobody can find out afterwards."""
        key_id, text = new_key()
        key = ApiKey(key_id, digest(text), name, frozenset(scopes), self._now(), expires_at)
        marks = ", ".join(["%s"] * len(dataclasses.fields(key)))
        self._session.execute(
            f"INSERT INTO {self._table} ({COLUMNS}) VALUES ({marks}) IF NOT EXISTS",  # noqa: S608
            (
                key.key_id,
                key.digest,
                key.name,
                set(key.scopes),
                key.created_at,
                key.expires_at,
                key.revoked_at,
                key.replaced_by,
            ),
        )
        return key, text

    def all(self) -> list[ApiKey]:
        """Every key there ever was, oldest first."""
        rows = self._session.execute(f"SELECT {COLUMNS} FROM {self._table}")  # noqa: S608
        return sorted((to_key(row) for row in rows), key=lambda key: (key.created_at, key.key_id))

    def find(self, key_id: str) -> ApiKey:
        """Raises ConfigurationError where there is none."""
        row = self._session.execute(
            f"SELECT {COLUMNS} FROM {self._table} WHERE key_id = %s",  # noqa: S608
            (key_id,),
        ).one()
        if row is None:
            raise ConfigurationError(f"there is no API key {key_id}: `python -m api keys list` shows them")
        return to_key(row)

    def rotate(self, key_id: str, overlap_us: int) -> tuple[ApiKey, str]:
        """A new key with the name and scopes of an active one, which ends after ``overlap_us``, or earlier
        where it would have anyway. The new one lasts as long as the old one was meant to."""
        old = self.find(key_id)
        now = self._now()
        if old.state(now) != "active":
            raise ConfigurationError(f"API key {key_id} is {old.state(now)}: create a new one instead")
        lifetime = None if old.expires_at is None else old.expires_at - old.created_at
        scopes: Any = old.scopes
        new, text = self.create(old.name, scopes, None if lifetime is None else now + lifetime)
        end = now + overlap_us if old.expires_at is None else min(now + overlap_us, old.expires_at)
        self._update("expires_at = %s, replaced_by = %s", end, new.key_id, key_id)
        return new, text

    def revoke(self, key_id: str) -> ApiKey:
        """Ends a key: every process refuses it API_KEY_CACHE_SECONDS later at the latest."""
        key = self.find(key_id)
        if key.revoked_at is None:
            self._update("revoked_at = %s", self._now(), key_id)
        return self.find(key_id)

    def _update(self, changes: str, *values: object) -> None:
        self._session.execute(f"UPDATE {self._table} SET {changes} WHERE key_id = %s IF EXISTS", values)  # noqa: S608
