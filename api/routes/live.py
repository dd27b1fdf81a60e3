"""The WebSocket, and its shortcuts: addresses that subscribe by themselves."""

from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, Request, WebSocket
from pydantic import ValidationError

from api.errors import NothingThere, UpgradeRequired, refuse_handshake
from api.live.protocol import Channel, ProtocolError, Subscribe, describe_problem
from api.live.server import LiveServer

router = APIRouter()


async def live_server(socket: WebSocket) -> LiveServer:
    return cast(LiveServer, socket.app.state.services.live)


LiveDep = Annotated[LiveServer, Depends(live_server)]


@router.websocket("/ws")
async def everything(socket: WebSocket, live: LiveDep) -> None:
    """Nothing is subscribed to yet, whatever parameters a client adds."""
    await live.serve(socket)


@router.websocket("/ws/trades/{symbol:path}")
async def trades(socket: WebSocket, symbol: str, live: LiveDep) -> None:
    """Trades and corrections of a symbol."""
    await live.serve(socket, lambda: _subscribe(socket, "trades", symbols=(symbol,)))


@router.websocket("/ws/quotes/{symbol:path}")
async def quotes(socket: WebSocket, symbol: str, live: LiveDep) -> None:
    """Quotes of a symbol."""
    await live.serve(socket, lambda: _subscribe(socket, "quotes", symbols=(symbol,)))


@router.websocket("/ws/candles/{symbol:path}")
async def candles(socket: WebSocket, symbol: str, live: LiveDep) -> None:
    """Bars of a symbol: ``?interval=1m,5m``."""
    await live.serve(socket, lambda: _subscribe(socket, "candles", "interval", symbols=(symbol,)))


@router.websocket("/ws/alerts")
async def alerts(socket: WebSocket, live: LiveDep) -> None:
    """Every alert."""
    await live.serve(socket, lambda: _subscribe(socket, "alerts"))


@router.websocket("/{path:path}")
async def nothing(socket: WebSocket, path: str) -> None:
    """No WebSocket is here."""
    await refuse_handshake(socket, NothingThere(f"/{path}"))


@router.get("/ws", include_in_schema=False)
@router.get("/ws/{path:path}", include_in_schema=False)
async def not_by_http(request: Request) -> None:
    """Somebody looks at the address of a WebSocket with a browser or curl."""
    raise UpgradeRequired(request.url.path)


def _subscribe(socket: WebSocket, channel: Channel, *names: str, **fields: Any) -> Subscribe:
    """What an address asks for, with parameters of these names; raises ProtocolError."""
    for name in socket.query_params:
        if name not in names:
            raise ProtocolError("invalid_message", f"{name}: there is no such parameter here")
    if intervals := socket.query_params.getlist("interval"):
        fields["intervals"] = ",".join(intervals).split(",")
    try:
        return Subscribe(channels=(channel,), **fields)
    except ValidationError as error:
        raise ProtocolError(*describe_problem(error)) from None
