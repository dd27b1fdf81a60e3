"""The guard: before anything else looks at a request or a WebSocket's handshake, who asks and how often."""

from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from api.errors import (
    ApiError,
    Forbidden,
    InvalidKey,
    KeyNeeded,
    PayloadTooLarge,
    RateLimited,
    UriTooLong,
    error_response,
    refuse_handshake,
)
from api.metrics import SecurityMetrics
from api.security import audit
from api.security.access import READ_METHODS, cost, needed_scope
from api.security.callers import Caller, address_of, credentials, is_local
from api.security.keys import ApiKey
from api.security.rates import Allowance, Rates
from api.security.settings import SecuritySettings
from api.security.verifier import KeyVerifier


class Guard:
    """Plain ASGI. What it lets pass has ``state["caller"]``; what it turns away gets an error in the one
    shape.

    The verifier is that of the running application, ``app.state.keys``: it exists as long as the storage's
    session does.
    """

    def __init__(
        self, app: ASGIApp, settings: SecuritySettings, rates: Rates, metrics: SecurityMetrics
    ) -> None:
        self._app = app
        self._settings = settings
        self._loopback = settings.loopback
        self._rates = rates
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        method: str = scope.get("method", "GET")
        try:
            self._check_size(scope, headers)
            caller = await self._identify(scope, headers, method)
            allowance = self._count(caller, scope["path"])
        except ApiError as error:
            await self._refuse(error, method, scope, receive, send)
            return
        scope["state"]["caller"] = caller
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return
        status = 0
        extra = _raw(allowance.headers) if allowance else []

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *extra]
            await send(message)

        try:
            await self._app(scope, self._bounded(headers, receive), send_on)
        finally:
            if method not in READ_METHODS:
                audit.write(method, scope["path"], caller, status or 500)

    def _check_size(self, scope: Scope, headers: Headers) -> None:
        size = len(scope.get("raw_path") or scope["path"]) + len(scope["query_string"])
        if size > self._settings.api_max_url_bytes:
            raise UriTooLong(self._settings.api_max_url_bytes)
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > self._settings.api_max_body_bytes:
            raise PayloadTooLarge(self._settings.api_max_body_bytes)

    async def _identify(self, scope: Scope, headers: Headers, method: str) -> Caller:
        """Who asks; raises ApiError where that is nobody who may."""
        needed = needed_scope(method, scope["path"])
        if needed not in (None, "read") and not _is_taken(scope):
            needed = "read"  # nothing will be written: the routes answer that there is no such thing
        local = is_local(scope, headers, self._loopback)
        address = address_of(scope)
        if needed is None:
            return Caller(address, None, local)
        text = credentials(headers, websocket=scope["type"] == "websocket")
        if text is None:
            if local and needed == "read" and self._settings.api_keyless_reads:
                return Caller(address, None, local)
            raise KeyNeeded(needed)
        key = await self._verify(scope["app"].state.keys, text, address)
        scope["state"]["key_id"] = key.key_id
        if not key.may(needed):
            raise Forbidden(key.key_id, needed)
        return Caller(address, key, local)

    async def _verify(self, keys: KeyVerifier, text: str, address: str) -> ApiKey:
        key = keys.cached(text)
        if key is not None:
            return key
        # Before the storage is asked: made-up keys must not become queries without end. Somebody else's, from
        # behind the same address, keep out nobody whose key was good before.
        left = self._rates.failures.look(address)
        if left is not None and not left.allowed and not keys.was_good(text):
            why = f"{left.limit} keys from this address were not valid, so no other is looked at"
            raise RateLimited(why, left.reset_seconds, left.headers)
        try:
            return await keys.verify(text)
        except InvalidKey:
            self._rates.failures.hit(address)
            raise

    def _count(self, caller: Caller, path: str) -> Allowance | None:
        """What the caller has left; raises RateLimited where that is nothing."""
        costs = cost(path)
        if caller.key is not None:
            left = self._rates.key.hit("key", caller.key.key_id, cost=costs)
        elif caller.local:
            left = self._rates.local.hit("local", caller.address, cost=costs)
        else:
            left = self._rates.address.hit("address", caller.address, cost=costs)
        if left is not None and not left.allowed:
            why = f"this counts as {costs}, and {left.remaining} of {left.limit} are left"
            raise RateLimited(why, left.reset_seconds, left.headers)
        return left

    def _bounded(self, headers: Headers, receive: Receive) -> Receive:
        """A body that does not say how long it is, counted as it comes."""
        if "transfer-encoding" not in headers:
            return receive
        most = self._settings.api_max_body_bytes
        size = 0

        async def receive_bounded() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > most:
                # FastAPI turns any other exception while it reads a body into a 400.
                error = PayloadTooLarge(most)
                raise HTTPException(error.status, str(error))
            return message

        return receive_bounded

    async def _refuse(self, error: ApiError, method: str, scope: Scope, receive: Receive, send: Send) -> None:
        self._metrics.refused.labels(error.code).inc()
        kind = "WEBSOCKET" if scope["type"] == "websocket" else method
        audit.refusal(kind, scope["path"], address_of(scope), scope["state"].get("key_id"), error.code)
        if scope["type"] == "websocket":
            await refuse_handshake(WebSocket(scope, receive, send), error)
            return
        answer = error_response(
            error.status, error.code, str(error), scope["state"]["request_id"], error.headers
        )
        await answer(scope, receive, send)


def _is_taken(scope: Scope) -> bool:
    """Whether there is a route for this method and path."""
    return any(route.matches(scope)[0] is Match.FULL for route in scope["app"].routes)


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]
