"""Frames on their short way, over real connections to a real client."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import uvicorn
import uvloop
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect
from uvicorn.server import ServerState
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from api.live.wire import Wire, WireProtocol, text_frame, wire_of


def play(serve: Callable[[WebSocket], Awaitable[None]], scene: Callable[[str], Awaitable[None]]) -> None:
    """Runs a scene with the address of a server of this process."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await serve(WebSocket(scope, receive, send))

    async def run() -> None:
        config = uvicorn.Config(app, lifespan="off", log_config=None, ws_per_message_deflate=False)
        state = ServerState()
        server = await asyncio.get_running_loop().create_server(
            lambda: WireProtocol(config, state, {}), "127.0.0.1", 0
        )
        async with asyncio.timeout(30), server:
            host, port = server.sockets[0].getsockname()
            await scene(f"ws://{host}:{port}")

    uvloop.run(run())


async def written(wire: Wire, frame: bytes) -> int:
    """Writes one frame until no more is taken; how many were."""
    count = 0
    while wire.write(frame):
        count += 1
        await asyncio.sleep(0)
    return count


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_a_frame_is_what_a_client_reads(size: int) -> None:
    """Whatever its length, in characters that take two bytes."""
    text = "é" * (size // 2) + "a" * (size % 2)

    async def serve(socket: WebSocket) -> None:
        await socket.accept()
        assert wire_of(socket).write(text_frame(text))
        await socket.close()

    async def scene(address: str) -> None:
        async with connect(address) as client:
            assert await client.recv() == text

    play(serve, scene)


def test_who_does_not_read_is_written_no_more_until_he_does() -> None:
    """And everything that was taken arrives, in its order."""
    counts: list[int] = []

    async def serve(socket: WebSocket) -> None:
        await socket.accept()
        wire = wire_of(socket)
        counts.append(await written(wire, text_frame("x" * 10_000)))
        await wire.drained()
        assert wire.write(text_frame("after"))
        await socket.close()

    async def scene(address: str) -> None:
        async with connect(address, max_queue=1) as client:
            await until(lambda: bool(counts))
            heard = [message async for message in client]
        assert len(heard) == counts[0] + 1
        assert set(heard[:-1]) == {"x" * 10_000}
        assert heard[-1] == "after"

    play(serve, scene)


async def leaves(client: ClientConnection) -> None:
    await client.close()


async def breaks_off(client: ClientConnection) -> None:
    client.transport.abort()


@pytest.mark.parametrize("go", [leaves, breaks_off])
def test_nothing_is_written_to_who_is_gone(go: Callable[[ClientConnection], Awaitable[None]]) -> None:
    """Whoever waits learns of it."""
    outcomes: list[object] = []

    async def serve(socket: WebSocket) -> None:
        await socket.accept()
        wire = wire_of(socket)
        while wire.write(text_frame("here")):
            await asyncio.sleep(0.01)
        try:
            await wire.drained()
        except WebSocketDisconnect:
            outcomes.append("gone")

    async def scene(address: str) -> None:
        async with connect(address) as client:
            await client.recv()
            await go(client)
            await until(lambda: bool(outcomes))
        assert outcomes == ["gone"]

    play(serve, scene)


def test_a_refused_handshake_has_no_wire() -> None:
    """It is answered as uvicorn does."""

    async def serve(socket: WebSocket) -> None:
        await socket.close()

    async def scene(address: str) -> None:
        with pytest.raises(InvalidStatus):
            async with connect(address):
                pass

    play(serve, scene)


def test_a_refusal_with_an_answer_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    """uvicorn would log one for every visitor who has no key."""

    async def serve(socket: WebSocket) -> None:
        await socket.send_denial_response(PlainTextResponse("no", 401))

    async def scene(address: str) -> None:
        with pytest.raises(InvalidStatus) as refused:
            async with connect(address):
                pass
        assert (refused.value.response.status_code, refused.value.response.body) == (401, b"no")
        await asyncio.sleep(0.05)

    play(serve, scene)
    assert caplog.records == []


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)
