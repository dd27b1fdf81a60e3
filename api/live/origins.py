"""Which web pages may open a WebSocket: browsers send cookies and reach loopback for any page."""

from collections.abc import Collection
from urllib.parse import urlsplit

LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


def is_allowed(origin: str | None, host: str | None, allowed: Collection[str]) -> bool:
    """Whether the ``Origin`` header of a handshake is acceptable: none (no browser), the host that was asked
    (``Host`` header), a page of this machine, or one of ``allowed`` (``https://example.org``; ``*``: any)."""
    if origin is None or "*" in allowed:
        return True
    if origin.lower() in allowed:
        return True
    try:
        page = urlsplit(origin.lower())
        name = page.hostname
    except ValueError:
        return False
    if page.scheme not in ("http", "https") or name is None:
        return False
    return name in LOCAL or (host is not None and page.netloc == host.lower())
