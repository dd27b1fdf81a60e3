"""Traces of requests, and the ids by which logs, answers and traces are found from each other."""

import asyncio
from collections.abc import MutableMapping
from typing import Any, NamedTuple

import httpx
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from api.main import create_app
from tests.support.collector import Collector, SeenSpan, running_collector
from tests.unit.api.test_app import NOWHERE

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Answered(NamedTuple):
    """What came of a request: its answer, the lines that were logged for it, and the spans."""

    response: httpx.Response
    lines: list[MutableMapping[str, Any]]
    spans: dict[str, SeenSpan]


def get(path: str, collector: Collector | None, **headers: str) -> Answered:
    """One GET of an API that reaches no server; with a collector, tracing is on for every request."""
    changes = {"tracing_otlp_endpoint": collector.endpoint if collector else "", "tracing_request_ratio": 1.0}

    async def run() -> httpx.Response:
        app = create_app(NOWHERE.model_copy(update=changes))
        transport = httpx.ASGITransport(app, client=("127.0.0.1", 1))
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://api") as client,
        ):
            return await client.get(path, headers=headers)

    with capture_logs(processors=[merge_contextvars]) as lines:
        response = asyncio.run(run())
    ours = [line for line in lines if line.get("request_id") == response.headers["x-request-id"]]
    return Answered(response, ours, {span.name: span for span in (collector.spans if collector else ())})


def test_a_request_follows_the_trace_that_it_names() -> None:
    """Its span hangs on the caller's, the query to Cassandra on its own, and the ids are on everything."""
    with running_collector() as collector:
        answered = get(
            "/api/v1/alerts",
            collector,
            traceparent=f"00-{TRACE}-{PARENT}-01",
            **{"X-Request-ID": "r-1"},
        )
    request = answered.spans["GET /api/v1/alerts"]
    query = next(span for name, span in answered.spans.items() if name.startswith("cassandra "))
    assert (request.trace_id, request.parent_id) == (TRACE, PARENT)
    assert request.attributes["tickstream.request_id"] == "r-1"
    assert request.attributes["http.response.status_code"] == 503
    ancestors = {span.span_id: span.parent_id for span in answered.spans.values()}
    above = query.parent_id
    while above != request.span_id:
        above = ancestors[above]
    assert (query.trace_id, query.failed) == (TRACE, True)
    assert query.attributes["db.system.name"] == "cassandra"
    assert answered.response.json()["error"]["request_id"] == "r-1"
    assert {line["trace_id"] for line in answered.lines} == {TRACE}


def test_what_the_caller_does_not_trace_is_not_traced() -> None:
    """The decision is made once, by who began."""
    with running_collector() as collector:
        answered = get("/api/v1/alerts", collector, traceparent=f"00-{TRACE}-{PARENT}-00")
    assert answered.spans == {}


def test_probes_are_not_traced() -> None:
    """They come every few seconds."""
    with running_collector() as collector:
        assert get("/health", collector).spans == {}


def test_every_line_about_a_request_has_its_id() -> None:
    """That about a query that failed, too."""
    answered = get("/api/v1/alerts", None, **{"X-Request-ID": "r-2"})
    assert answered.response.status_code == 503
    said = [line["event"] for line in answered.lines if line["event"] != "cassandra_unavailable"]
    assert said == ["query_failed", "request"]
    assert all("trace_id" not in line for line in answered.lines)
