"""Providers and streams over REST: what the producer says, orders, and what is answered when it is away."""

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api.errors import KafkaUnavailable, ProducerUnavailable, install_error_handlers
from api.metrics import ApiMetrics
from api.middleware import RequestMiddleware
from api.producer import OrderWriter, ProducerClient
from api.routes import streams
from schemas.producer_state import ProducerState, ProviderState, StreamState
from schemas.settings import KafkaSettings
from schemas.stream_orders import StreamOrder

NOW = datetime(2026, 1, 5, 14, 31, tzinfo=UTC)
FINAGE = ProviderState(
    name="finage",
    about="quotes of US stocks, no trades",
    kind="websocket",
    gives=["quotes"],
    needs=["FINAGE_SOCKET_KEY", "FINAGE_URL"],
    configured=False,
    proven=False,
    limits=None,
    in_use=False,
    priority=None,
    connections=0,
    health=None,
    following=None,
    received=0,
    published=0,
    refused=0,
    last_message=None,
    disconnects={},
    reconnects=0,
    budget=None,
)


class FakeProducer:
    """A producer that obeys orders at once, or never, or is away."""

    def __init__(self, *, obeys: bool = True, away: bool = False) -> None:
        self.stopped: set[str] = set()
        self.orders: list[StreamOrder] = []
        self._obeys = obeys
        self._away = away

    def state(self) -> ProducerState:
        return ProducerState(
            at=NOW,
            providers=[FINAGE],
            streams=[
                StreamState(
                    symbol=symbol,
                    status="stopped" if symbol in self.stopped else "running",
                    stopped_since=NOW if symbol in self.stopped else None,
                    source="simulator",
                    trades=3,
                    quotes=5,
                    last_event=NOW,
                )
                for symbol in ("AAPL", "BRK.B")
            ],
        )

    def answer(self, request: httpx.Request) -> httpx.Response:
        assert request.url == "http://producer:9100/state"
        if self._away:
            raise httpx.ConnectError("nobody there")
        return httpx.Response(200, content=self.state().model_dump_json())

    async def write(self, order: StreamOrder) -> None:
        self.orders.append(order)
        if self._obeys:
            (self.stopped.add if order.stopped else self.stopped.discard)(order.symbol)


def ask(method: str, path: str, producer: FakeProducer, *, kafka: bool = True) -> httpx.Response:
    """One request to the routes over that producer."""
    app = FastAPI()
    install_error_handlers(app)
    app.add_middleware(RequestMiddleware, metrics=ApiMetrics())
    app.include_router(streams.router)

    async def run() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.MockTransport(producer.answer)) as http:
            app.state.services = SimpleNamespace(
                producer=ProducerClient(http, "http://producer:9100/metrics"),
                orders=producer,
                configured=("AAPL", "MSFT"),
                live=SimpleNamespace(continuity=SimpleNamespace(connected=kafka)),
            )
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
                return await client.request(method, path)

    return asyncio.run(run())


def error(answer: httpx.Response) -> tuple[int, Any]:
    return answer.status_code, answer.json()["error"]["code"]


def test_providers_and_streams_are_what_the_producer_says() -> None:
    """Field by field."""
    producer = FakeProducer()
    answer = ask("GET", "/api/v1/providers", producer).json()
    assert answer == {"at": "2026-01-05T14:31:00Z", "providers": [FINAGE.model_dump(mode="json")]}
    listed = ask("GET", "/api/v1/streams", producer).json()["streams"]
    assert [(one["symbol"], one["status"], one["trades"]) for one in listed] == [
        ("AAPL", "running", 3),
        ("BRK.B", "running", 3),
    ]


def test_a_stop_is_kept_and_answered_when_it_is_obeyed() -> None:
    """In any spelling; and so is a start."""
    producer = FakeProducer()
    answer = ask("POST", "/api/v1/streams/brk-b/stop", producer)
    assert (answer.status_code, answer.json()) == (
        200,
        {"symbol": "BRK.B", "ordered": "stopped", "obeyed": True},
    )
    answer = ask("POST", "/api/v1/streams/BRK.B/start", producer)
    assert (answer.status_code, answer.json()["ordered"]) == (200, "running")
    assert producer.orders == [
        StreamOrder(symbol="BRK.B", stopped=True),
        StreamOrder(symbol="BRK.B", stopped=False),
    ]


def test_an_order_that_nobody_obeys_yet_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """202: a producer that is slow, or away, finds it when it comes."""
    monkeypatch.setattr("api.producer.OBEYED_SECONDS", 0.05)
    for producer in (FakeProducer(obeys=False), FakeProducer(away=True)):
        answer = ask("POST", "/api/v1/streams/AAPL/stop", producer)
        assert (answer.status_code, answer.json()["obeyed"]) == (202, False)
        assert len(producer.orders) == 1


def test_a_stream_that_there_is_not_cannot_be_stopped() -> None:
    """What the producer produces counts; where it is away, what is configured."""
    for symbol, producer in (
        ("MSFT", FakeProducer()),  # configured here, not there
        ("BRK.B", FakeProducer(away=True)),
        ("no%20symbol", FakeProducer()),
    ):
        assert error(ask("POST", f"/api/v1/streams/{symbol}/stop", producer)) == (404, "unknown_stream")
        assert not producer.orders


def test_without_the_producer_or_kafka_the_answer_says_so() -> None:
    """503 with Retry-After, and no order that would be lost."""
    for path in ("/api/v1/providers", "/api/v1/streams"):
        answer = ask("GET", path, FakeProducer(away=True))
        assert error(answer) == (503, "producer_unavailable")
        assert "PRODUCER_METRICS_URL" in answer.json()["error"]["message"]
        assert answer.headers["Retry-After"] == "2"
    producer = FakeProducer()
    answer = ask("POST", "/api/v1/streams/AAPL/stop", producer, kafka=False)
    assert (error(answer), producer.orders) == ((503, "kafka_unavailable"), [])


@pytest.mark.parametrize(
    "answer", [httpx.Response(404), httpx.Response(200, content=b"{}"), httpx.Response(503)]
)
def test_whatever_else_answers_there_is_no_producer(answer: httpx.Response) -> None:
    """An address of something else is a setting to put right, not a fault."""

    async def run() -> None:
        transport = httpx.MockTransport(lambda _: answer)
        async with httpx.AsyncClient(transport=transport) as http:
            await ProducerClient(http, "http://127.0.0.1:1/metrics").state()

    with pytest.raises(ProducerUnavailable):
        asyncio.run(run())


def test_an_order_without_kafka_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a bounded time, and with the reason."""
    monkeypatch.setattr("api.producer.ORDER_SECONDS", 0.2)
    writer = OrderWriter(KafkaSettings(kafka_bootstrap_servers="127.0.0.1:1"))
    with pytest.raises(KafkaUnavailable):
        asyncio.run(writer.write(StreamOrder(symbol="AAPL", stopped=True)))
