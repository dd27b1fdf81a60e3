"""How uvicorn is told to run the application: whose word on addresses it takes."""

import asyncio
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from api.serve import listen_on, server_config
from api.settings import ApiSettings
from schemas.errors import ConfigurationError

PATH = "/api/v1/symbols"


def refused_address(peer: str, forwarded: str, **settings: Any) -> str:
    """The address that a refusal of a request through a proxy at ``peer`` is logged with."""
    config = server_config(ApiSettings(**settings))
    app: Any = config.loaded_app

    async def ask() -> int:
        transport = httpx.ASGITransport(app, client=(peer, 5))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            return (await http.get(PATH, headers={"X-Forwarded-For": forwarded})).status_code

    with capture_logs() as logs:
        assert asyncio.run(ask()) == 401
    return str(next(line["address"] for line in logs if line["event"] == "audit_refusal"))


def test_nobody_is_believed_about_addresses_by_default() -> None:
    """Not loopback either, as uvicorn would by itself."""
    assert refused_address("127.0.0.1", "203.0.113.7") == "127.0.0.1"


def test_a_trusted_proxy_is_believed_and_opens_nothing() -> None:
    """The last address that it need not trust is the client's, even where that claims to be here."""
    trusted = {"api_trusted_proxies": ("10.0.0.0/24",)}
    assert refused_address("10.0.0.2", "198.51.100.1, 203.0.113.7, 10.0.0.9", **trusted) == "203.0.113.7"
    assert refused_address("10.0.0.2", "127.0.0.1", **trusted) == "127.0.0.1"
    assert refused_address("10.0.1.2", "203.0.113.7", **trusted) == "10.0.1.2"


def test_a_certificate_that_is_not_there_is_named() -> None:
    """Before anything listens."""
    with pytest.raises(ConfigurationError, match=r"API_TLS_CERT nowhere\.pem and API_TLS_KEY nowhere\.pem"):
        server_config(ApiSettings(api_tls_cert="nowhere.pem", api_tls_key="nowhere.pem"))


def test_an_address_that_is_taken_is_named_with_what_to_do() -> None:
    """And one that this machine does not have."""
    with listen_on("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(
            ConfigurationError, match=f"API_PORT {port} cannot be used: Address already in use; end"
        ):
            listen_on("127.0.0.1", port)
    with pytest.raises(ConfigurationError, match=r"API_HOST 203\.0\.113\.1 and API_PORT 8000"):
        listen_on("203.0.113.1", 8000)
