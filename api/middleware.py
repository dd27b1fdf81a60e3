"""Around every request: its id, its line in the log, its metrics, and the answer to what nobody foresaw."""

import re
import time
import uuid

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import error_response
from api.metrics import ApiMetrics
from schemas.tracing import identify_request

log = structlog.get_logger()
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
ANSWERS = ("http.response.start", "websocket.http.response.start")
"""How an answer begins: to a request, and to a WebSocket that is refused."""
MOST_PATH = 500
"""Characters of a path that go into a line."""
PROBES = frozenset({"/health", "/ready", "/metrics"})
"""Asked for every few seconds: logged at DEBUG only."""


class RequestMiddleware:
    """Plain ASGI: it has to see the answer's start without holding up its body."""

    def __init__(self, app: ASGIApp, metrics: ApiMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope).get("x-request-id"))
        scope.setdefault("state", {})["request_id"] = request_id
        started = time.perf_counter()
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] in ANSWERS:
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        if scope["type"] == "websocket":
            with structlog.contextvars.bound_contextvars(request_id=request_id):
                await self._app(scope, receive, send_with_id)
            return

        with structlog.contextvars.bound_contextvars(request_id=request_id, **identify_request(request_id)):
            try:
                await self._app(scope, receive, send_with_id)
            except Exception:
                log.exception("request_failed", method=scope["method"], path=scope["path"][:MOST_PATH])
                if status:  # half an answer is out: only the connection's end can tell that it is not whole
                    raise
                answer = error_response(500, "internal", "a fault of ours: the log has it", request_id)
                await answer(scope, receive, send_with_id)
            finally:
                self._record(scope, status, time.perf_counter() - started)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        # Templates, never paths: every path that somebody makes up would be a time series of its own.
        route = getattr(scope.get("route"), "path_format", "unmatched")
        self._metrics.answered(scope["method"], route, status, seconds)
        write = log.debug if route in PROBES else log.info
        write(
            "request",
            method=scope["method"],
            path=scope["path"][:MOST_PATH],
            status=status,
            ms=round(seconds * 1e3, 1),
        )


class HeadOfGet:
    """Plain ASGI: answers HEAD with what GET would begin with (RFC 9110, 9.3.2), for every address.

    The server itself leaves the body out. Of a file, none of which is needed, no more is read than its
    first part."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        asked = {**scope, "method": "GET"}

        async def send_head(message: Message) -> None:
            if message.get("more_body"):
                raise _HeadIsOut
            await send(message)

        try:
            await self._app(asked, receive, send_head)
        except _HeadIsOut:
            await send({"type": "http.response.body", "body": b""})
        finally:
            if "route" in asked:
                scope["route"] = asked["route"]  # for the metrics


class _HeadIsOut(Exception):
    """Whoever answers need not go on."""


def _request_id(given: str | None) -> str:
    """The client's id where it is one that can stand in a log, else a new one."""
    return given if given is not None and REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
