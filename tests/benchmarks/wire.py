"""Clients that cost little, so that a bench on the machine of the server measures the server."""

import asyncio
import base64
import contextlib
import os
import struct
from collections.abc import Callable
from typing import cast
from urllib.parse import urlsplit

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


class HttpConnection:
    """One kept-alive HTTP/1.1 connection; one request at a time."""

    def __init__(self, url: str, key: str = "") -> None:
        self._address = urlsplit(url)
        self._key = f"X-API-Key: {key}\r\n" if key else ""
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, path: str) -> tuple[int, bytes]:
        """Status and body; raises OSError, EOFError where the connection breaks off. One that the server has
        closed because it was idle is opened again."""
        if self._streams is not None:
            with contextlib.suppress(OSError, EOFError):
                return await self._ask(path)
        return await self._ask(path)

    async def _ask(self, path: str) -> tuple[int, bytes]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._address.hostname, self._address.port)
        reader, writer = self._streams
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {self._address.netloc}\r\n{self._key}\r\n".encode())
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = head.partition(b"content-length:")[2].split(b"\r\n", 1)[0]
            return int(head[9:12]), await reader.readexactly(int(length))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """The next request opens a new one."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


class SocketClient(asyncio.Protocol):
    """A WebSocket client that sends a few messages and counts what it gets."""

    def __init__(self, host: str, path: str, first: bytes, take: Callable[[bytes], None], key: str) -> None:
        """``first`` is sent after the handshake; ``take`` gets each text message."""
        self._host = host
        self._path = path
        self._first = first
        self._take = take
        self._key = f"X-API-Key: {key}\r\n" if key else ""
        self._buffer = bytearray()
        self._open = False
        self._transport: asyncio.Transport
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        nonce = base64.b64encode(os.urandom(16)).decode()
        self._transport.write(
            f"GET {self._path} HTTP/1.1\r\nHost: {self._host}\r\nUpgrade: websocket\r\n{self._key}"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {nonce}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._open:
            head, end, rest = self._buffer.partition(b"\r\n\r\n")
            if not end:
                return
            if b" 101 " not in head[:20]:
                self._end(head.split(b"\r\n", 1)[0].decode())
                return
            self._open, self._buffer = True, rest
            self._send(TEXT, self._first)
        self._frames()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(repr(exc) if exc else "closed")

    def close(self) -> None:
        """Leaves without a word."""
        self._transport.close()

    def _frames(self) -> None:
        buffer, at = self._buffer, 0
        while len(buffer) - at >= 2:
            kind, length, head = buffer[at] & 15, buffer[at + 1] & 127, 2
            if length >= 126:
                head = 4 if length == 126 else 10
                if len(buffer) - at < head:
                    break
                (length,) = struct.unpack_from(">H" if head == 4 else ">Q", buffer, at + 2)
            end = at + head + length
            if len(buffer) < end:
                break
            if kind == TEXT:
                self._take(bytes(buffer[at + head : end]))
            elif kind == PING:
                self._send(PONG, bytes(buffer[at + head : end]))
            elif kind == CLOSE:
                self._end(bytes(buffer[at + head + 2 : end]).decode(errors="replace"))
            at = end
        del buffer[:at]

    def _send(self, kind: int, payload: bytes) -> None:
        length = len(payload)
        size = bytes([128 | length]) if length < 126 else bytes([254]) + struct.pack(">H", length)
        # Masked with zeros: the mask protects proxies, of which there are none.
        self._transport.write(bytes([128 | kind]) + size + bytes(4) + payload)

    def _end(self, why: str) -> None:
        if not self.ended.done():
            self.ended.set_result(why)
