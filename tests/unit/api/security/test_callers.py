"""Who asks, as it can be told from a connection and its headers."""

import pytest
from starlette.datastructures import Headers

from api.security.callers import address_of, credentials, is_local
from api.security.settings import SecuritySettings

LOOPBACK = SecuritySettings().loopback
KEY = "ts_0123456789abcdef_" + "x" * 43


def scope(client: tuple[str, int] | None) -> dict[str, object]:
    return {"type": "http", "client": client}


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize(
    "host", ["127.0.0.1:8000", "localhost", "[::1]:8000", "api:8000", "10.0.0.5", "a.localhost"]
)
def test_a_program_of_this_machine_is_local(address: str, host: str) -> None:
    """Over IPv4 and IPv6, by any name that only this machine or its network gives."""
    assert is_local(scope((address, 1)), Headers({"host": host}), LOOPBACK)


@pytest.mark.parametrize(
    "client", [("10.0.0.1", 1), ("::2", 1), ("128.0.0.1", 1), ("localhost", 1), ("", 1), None]
)
def test_other_machines_are_not(client: tuple[str, int] | None) -> None:
    """Nor is what is no address."""
    assert not is_local(scope(client), Headers({"host": "localhost"}), LOOPBACK)


@pytest.mark.parametrize(
    "header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via", "X-Forwarded-Host", "X-Forwarded-Proto"]
)
@pytest.mark.parametrize("value", ["127.0.0.1", "", "for=127.0.0.1"])
def test_what_comes_through_a_proxy_is_not(header: str, value: str) -> None:
    """Whatever the header claims: the address is the proxy's."""
    headers = Headers({"host": "localhost", header: value})
    assert not is_local(scope(("127.0.0.1", 1)), headers, LOOPBACK)


@pytest.mark.parametrize(
    "host", ["evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example.", ""]
)
def test_a_page_that_points_its_own_name_to_loopback_is_not(host: str) -> None:
    """DNS rebinding: the browser that shows it connects from loopback."""
    assert not is_local(scope(("127.0.0.1", 1)), Headers({"host": host}), LOOPBACK)
    assert not is_local(scope(("127.0.0.1", 1)), Headers({}), LOOPBACK)


def test_a_bridge_counts_where_it_is_named() -> None:
    """As docker compose does."""
    bridge = SecuritySettings(api_loopback_networks=("172.31.251.0/24",)).loopback
    headers = Headers({"host": "127.0.0.1:8000"})
    assert is_local(scope(("172.31.251.1", 1)), headers, bridge)
    assert not is_local(scope(("127.0.0.1", 1)), headers, bridge)


def test_addresses_are_counted_by_customer() -> None:
    """An IPv6 network has one; what has no address shares a name."""
    clients = [
        ("10.1.2.3", 5),
        ("2001:db8:1:2:3::4", 5),
        ("::ffff:10.1.2.3", 5),
        ("::1", 5),
        ("testclient", 5),
        None,
    ]
    assert [address_of(scope(client)) for client in clients] == [
        "10.1.2.3", "2001:db8:1:2::/64", "10.1.2.3", "::1", "unknown", "unknown"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("headers", "http", "websocket"),
    [
        ({}, None, None),
        ({"authorization": f"Bearer {KEY}"}, KEY, KEY),
        ({"authorization": f"bearer  {KEY} "}, KEY, KEY),
        ({"authorization": "Basic abc"}, None, None),
        ({"sec-websocket-protocol": f"tickstream, bearer.{KEY}"}, None, KEY),
        ({"sec-websocket-protocol": f"bearer.{KEY},tickstream"}, None, KEY),
        ({"sec-websocket-protocol": "tickstream"}, None, None),
        ({"sec-websocket-protocol": "bearer."}, None, ""),
    ],
)
def test_a_key_is_taken_from_the_header_or_a_subprotocol(
    headers: dict[str, str], http: str | None, websocket: str | None
) -> None:
    """The subprotocol for WebSockets only: browsers cannot set their headers."""
    assert credentials(Headers(headers), websocket=False) == http
    assert credentials(Headers(headers), websocket=True) == websocket
