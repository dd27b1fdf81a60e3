"""What the server holds of a request whose head does not end, over real connections."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from api.http_protocol import HEAD_BYTES, TOO_LONG, BoundedHttpProtocol

GET = b"GET / HTTP/1.1\r\nHost: here\r\n"
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def app(_: Scope, receive: Receive, send: Send) -> None:
    """Answers with how many bytes the body had."""
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    body = b"%d" % size
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def connected() -> AsyncIterator[Connection]:
    """A connection to a server of this process."""
    config = uvicorn.Config(app, lifespan="off", log_config=None)
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: BoundedHttpProtocol(config, state, {}), "127.0.0.1", 0
    )
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        yield reader, writer
        writer.close()


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
    return int(head[9:12]), await reader.readexactly(length)


def run(talk: Callable[[Connection], Awaitable[None]]) -> None:
    async def within() -> None:
        async with asyncio.timeout(20), connected() as connection:
            await talk(connection)

    asyncio.run(within())


@pytest.mark.parametrize("start", [GET + b"X-Long: ", b"GET /", GET], ids=["header", "path", "many headers"])
def test_a_head_without_an_end_is_refused_and_the_connection_closed(
    start: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Not held until memory is full."""
    piece = b"X-One: 1\r\n" * 100 if start == GET else b"a" * 1_000

    async def talk(connection: Connection) -> None:
        reader, writer = connection
        writer.write(start)
        for _ in range(HEAD_BYTES // len(piece)):
            writer.write(piece)
            await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(piece)
        assert await answer(reader) == (400, TOO_LONG.encode())
        assert await reader.read() == b""

    with caplog.at_level(logging.CRITICAL):
        run(talk)


def test_bodies_and_further_requests_do_not_count_as_head() -> None:
    """However much one connection brings."""
    size = HEAD_BYTES

    async def talk(connection: Connection) -> None:
        reader, writer = connection
        for _ in range(3):
            writer.write(b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: %d\r\n\r\n" % size + b"b" * size)
            assert await answer(reader) == (200, b"%d" % size)
        writer.write((GET + b"X-Some: " + b"s" * 1_000 + b"\r\n\r\n") * 100)
        for _ in range(100):
            assert await answer(reader) == (200, b"0")

    run(talk)
