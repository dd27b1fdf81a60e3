"""A provider on loopback: a real WebSocket server, with TLS where wanted, that speaks as each provider does,
replays frames, and behaves badly on demand."""

import asyncio
import json
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self

import trustme
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from producer.providers.socket import SILENT
from tests.support.provider_frames import KEYS

START_S = 10.0
UNSUBSCRIBE = {"unsubscribe", "UNSUBSCRIBE"}


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What the server does with one connection.

    ``status`` with ``headers``: an HTTP answer instead of a WebSocket. ``refuse_key``: says so in the
    provider's own way. ``refuse``: symbols, as the provider calls them, not served. ``frames`` are
    sent after the first subscription. ``half``: then half a frame, and the line is cut; ``close``: then it
    closes; ``deaf``: it reads nothing more, so that pings are not answered. ``echo``: sends the key back in a
    broken message."""

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    refuse_key: bool = False
    refuse: tuple[str, ...] = ()
    frames: Sequence[bytes] = ()
    half: bool = False
    close: bool = False
    deaf: bool = False
    echo: bool = False


@dataclass(slots=True)
class Seen:
    """What one connection has received."""

    path: str
    messages: list[dict[str, Any]] = field(default_factory=list)
    subscribed: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Dialogue:
    """How a provider speaks. ``subscribed``: symbols that a message asks for; ``answer``: to a message."""

    greeting: Callable[[Behaviour], list[Any]]
    subscribed: Callable[[dict[str, Any]], set[str]]
    answer: Callable[[dict[str, Any], Behaviour], list[Any]]


def _coinbase_answer(message: dict[str, Any], behaviour: Behaviour) -> list[Any]:
    bad = [name for name in message["product_ids"] if name in behaviour.refuse]
    if bad:
        reason = f"{bad[0]} is not a valid product"
        return [{"type": "error", "message": "Failed to subscribe", "reason": reason}]
    channels = [{"name": name, "product_ids": message["product_ids"]} for name in message["channels"]]
    return [{"type": "subscriptions", "channels": channels}]


def _finnhub_answer(message: dict[str, Any], behaviour: Behaviour) -> list[Any]:
    if behaviour.refuse_key:
        return [{"type": "error", "msg": "Invalid API key"}]
    if message["symbol"] in behaviour.refuse:
        return [{"type": "error", "msg": f"Subscribing to symbol {message['symbol']} is not allowed"}]
    return []


def _polygon_answer(message: dict[str, Any], behaviour: Behaviour) -> list[Any]:
    def status(name: str, text: str) -> dict[str, str]:
        return {"ev": "status", "status": name, "message": text}

    if message["action"] == "auth":
        good = not behaviour.refuse_key and message["params"] == KEYS["polygon_api_key"]
        return [[status("auth_success", "authenticated") if good else status("auth_failed", "wrong key")]]
    channels = message["params"].split(",")
    return [
        [
            status("not_authorized", f"you are not authorized to access {channel}")
            if channel.split(".", 1)[1] in behaviour.refuse
            else status("success", f"subscribed to: {channel}")
            for channel in channels
        ]
    ]


def _finage_greeting(behaviour: Behaviour) -> list[Any]:
    if behaviour.refuse_key:
        return [{"status_code": 401, "message": "Unauthorized"}]
    return [{"status_code": 200, "message": "Connecting"}, {"status_code": 200, "message": "Authorized"}]


DIALOGUES: Mapping[str, Dialogue] = {
    "binance": Dialogue(
        lambda _: [],
        lambda message: {stream.split("@")[0].upper() for stream in message["params"]},
        lambda message, _: [{"result": None, "id": message["id"]}],
    ),
    "coinbase": Dialogue(lambda _: [], lambda message: set(message["product_ids"]), _coinbase_answer),
    "finnhub": Dialogue(lambda _: [], lambda message: {message["symbol"]}, _finnhub_answer),
    "polygon": Dialogue(
        lambda _: [[{"ev": "status", "status": "connected", "message": "Connected Successfully"}]],
        lambda message: (
            {channel.split(".", 1)[1] for channel in message["params"].split(",")}
            if message["action"] == "subscribe"
            else set()
        ),
        _polygon_answer,
    ),
    "finage": Dialogue(
        _finage_greeting, lambda message: set(message["symbols"].split(",")), lambda *_: []
    ),
}  # fmt: skip


class FakeProvider:
    """The server, on a thread of its own. Connection ``n`` gets ``behaviours[n]``, later ones the last."""

    def __init__(self, name: str, *behaviours: Behaviour, tls: ssl.SSLContext | None = None) -> None:
        self._dialogue = DIALOGUES[name]
        self._behaviours = behaviours or (Behaviour(),)
        self._tls = tls
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.attempts = 0
        self.seen: list[Seen] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"{'ws' if self._tls is None else 'wss'}://127.0.0.1:{self.port}/stream"

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(START_S):
            raise RuntimeError("the fake provider does not start")
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(START_S)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        server: Server
        async with serve(
            self._attend, "127.0.0.1", 0, ssl=self._tls, process_request=self._greet, ping_interval=None,
            close_timeout=0.2, max_size=None, logger=SILENT,
        ) as server:  # fmt: skip
            self.port = next(iter(server.sockets)).getsockname()[1]
            self._ready.set()
            await self._stop.wait()

    def _greet(self, connection: ServerConnection, _: Request) -> Response | None:
        number = min(self.attempts, len(self._behaviours) - 1)
        self.attempts += 1
        behaviour = self._behaviours[number]
        connection.behaviour = behaviour  # type: ignore[attr-defined]
        if not behaviour.status:
            return None
        phrase = HTTPStatus(behaviour.status).phrase
        headers = Headers({"Content-Length": "0", "Connection": "close"} | dict(behaviour.headers))
        return Response(behaviour.status, phrase, headers)

    async def _attend(self, connection: ServerConnection) -> None:
        behaviour: Behaviour = connection.behaviour  # type: ignore[attr-defined]
        assert connection.request is not None
        seen = Seen(connection.request.path)
        self.seen.append(seen)
        try:
            for message in self._dialogue.greeting(behaviour):
                await connection.send(json.dumps(message))
            async for text in connection:
                message = json.loads(text)
                seen.messages.append(message)
                if message.get("type", message.get("action", message.get("method"))) in UNSUBSCRIBE:
                    verb = {"action": "subscribe"} if "action" in message else {}
                    seen.subscribed -= self._dialogue.subscribed({**message, **verb})
                    continue
                asked = self._dialogue.subscribed(message)
                for answer in self._dialogue.answer(message, behaviour):
                    await connection.send(json.dumps(answer))
                if asked and not seen.subscribed:
                    await self._misbehave(connection, behaviour)
                seen.subscribed |= asked
        except ConnectionClosed:
            pass

    async def _misbehave(self, connection: ServerConnection, behaviour: Behaviour) -> None:
        for frame in behaviour.frames:
            await connection.send(frame, text=True)
        if behaviour.echo:
            for key in KEYS.values():
                await connection.send(f'{{"type":"error","msg":"bad token {key}","status_code":500')
        if behaviour.half:
            connection.transport.write(b"\x81\x7e\x03\xe8half a frame")
            await asyncio.sleep(0.05)
            connection.transport.abort()
        if behaviour.deaf:
            connection.transport.pause_reading()
        if behaviour.close:
            await connection.close(1011, "no more " + KEYS["finnhub_api_key"])


def make_certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A certificate for 127.0.0.1 that nobody trusts: the server's context, and the file to trust it by."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trusted = folder / "authority.pem"
    authority.cert_pem.write_to_path(str(trusted))
    return context, trusted
