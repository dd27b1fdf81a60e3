"""Who asks: the address a request comes from, whether that is this machine, and the key it brings."""

import functools
import ipaddress
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import Scope as AsgiScope

from api.security.keys import ApiKey
from api.security.settings import Network

UNKNOWN = "unknown"
FORWARDING = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via")
"""Headers of proxies. Behind one, loopback is the proxy's address and not the client's."""
SUBPROTOCOL = "tickstream"
BEARER_SUBPROTOCOL = "bearer."
REMEMBERED = 4096
"""Addresses; to read one takes longer than all else that the guard does."""
IPV6_HOST_BITS = 64
"""One customer has a whole /64."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a request is from, as the guard found out."""

    address: str
    key: ApiKey | None
    local: bool
    """No key, and none is needed to read."""

    @property
    def key_id(self) -> str | None:
        return self.key.key_id if self.key else None


def address_of(scope: AsgiScope) -> str:
    """The client's address; of IPv6 the network, since one client has as many addresses as it likes."""
    client = scope.get("client")
    if not client:
        return UNKNOWN
    parsed = _parsed(client[0])
    if isinstance(parsed, ipaddress.IPv6Address) and not parsed.is_loopback:
        return str(ipaddress.ip_network((parsed, IPV6_HOST_BITS), strict=False))
    return UNKNOWN if parsed is None else str(parsed)


def is_local(scope: AsgiScope, headers: Headers, loopback: tuple[Network, ...]) -> bool:
    """Whether a program of this machine asks, and asks for this machine.

    The connection comes from loopback and through no proxy. The name that was asked for counts, too: a web
    page may point a name of its own to 127.0.0.1, and a browser that shows it would read for it.
    """
    client = scope.get("client")
    address = _parsed(client[0]) if client else None
    if address is None or not any(address in network for network in loopback):
        return False
    return not any(name in headers for name in FORWARDING) and _is_local_name(headers.get("host"))


def credentials(headers: Headers, *, websocket: bool) -> str | None:
    """The text of the key that a request brings; None where it brings none. Browsers cannot set headers of a
    WebSocket, so there it may be a subprotocol. Never part of the address: addresses end up in logs."""
    scheme, _, text = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return text.strip()
    if websocket:
        for name in offered_subprotocols(headers):
            if name.startswith(BEARER_SUBPROTOCOL):
                return name.removeprefix(BEARER_SUBPROTOCOL)
    return None


def offered_subprotocols(headers: Headers) -> list[str]:
    """In the order of the client."""
    return [
        name.strip() for line in headers.getlist("sec-websocket-protocol") for name in line.split(",") if name
    ]


@functools.lru_cache(maxsize=REMEMBERED)
def _parsed(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _is_local_name(host: str | None) -> bool:
    """An address, localhost, or a name without a dot, which only a network of one's own can know."""
    if not host:
        return False
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    name = name.lower().rstrip(".")
    return _parsed(name) is not None or "." not in name or name.endswith(".localhost")
