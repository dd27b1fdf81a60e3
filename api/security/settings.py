"""Settings of everything that keeps the API safe."""

import re
from ipaddress import IPv4Network, IPv6Network, ip_network

from limits import RateLimitItem, parse_many
from pydantic import Field, field_validator, model_validator

from schemas.settings import EnvironmentSettings, Names, split_names

Network = IPv4Network | IPv6Network
NONE = "none"
ORIGIN = re.compile(r"https?://[^/?#@\s]+/?", re.IGNORECASE)


def check_origins(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names as browsers write them, where each is the origin of a web page or ``*``; raises
    ValueError."""
    for name in names:
        if name != "*" and not ORIGIN.fullmatch(name):
            raise ValueError(f"{name!r} is no origin: write https://example.org or http://localhost:3000")
    return tuple(name.lower().rstrip("/") for name in names)


class SecuritySettings(EnvironmentSettings):
    api_keyless_reads: bool = Field(
        True, description="false: reading needs a key on this machine's loopback, too"
    )
    api_loopback_networks: Names = Field(
        ("127.0.0.0/8", "::1/128"),
        description="what counts as loopback; in a container also the bridge over which its published port is"
        " reached, as long as that port is published on loopback only",
    )
    api_trusted_proxies: Names = Field(
        (),
        description="addresses or networks of reverse proxies whose X-Forwarded-For and X-Forwarded-Proto are"
        " believed; what comes through a proxy always needs a key",
    )
    api_key_cache_seconds: float = Field(
        10.0,
        gt=0,
        le=3600,
        description="how long a key is known without asking the storage: how long a revoked one still works",
    )
    api_rate_key: str = Field(
        "250/second;10000/minute",
        description="what an API key may ask for; a read of history counts five, anything else one; several"
        " limits are separated by semicolons; none: no limit",
    )
    api_rate_address: str = Field(
        "50/second;1000/minute",
        description="likewise what an address may ask for without a key: the page, /docs, /health",
    )
    api_rate_local: str = Field(
        NONE, description="likewise what programs on loopback may ask for without a key"
    )
    api_rate_failures: str = Field(
        "30/minute", description="keys that are not valid, from one address; further ones are not looked up"
    )
    api_max_body_bytes: int = Field(
        65_536, ge=1024, le=16_777_216, description="longest body of a request; beyond: 413"
    )
    api_max_url_bytes: int = Field(
        8_192, ge=256, le=32_768, description="longest path and query of a request; beyond: 414"
    )
    api_cors_origins: Names = Field(
        (),
        description="origins of web pages that may use the REST API from a browser, such as"
        " https://example.org, separated by commas; *: any",
    )
    api_tls_cert: str = Field(
        "", description="file with the certificate (and its chain), PEM; with API_TLS_KEY: https and wss only"
    )
    api_tls_key: str = Field("", description="file with the certificate's private key, PEM")
    ws_max_per_key: int = Field(
        200, ge=1, le=100_000, description="WebSocket connections at a time with the same API key"
    )
    ws_max_per_address: int = Field(
        100, ge=1, le=100_000, description="WebSocket connections at a time from one address, loopback apart"
    )

    _check_origins = field_validator("api_cors_origins", mode="after")(check_origins)
    _split = field_validator(
        "api_loopback_networks", "api_trusted_proxies", "api_cors_origins", mode="before"
    )(split_names)

    @field_validator("api_loopback_networks", "api_trusted_proxies", mode="after")
    @classmethod
    def _check_networks(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            try:
                ip_network(name)
            except ValueError as error:
                raise ValueError(f"{error}: write an address or a network such as 10.1.2.0/24") from None
        return names

    @field_validator("api_rate_key", "api_rate_address", "api_rate_local", "api_rate_failures", mode="after")
    @classmethod
    def _check_rate(cls, text: str) -> str:
        parse_rate(text)
        return text

    @model_validator(mode="after")
    def _check_tls(self) -> "SecuritySettings":
        if bool(self.api_tls_cert) != bool(self.api_tls_key):
            raise ValueError("set both API_TLS_CERT and API_TLS_KEY, or none of them")
        return self

    @property
    def loopback(self) -> tuple[Network, ...]:
        """``api_loopback_networks``, ready to compare with."""
        return tuple(ip_network(name) for name in self.api_loopback_networks)


def parse_rate(text: str) -> tuple[RateLimitItem, ...]:
    """``"250/second;10000/minute"`` as the limits it names, ``"none"`` as none; raises ValueError."""
    if text.strip().lower() == NONE:
        return ()
    try:
        return tuple(parse_many(text))
    except ValueError:
        raise ValueError(f"{text!r} is no rate: write 100/second, 1000/minute;10/second, or {NONE}") from None
