"""A provider's REST API on loopback: a real HTTP server, with TLS where wanted, that answers as each provider
does, and behaves badly on demand."""

import asyncio
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.support.provider_answers import good_answer

START_S = 10.0


@dataclass(frozen=True, slots=True)
class Reply:
    """How the server answers one request.

    ``body``: None: what the provider says when all is well; bytes as they are, all else as JSON. ``half``:
    the line is cut in its middle; ``silent``: at once, without a word; ``after_s``: it takes so long."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    half: bool = False
    silent: bool = False
    after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that came, at ``at_us`` by the clock of the server."""

    at_us: int
    path: str
    query: dict[str, str]
    headers: dict[str, str]


class FakeRest:
    """The server, in the event loop in which it is entered. Request ``n`` gets ``replies[n]``, later ones the
    last."""

    def __init__(
        self,
        name: str,
        now_us: Callable[[], int],
        *replies: Reply | Callable[[Asked], Reply],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._name = name
        self._now_us = now_us
        self._replies = replies or (Reply(),)
        self._tls = tls
        self.asked: list[Asked] = []
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._attend, "127.0.0.1", 0, ssl=self._tls)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"{'http' if self._tls is None else 'https'}://127.0.0.1:{port}/api"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._answer(await reader.readuntil(b"\r\n\r\n"), writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client has gone, or the test is over
        finally:
            writer.close()

    async def _answer(self, head: bytes, writer: asyncio.StreamWriter) -> None:
        first, *lines = head.decode().split("\r\n")
        address = urlsplit(first.split(" ")[1])
        headers = dict(line.lower().split(": ", 1) for line in lines if line)
        asked = Asked(self._now_us(), unquote(address.path), dict(parse_qsl(address.query)), headers)
        reply = self._replies[min(len(self.asked), len(self._replies) - 1)]
        reply = reply if isinstance(reply, Reply) else reply(asked)
        self.asked.append(asked)
        if reply.after_s:
            await asyncio.sleep(reply.after_s)
        if reply.silent:
            return
        body = self._body(reply, asked)
        said = {"Content-Length": str(len(body)), "Connection": "close"} | dict(reply.headers)
        text = f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}\r\n"
        text += "".join(f"{name}: {value}\r\n" for name, value in said.items())
        writer.write(text.encode() + b"\r\n" + body[: len(body) // 2 if reply.half else None])
        await writer.drain()

    def _body(self, reply: Reply, asked: Asked) -> bytes:
        if isinstance(reply.body, bytes):
            return reply.body
        if reply.body is None and reply.status == 200:
            return json.dumps(good_answer(self._name, asked.path, asked.query, asked.at_us)).encode()
        return b"" if reply.body is None else json.dumps(reply.body).encode()


@contextmanager
def rest_server(name: str, *replies: Reply | Callable[[Asked], Reply]) -> Iterator[FakeRest]:
    """A server on a thread of its own, for clients in real time."""
    server = FakeRest(name, lambda: time.time_ns() // 1000, *replies)
    loop, ready, stop = asyncio.new_event_loop(), threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with server:
            ready.set()
            await stop.wait()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    if not ready.wait(START_S):
        raise RuntimeError("the fake provider does not start")
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(START_S)
