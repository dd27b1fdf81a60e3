"""A way to a server that can be shut: what goes through is cut off, and nobody gets in until it is opened."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from docker.local.settings import HOST
from tests.support.ports import free_ports

CHUNK = 64 * 1024


class Gate:
    """Listens on ``port`` of loopback for a server on another."""

    def __init__(self, server: int) -> None:
        self._server = server
        [self.port] = free_ports(1)
        self._lock = threading.Lock()
        self._passing: list[socket.socket] = []
        self._listening: socket.socket | None = None

    def open(self) -> None:
        listening = socket.create_server((HOST, self.port))
        self._listening = listening
        threading.Thread(target=self._let_in, args=(listening,), daemon=True).start()

    def shut(self) -> None:
        with self._lock:
            passing, self._passing = self._passing, []
            listening, self._listening = self._listening, None
        for each in (listening, *passing):
            if each is not None:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
                each.close()

    def _let_in(self, listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listening.accept()
                server = socket.create_connection((HOST, self._server))
                with self._lock:
                    self._passing += [client, server]
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=_pass, args=(source, sink), daemon=True).start()


def _pass(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(CHUNK):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_RDWR)


@contextmanager
def gate_to(server: int) -> Iterator[Gate]:
    """An open one, until the block ends."""
    gate = Gate(server)
    gate.open()
    try:
        yield gate
    finally:
        gate.shut()
