"""The WebSocket, and its shortcuts: addresses that subscribe by themselves."""

from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, WebSocket
from pydantic import ValidationError

from api.live.protocol import Channel, ProtocolError, Subscribe, describe_problem
from api.live.server import LiveServer

router = APIRouter()


async def live_server(socket: WebSocket) -> LiveServer:
    return cast(LiveServer, socket.app.state.services.live)


LiveDep = Annotated[LiveServer, Depends(live_server)]


@router.websocket("/ws")
async def everything(socket: WebSocket, live: LiveDep) -> None:
    """Nothing is subscribed to yet."""
    await live.serve(socket)


@router.websocket("/ws/trades/{symbol:path}")
async def trades(socket: WebSocket, symbol: str, live: LiveDep) -> None:
    """Trades and corrections of a symbol."""
    await live.serve(socket, lambda: _subscribe("trades", symbols=(symbol,)))


@router.websocket("/ws/quotes/{symbol:path}")
async def quotes(socket: WebSocket, symbol: str, live: LiveDep) -> None:
    """Quotes of a symbol."""
    await live.serve(socket, lambda: _subscribe("quotes", symbols=(symbol,)))


@router.websocket("/ws/candles/{symbol:path}")
async def candles(socket: WebSocket, symbol: str, live: LiveDep) -> None:
    """Bars of a symbol: ``?interval=1m,5m``."""
    intervals = socket.query_params.get("interval", "1m").split(",")
    await live.serve(socket, lambda: _subscribe("candles", symbols=(symbol,), intervals=intervals))


@router.websocket("/ws/alerts")
async def alerts(socket: WebSocket, live: LiveDep) -> None:
    """Every alert."""
    await live.serve(socket, lambda: _subscribe("alerts"))


def _subscribe(channel: Channel, **fields: Any) -> Subscribe:
    try:
        return Subscribe(channels=(channel,), **fields)
    except ValidationError as error:
        raise ProtocolError(*describe_problem(error)) from None
