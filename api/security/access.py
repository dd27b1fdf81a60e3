"""Which scope an address needs, and what a request to it costs. Whatever is not listed as public needs a key:
a new route is safe before anybody thinks of it."""

from api.security.keys import Scope

PUBLIC = frozenset({"/", "/health", "/ready", "/docs", "/openapi.json", "/favicon.ico"})
"""Answered to everybody: they show nothing of the market."""
PUBLIC_BELOW = ("/assets/", "/docs/")
READ_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
ALERTS_BELOW = ("/api/v1/alerts", "/api/v1/alert-rules")
"""What is written there, the scope ``alerts`` allows."""
HISTORY_BELOW = (
    "/api/v1/candles/",
    "/api/v1/indicators/",
    "/api/v1/trades/",
    "/api/v1/corrections/",
    "/api/v1/alerts",
    "/api/v1/gaps",
    "/api/v1/providers/",
)
HISTORY_COST = 5
"""A read of history asks Cassandra for up to thousands of rows; other reads are answered from memory."""


def needed_scope(method: str, path: str) -> Scope | None:
    """What the caller must be allowed to; None where everybody may."""
    if method in READ_METHODS:
        return None if path in PUBLIC or path.startswith(PUBLIC_BELOW) else "read"
    return "alerts" if _is_below(path, ALERTS_BELOW) else "admin"


def cost(path: str) -> int:
    """What a request counts against the rate limits."""
    return HISTORY_COST if path.startswith(HISTORY_BELOW) else 1


def _is_below(path: str, places: tuple[str, ...]) -> bool:
    return any(path == place or path.startswith(f"{place}/") for place in places)
