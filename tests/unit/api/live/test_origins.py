"""Which web pages may connect."""

import pytest
from pydantic import ValidationError

from api.live.origins import is_allowed
from api.security.settings import SecuritySettings
from api.settings import LiveSettings

HOST = "market.example:8000"


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "http://market.example:8000",
        "https://MARKET.example:8000",
        "http://localhost:3000",
        "http://127.0.0.1",
        "http://[::1]:8000",
    ],
)
def test_no_browser_the_same_host_and_this_machine_may(origin: str | None) -> None:
    """Without any setting."""
    assert is_allowed(origin, HOST, ())


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "null",
        "http://market.example",
        "http://market.example:9000",
        "http://evil.example",
        "http://localhost.evil.example",
        "http://evil.example/localhost",
        "file://localhost",
        "http://[::1",
        "http://user@evil.example:8000",
    ],
)
def test_other_pages_may_not(origin: str) -> None:
    """Nor what is no origin at all."""
    assert not is_allowed(origin, HOST, ("https://charts.example",))


def test_listed_pages_may() -> None:
    """By scheme and port, too; a star lets everybody in."""
    allowed = LiveSettings(ws_origins="https://Charts.example/, http://b.example:3000").ws_origins  # type: ignore[arg-type]
    assert allowed == ("https://charts.example", "http://b.example:3000")
    assert is_allowed("https://charts.example", HOST, allowed)
    assert not is_allowed("http://charts.example", HOST, ("https://charts.example",))
    assert is_allowed("http://evil.example", HOST, ("*",))


@pytest.mark.parametrize("name", ["example.org", "https://", "https://a.example/page", "foo"])
def test_what_can_never_match_is_refused_where_it_is_set(name: str) -> None:
    """The setting would be without effect, and nobody would know why."""
    with pytest.raises(ValidationError, match=r"is no origin: write https://example\.org"):
        LiveSettings(ws_origins=name)  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match=r"is no origin: write https://example\.org"):
        SecuritySettings(api_cors_origins=name)  # type: ignore[arg-type]


def test_without_a_host_header_no_page_is_of_the_same_host() -> None:
    """HTTP/1.0 clients send none."""
    assert not is_allowed("http://market.example:8000", None, ())
