"""Providers of market data, and the streams that are made of it: what they are, to stop and to start them."""

import contextlib
from typing import Any

from fastapi import APIRouter, Response

from api.dependencies import Services, ServicesDep, SymbolPath
from api.errors import (
    COMMON_RESPONSES,
    KafkaUnavailable,
    ProducerUnavailable,
    UnknownStream,
    documented,
)
from api.stream_models import Providers, StreamOrdered, Streams
from schemas.stream_orders import StreamOrder
from schemas.symbols import one_spelling
from schemas.validation import SYMBOL

router = APIRouter(prefix="/api/v1", tags=["streams"])
UNAVAILABLE: dict[int | str, dict[str, Any]] = {
    **COMMON_RESPONSES,
    503: documented(
        "The producer does not answer; Retry-After says when to ask",
        ProducerUnavailable("connection refused"),
    ),
}
ORDERS: dict[int | str, dict[str, Any]] = {
    202: {
        "model": StreamOrdered,
        "description": "The order is kept, and the producer has not obeyed yet: it does when it runs",
    },
    404: documented("No such stream", UnknownStream("NOPE")),
    **COMMON_RESPONSES,
    503: documented(
        "Kafka, or the storage of API keys, does not answer",
        KafkaUnavailable("the live feed has no connection"),
    ),
}


@router.get("/providers", responses=UNAVAILABLE)
async def providers(parts: ServicesDep) -> Providers:
    """Every source of market data there is: what it gives and needs, whether it is in use, connected and fit,
    and what has come of it. Counts are since the producer started. Keys are never shown."""
    state = await parts.producer.state()
    return Providers(at=state.at, providers=state.providers)


@router.get("/streams", responses=UNAVAILABLE)
async def streams(parts: ServicesDep) -> Streams:
    """Every symbol that is produced: whether it runs or is stopped, from which source, and how much of it has
    been published since the producer started."""
    state = await parts.producer.state()
    return Streams(at=state.at, streams=state.streams)


@router.post("/streams/{symbol:path}/stop", responses=ORDERS)
async def stop(symbol: SymbolPath, parts: ServicesDep, answer: Response) -> StreamOrdered:
    """No more of this symbol: providers are unsubscribed from, the simulator does not trade it. The time
    until its start is a gap with the reason `stopped`. The order is kept until there is another one, whatever
    is restarted. Needs the scope `admin`, and is in the audit log."""
    return await _order(symbol, parts, answer, stopped=True)


@router.post("/streams/{symbol:path}/start", responses=ORDERS)
async def start(symbol: SymbolPath, parts: ServicesDep, answer: Response) -> StreamOrdered:
    """The symbol is produced again. Needs the scope `admin`, and is in the audit log."""
    return await _order(symbol, parts, answer, stopped=False)


async def _order(symbol: str, parts: Services, answer: Response, *, stopped: bool) -> StreamOrdered:
    """Raises UnknownStream, KafkaUnavailable."""
    order = StreamOrder(symbol=await _stream(symbol, parts), stopped=stopped)
    if not parts.live.continuity.connected:  # an order would wait for nothing
        raise KafkaUnavailable("the live feed has no connection")
    await parts.orders.write(order)
    obeyed = await parts.producer.obeys(order)
    answer.status_code = 200 if obeyed else 202
    return StreamOrdered(symbol=order.symbol, ordered="stopped" if stopped else "running", obeyed=obeyed)


async def _stream(symbol: str, parts: Services) -> str:
    """The name of a stream that there is: of the producer's, or where it does not answer, of SYMBOLS."""
    spellings = [name for name in dict.fromkeys((symbol.upper(), one_spelling(symbol.upper())))
                 if SYMBOL.fullmatch(name)]  # fmt: skip
    if not spellings:
        raise UnknownStream(symbol)
    known = set(parts.configured)
    with contextlib.suppress(ProducerUnavailable):  # what is configured it produces when it runs
        known = {stream.symbol for stream in (await parts.producer.state()).streams}
    for name in spellings:
        if name in known:
            return name
    raise UnknownStream(symbol)
