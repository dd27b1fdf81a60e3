"""Which scope an address needs."""

import pytest

from api.security.access import cost, needed_scope


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/", None),
        ("GET", "/health", None),
        ("GET", "/ready", None),
        ("GET", "/docs", None),
        ("GET", "/docs/files/swagger-ui.css", None),
        ("GET", "/openapi.json", None),
        ("GET", "/assets/css/base.css", None),
        ("GET", "/metrics", "read"),
        ("GET", "/assets", "read"),
        ("GET", "/docsx", "read"),
        ("GET", "/health/", "read"),
        ("GET", "/ws", "read"),
        ("GET", "/api/v1/candles/AAPL", "read"),
        ("HEAD", "/api/v1/candles/AAPL", "read"),
        ("GET", "/api/v1/alert-rules", "read"),
        ("GET", "/made/up", "read"),
        ("POST", "/api/v1/alert-rules", "alerts"),
        ("DELETE", "/api/v1/alert-rules/7", "alerts"),
        ("PUT", "/api/v1/alerts/7/acknowledgement", "alerts"),
        ("POST", "/api/v1/alertsx", "admin"),
        ("POST", "/health", "admin"),
        ("PATCH", "/api/v1/symbols", "admin"),
        ("MADEUP", "/", "admin"),
    ],
)
def test_everything_needs_a_key_but_what_is_listed(method: str, path: str, scope: str | None) -> None:
    """Reading needs read, alerts may be written with alerts, all else with admin only."""
    assert needed_scope(method, path) == scope


def test_history_counts_five_reads() -> None:
    """What is answered from memory counts one."""
    assert {path: cost(path) for path in ("/api/v1/candles/A", "/api/v1/trades/A", "/api/v1/alerts")} == {
        "/api/v1/candles/A": 5,
        "/api/v1/trades/A": 5,
        "/api/v1/alerts": 5,
    }
    assert [cost(path) for path in ("/api/v1/quotes/A", "/api/v1/symbols", "/ws", "/")] == [1, 1, 1, 1]
