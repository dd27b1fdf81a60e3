"""HTTP for people and programs that look at the producer: metrics, and its state as JSON. It is read only."""

import socket
import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

from producer.metrics import ProducerMetrics
from schemas.errors import ConfigurationError
from schemas.producer_state import STATE_PATH

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

JSON = ("Content-Type", "application/json")


class MetricsServer:
    """Serves ``/metrics``, and STATE_PATH once there is a ``state``, until it is closed."""

    def __init__(self, metrics: ProducerMetrics, host: str, port: int) -> None:
        """Raises ConfigurationError where the address cannot be had."""
        self.state: Callable[[], bytes] | None = None
        """The state as JSON; called on threads of the server."""
        self._metrics = make_wsgi_app(metrics.registry)
        try:
            _Server.address_family = socket.getaddrinfo(host, port)[0][0]
            self._server = make_server(host, port, self._answer, _Server, _Silent)
        except OSError as error:
            raise ConfigurationError(
                f"cannot serve metrics on {host}:{port} ({error.strerror}): is another producer running?"
                f" set PRODUCER_METRICS_PORT or PRODUCER_METRICS_HOST"
            ) from error
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, request: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        if request["PATH_INFO"] != STATE_PATH:
            return self._metrics(request, start)
        if request["REQUEST_METHOD"] != "GET":
            start("405 Method Not Allowed", [("Allow", "GET")])
            return [b""]
        if self.state is None:
            start("503 Service Unavailable", [JSON])
            return [b'{"detail": "the producer waits for its servers"}']
        body = self.state()
        start("200 OK", [JSON])
        return [body]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing: it would be a line for each look."""
