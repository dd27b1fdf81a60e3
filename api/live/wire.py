"""The short way of finished frames to a client: from the hub to its transport, in one call.

ASGI's own takes 40 us for each message, most of it the same work for every client of an event: the frame is
made anew, and passed on through starlette and uvicorn. Here it is made once, for all of them.
"""

import asyncio
from typing import Any, Protocol, cast

from starlette.websockets import WebSocket, WebSocketDisconnect
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State

EXTENSION = "tickstream.wire"
"""Where a WebSocket's scope has its wire."""


def text_frame(text: str) -> bytes:
    """The frame of a text, as a server sends it (RFC 6455, 5.2): not masked."""
    return Frame(Opcode.TEXT, text.encode()).serialize(mask=False)


class Wire(Protocol):
    """Sends finished frames to one client."""

    def write(self, frame: bytes) -> bool:
        """Sends a frame unless the client is behind or gone; whether it did."""

    async def drained(self) -> None:
        """Until ``write`` would send again. Raises WebSocketDisconnect where it never will."""


def wire_of(socket: WebSocket) -> Wire:
    """The wire of an accepted connection."""
    return cast(Wire, socket.scope["extensions"][EXTENSION])


class _TransportWire:
    """The connection's transport; it takes what the system does not until its buffer is full."""

    __slots__ = ("_connection", "_transport", "_writable")

    def __init__(self, protocol: WebSocketsSansIOProtocol) -> None:
        self._connection = protocol.conn
        self._transport = protocol.transport
        self._writable: asyncio.Event = protocol.writable

    def write(self, frame: bytes) -> bool:
        if not self._writable.is_set() or self._is_over():
            return False
        self._transport.write(frame)
        return True

    async def drained(self) -> None:
        await self._writable.wait()
        if self._is_over():
            raise WebSocketDisconnect(1006)

    def _is_over(self) -> bool:
        return self._connection.state is not State.OPEN or self._transport.is_closing()


class WireProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSockets with a ``Wire`` in their scope. Its frames are not compressed, whether the client
    has agreed to that or not (RFC 7692, 6)."""

    scope: Any

    async def send(self, message: Any) -> None:
        """What the application says."""
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            # Refused with an answer of ours. uvicorn would log an error, as if there had been none.
            self.handshake_complete = True

    def handle_connect(self, event: Request) -> None:
        """A handshake has come."""
        super().handle_connect(event)
        if not self.handshake_complete:  # it was not refused
            self.scope["extensions"][EXTENSION] = _TransportWire(self)
