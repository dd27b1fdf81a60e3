"""What an API key is: ``ts_<id>_<secret>``.

The id is 64 random bits, there to look the key up and to name it in logs; the secret is 256 random bits.
Stored is the SHA-256 of the whole text. Slow hashes such as Argon2 make the few passwords people think of
expensive to guess; nobody guesses 256 random bits, so a fast one is as safe, and each request computes it.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Literal, get_args

Scope = Literal["read", "alerts", "admin"]
State = Literal["active", "expired", "revoked"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
SCOPE_MEANINGS = {
    "read": "everything that is asked for by GET, and the WebSocket",
    "alerts": "change alert rules and acknowledge alerts",
    "admin": "everything",
}
ID_BYTES = 8
SECRET_BYTES = 32
_KEY = re.compile(r"ts_([0-9a-f]{16})_[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is stored; times are microseconds since 1970."""

    key_id: str
    digest: bytes
    name: str
    scopes: frozenset[str]
    created_at: int
    expires_at: int | None = None
    revoked_at: int | None = None
    replaced_by: str | None = None

    def state(self, now: int) -> State:
        """Whether it is valid at ``now``, and why not."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "active"

    def may(self, scope: Scope) -> bool:
        """Whether it carries the scope; ``admin`` includes all."""
        return scope in self.scopes or "admin" in self.scopes

    def belongs_to(self, text: str) -> bool:
        """Whether ``text`` is this key. Takes the same time however much of it is right."""
        return hmac.compare_digest(self.digest, digest(text))


def new_key() -> tuple[str, str]:
    """(id, text) of a key that nobody has."""
    key_id = secrets.token_hex(ID_BYTES)
    return key_id, f"ts_{key_id}_{secrets.token_urlsafe(SECRET_BYTES)}"


def digest(text: str) -> bytes:
    """What is stored of a key."""
    return hashlib.sha256(text.encode()).digest()


def id_of(text: str) -> str | None:
    """The id in the text of a key; None where it is not one."""
    match = _KEY.fullmatch(text)
    return match[1] if match else None
