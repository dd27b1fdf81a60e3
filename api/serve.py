"""Serves the application until SIGTERM or SIGINT."""

import gc
import logging
import signal
import socket
import sys

import structlog
import uvicorn

from api.http_protocol import BoundedHttpProtocol
from api.live.wire import WireProtocol
from api.main import create_app
from api.settings import ApiSettings
from schemas.errors import ConfigurationError
from schemas.logs import configure_logging
from schemas.settings import load_settings

log = structlog.get_logger()
SHUTDOWN_SECONDS = 5
"""How long answers under way may take after the signal."""
HARD_MESSAGE_BYTES = 2 * 1024 * 1024
"""A WebSocket message above this ends the connection; from WS_MAX_MESSAGE_BYTES on it gets an answer."""
SEND_BUFFER_BYTES = 256 * 1024
"""What the system holds for one connection that the other side has not taken."""
SWITCH_SECONDS = 0.0005
"""How long one thread may hold the interpreter while another waits for it. Writing to a socket gives it away,
and with Python's 5 ms an answer would wait for the feed's thread after each."""
NOISY = ("cassandra.cluster", "cassandra.pool", "cassandra.connection")
"""Loggers of the driver that write a stack trace for each failed reconnect; database.py says it once."""


def serve() -> int:
    """Runs the server; returns the exit code. Raises ConfigurationError where a setting, a certificate or the
    address is no good."""
    settings = load_settings(ApiSettings)
    configure_logging(settings, "api")
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    sys.setswitchinterval(SWITCH_SECONDS)
    config = server_config(settings)
    server = uvicorn.Server(config)
    # Modules and wiring live as long as the process. Looking through them for garbage takes 60 ms each time,
    # in which nobody is answered.
    gc.collect()
    gc.freeze()
    # So does, with a thousand clients, looking through what has become old: 300 ms, every ten seconds. Most
    # of it is freed without that, so it is done a hundred times as seldom.
    youngest, young, _ = gc.get_threshold()
    gc.set_threshold(youngest, young, 1000)
    listener = listen_on(settings.api_host, settings.api_port)
    # Connections inherit it. The system's own limit grows to megabytes: many seconds of the market, stale
    # before a slow client reads them, and no longer ours to skip.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    # uvicorn shuts down in order and then raises the signal once more, for whoever listened before: us.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    scheme = "https" if settings.api_tls_cert else "http"
    log.info("api_starting", address=f"{scheme}://{settings.api_host}:{settings.api_port}")
    server.run([listener])
    return 0 if server.started else 1


def listen_on(host: str, port: int) -> socket.socket:
    """A socket for connections to this address; raises ConfigurationError where it cannot be had."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        why = str(error.strerror).partition(" (while")[0]  # Python adds the address to what the system says
        raise ConfigurationError(
            f"API_HOST {host} and API_PORT {port} cannot be used: {why}; end what listens there, or choose"
            " another"
        ) from error


def server_config(settings: ApiSettings) -> uvicorn.Config:
    """How uvicorn runs the application; raises ConfigurationError where a certificate cannot be used."""
    config = uvicorn.Config(
        create_app(settings),
        host=settings.api_host,
        port=settings.api_port,
        http=BoundedHttpProtocol,
        ws=WireProtocol,
        loop="uvloop",
        log_config=None,
        log_level="warning",
        access_log=False,  # the middleware writes a structured line
        server_header=False,
        # By default uvicorn believes whatever X-Forwarded-For loopback sends.
        proxy_headers=bool(settings.api_trusted_proxies),
        forwarded_allow_ips=list(settings.api_trusted_proxies),
        ssl_certfile=settings.api_tls_cert or None,
        ssl_keyfile=settings.api_tls_key or None,
        ws_max_size=HARD_MESSAGE_BYTES,
        ws_per_message_deflate=False,  # frames are made once for all clients: see api/live/wire.py
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    try:
        config.load()
    except OSError as error:  # ssl.SSLError is one
        raise ConfigurationError(
            f"API_TLS_CERT {settings.api_tls_cert} and API_TLS_KEY {settings.api_tls_key} cannot be used:"
            f" {error}; both must be readable PEM files that belong together"
        ) from error
    return config
