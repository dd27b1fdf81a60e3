"""One WebSocket, by the library of that name: opening it, and what its failures mean."""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from typing import Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidStatus,
    InvalidURI,
    PayloadTooBig,
    WebSocketException,
)

from producer.providers.contract import Handshake
from producer.providers.settings import ProviderSettings
from producer.providers.tls import trusted_certificates
from schemas.errors import ConfigurationError
from schemas.retry_after import retry_after_s

TOO_BIG = 1009
CLOSE_S = 0.3
"""How long a connection that we give up may take to say so, too."""

SILENT = logging.getLogger("producer.providers.silent")
"""For the library, whose debug lines would show addresses with keys in them."""

SILENT.addHandler(logging.NullHandler())
SILENT.propagate = False
SILENT.setLevel(logging.CRITICAL + 1)


class LostError(Exception):
    """A connection that could not be made, or is there no more; to be tried again.

    ``reason`` is one of REASONS; ``retry_after_s`` is what the server asks for, if it does."""

    def __init__(self, reason: str, detail: str, retry_after_s: float | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.retry_after_s = retry_after_s


REASONS = {
    "unreachable": "no connection to the address",
    "tls": "the certificate, or what goes with it, is not good",
    "handshake_timeout": "no answer to the handshake in time",
    "http_status": "an HTTP status instead of a WebSocket",
    "rate_limited": "HTTP 429: too many attempts",
    "redirect": "sent elsewhere, where no key of ours goes",
    "protocol": "not the WebSocket protocol",
    "too_big": "a message above PROVIDER_MAX_FRAME_BYTES",
    "closed": "closed by the other side, or broken off",
    "no_pong": "a ping was not answered",
    "silent": "connected, the market open, and no data",
}


class RefusedError(Exception):
    """The handshake was refused for good: the key, or the place we are at."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status


class Socket(Protocol):
    """An open connection. Every method raises LostError where it is there no more."""

    async def receive(self) -> bytes:
        """The next message, text or not, as it is."""

    async def send(self, text: str) -> None: ...

    async def ping(self) -> None:
        """Returns when the other side has answered."""

    async def close(self) -> None:
        """Ends it; raises nothing."""


Dial = Callable[[Handshake], Awaitable[Socket]]
"""Opens a connection. Raises LostError, RefusedError, and ConfigurationError for an address that is none."""


class _StaysHere(connect):
    """Goes nowhere else: another host must not get our key."""

    def process_redirect(self, exc: Exception) -> Exception:
        return exc


class WebSocket:
    """See ``Socket``."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def receive(self) -> bytes:
        try:
            return await self._connection.recv(decode=False)
        except ConnectionClosed as error:
            raise _lost(error) from None

    async def send(self, text: str) -> None:
        try:
            await self._connection.send(text)
        except ConnectionClosed as error:
            raise _lost(error) from None

    async def ping(self) -> None:
        try:
            await (await self._connection.ping())
        except ConnectionClosed as error:
            raise _lost(error) from None

    async def close(self) -> None:
        await self._connection.close()


def web_socket_dial(settings: ProviderSettings, now_us: Callable[[], int]) -> Dial:
    """Opens real connections. Raises ConfigurationError where PROVIDER_CA_FILE cannot be read."""
    timeout_s = settings.provider_handshake_seconds
    trusted = trusted_certificates(settings)

    async def dial(handshake: Handshake) -> Socket:
        try:
            connection = await _StaysHere(
                handshake.url,
                additional_headers=dict(handshake.headers),
                ssl=trusted if handshake.url.startswith("wss:") else None,
                user_agent_header="tickstream",
                open_timeout=timeout_s,
                close_timeout=CLOSE_S,
                ping_interval=None,  # the link pings by itself, and not while it is not reading
                max_size=settings.provider_max_frame_bytes,
                logger=SILENT,
            )
        except InvalidURI:
            raise ConfigurationError("is no WebSocket address: it begins with wss:// or ws://") from None
        except InvalidStatus as error:
            raise _refused(error, now_us()) from None
        except TimeoutError:
            raise LostError("handshake_timeout", f"nothing within {timeout_s:g} s") from None
        except ssl.SSLError as error:
            raise LostError("tls", str(error.reason or error)) from None
        except (OSError, EOFError) as error:
            raise LostError("unreachable", str(error) or type(error).__name__) from None
        except (WebSocketException, ValueError) as error:
            raise LostError("protocol", str(error)) from None
        return WebSocket(connection)

    return dial


def _lost(error: ConnectionClosed) -> LostError:
    if (error.sent is not None and error.sent.code == TOO_BIG) or isinstance(error.__cause__, PayloadTooBig):
        return LostError("too_big", "a message is longer than PROVIDER_MAX_FRAME_BYTES")
    return LostError("closed", str(error))


def _refused(error: InvalidStatus, now_us: int) -> Exception:
    status = error.response.status_code
    wait_s = retry_after_s(error.response.headers.get("Retry-After"), now_us)
    if status in (401, 403, 451):
        return RefusedError(status)
    if status == 429:
        return LostError("rate_limited", "HTTP 429", wait_s)
    if 300 <= status < 400:
        return LostError("redirect", f"HTTP {status}", wait_s)
    return LostError("http_status", f"HTTP {status}", wait_s)


async def within(seconds: float, action: Awaitable[object], reason: str) -> None:
    """Waits for the action; raises LostError with the reason where that takes longer."""
    try:
        async with asyncio.timeout(seconds):
            await action
    except TimeoutError:
        raise LostError(reason, f"nothing within {seconds:g} s") from None
