"""Providers that trade: real WebSocket servers that show one and the same market, and can be taken away."""

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

from tests.support.ports import free_ports

EVERY_S = 0.1
"""Time between two trades."""

Speak = Callable[[str, int, int], Any]
"""(symbol, number of the trade, its time in ms) -> the provider's frame."""


def polygon(symbol: str, number: int, at_ms: int) -> Any:
    return [{"ev": "T", "sym": symbol, "x": 4, "i": str(number), "z": 3, "p": 100.0 + number % 7, "s": 1,
             "t": at_ms, "q": number, "pt": at_ms}]  # fmt: skip


def finnhub(symbol: str, number: int, at_ms: int) -> Any:
    return {"type": "trade", "data": [{"s": symbol, "p": 100.0 + number % 7, "t": at_ms, "v": 1, "c": None}]}


class TradingProvider:
    """A provider that sends a trade of ``symbol`` every EVERY_S while it runs; ``start`` again after ``stop``
    is the same address."""

    def __init__(self, speak: Speak, symbol: str) -> None:
        self._speak = speak
        self._symbol = symbol
        [self._port] = free_ports(1)
        self._server: Server | None = None
        self._thread: threading.Thread | None = None
        self.sent: list[tuple[int, int]] = []
        """(number, time in ms) of each trade that was sent."""

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self._port}"

    def start(self) -> None:
        self._server = serve(self._attend, "127.0.0.1", self._port)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Cuts every connection, and listens no more."""
        server, self._server = self._server, None
        if server is not None and self._thread is not None:
            server.shutdown()
            self._thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _attend(self, connection: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            if self._speak is polygon:
                for status in ("connected", "auth_success"):
                    connection.send(json.dumps([{"ev": "status", "status": status, "message": status}]))
                connection.recv()
            connection.recv()
            while self._server is not None:
                at_ms = time.time_ns() // 1_000_000
                connection.send(json.dumps(self._speak(self._symbol, at_ms // 10, at_ms)))
                self.sent.append((at_ms // 10, at_ms))
                time.sleep(EVERY_S)
            connection.socket.close()
