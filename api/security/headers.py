"""Headers of every answer, whatever it is."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.middleware import ANSWERS

STRICT = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (
        b"content-security-policy",
        b"default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none';"
        b" frame-ancestors 'none'",
    ),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (
        b"permissions-policy",
        b"camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
)
OVER_TLS = (*STRICT, (b"strict-transport-security", b"max-age=31536000"))
"""Said over TLS only: heard once, a browser takes plain HTTP from this host no more, on any port."""


class SecurityHeaders:
    """Plain ASGI, the outermost: adds what the answer does not have yet."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        wanted = OVER_TLS if scope["scheme"] in ("https", "wss") else STRICT

        async def send_with_headers(message: Message) -> None:
            if message["type"] in ANSWERS:
                headers = [*message["headers"]]
                given = {name.lower() for name, _ in headers}
                headers.extend(header for header in wanted if header[0] not in given)
                message["headers"] = headers
            await send(message)

        await self._app(scope, receive, send_with_headers)
