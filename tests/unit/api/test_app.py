"""The application without any server behind it: ids, errors, documents, metrics."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from structlog.testing import capture_logs

from api import metrics
from api.main import create_app
from api.settings import ApiSettings

NOWHERE = ApiSettings(
    cassandra_port=1,
    kafka_bootstrap_servers="127.0.0.1:1",
    schema_registry_url="http://127.0.0.1:1",
    flink_rest_url="http://127.0.0.1:1",
    producer_metrics_url="http://127.0.0.1:1/metrics",
    symbols=("AAPL", "MSFT"),
    ready_timeout_seconds=0.5,
    api_query_timeout_seconds=0.5,
)
Client = httpx.AsyncClient
STATISTICS = tuple(f"/api/v1/stats/{of}" for of in ("latency", "kafka", "cache", "streaming", "summary"))
PRODUCER = ("/api/v1/providers", "/api/v1/streams")
ORDERS = tuple(f"/api/v1/streams/{{symbol}}/{order}" for order in ("stop", "start"))
FIFTY_ONE = ",".join(map(str, range(51)))


def with_client(
    use: Callable[[Client], Awaitable[Any]], prepare: Callable[[FastAPI], None] | None = None
) -> Any:
    """The result of ``use`` with a client of an application that reaches no server."""

    async def run() -> Any:
        app = create_app(NOWHERE)
        if prepare:
            prepare(app)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with (
            app.router.lifespan_context(app),
            Client(transport=transport, base_url="http://api") as client,
        ):
            return await use(client)

    return asyncio.run(run())


def get(path: str, **headers: str) -> httpx.Response:
    """One GET of ``path``."""
    response: httpx.Response = with_client(lambda client: client.get(path, headers=headers))
    return response


def test_health_needs_no_server() -> None:
    """The process is alive, whatever else is not."""
    response = get("/health")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


def test_ready_names_every_part_and_why_it_is_not() -> None:
    """503, with a reason for each of the seven parts."""
    response = get("/ready")
    body = response.json()
    assert response.status_code == 503
    assert body["ready"] is False
    assert set(body["parts"]) == {
        "kafka",
        "registry",
        "cassandra",
        "bars",
        "store",
        "producer",
        "freshness",
    }
    assert not any(part["ready"] for part in body["parts"].values())
    assert (
        "127.0.0.1:1" in body["parts"]["kafka"]["reason"] or "no answer" in body["parts"]["kafka"]["reason"]
    )
    assert body["parts"]["registry"]["reason"].startswith("ConnectError")
    assert "storage does not answer" in body["parts"]["cassandra"]["reason"]


def test_without_storage_the_answer_says_when_to_try_again() -> None:
    """503 storage_unavailable with Retry-After, for known and for unknown symbols and for the list."""
    for path in (
        "/api/v1/candles/AAPL",
        "/api/v1/trades/NOPE",
        "/api/v1/symbols",
        "/api/v1/indicators/AAPL",
        "/api/v1/alerts",
        "/api/v1/gaps?symbol=AAPL",
        "/api/v1/corrections/AAPL",
        "/api/v1/candles/AAPL?provider=yahoo",
        "/api/v1/providers/yahoo/comparison?symbol=AAPL",
        "/api/v1/quotes/AAPL",
        "/api/v1/quotes?symbols=AAPL,MSFT",
    ):
        response = get(path)
        error = response.json()["error"]
        assert (response.status_code, error["code"]) == (503, "storage_unavailable"), path
        assert response.headers["Retry-After"] == "2"


def test_streams_are_stopped_with_an_admin_key_only() -> None:
    """Reading from this machine needs no key; this is no reading."""

    async def use(client: Client) -> list[httpx.Response]:
        return [await client.post(f"/api/v1/streams/AAPL/{order}") for order in ("stop", "start")]

    for answer in with_client(use):
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "key_needed")


@pytest.mark.parametrize(
    ("path", "status", "code", "says"),
    [
        ("/nope", 404, "not_found", "there is nothing at /nope"),
        ("/api/v1/candles/no%20symbol", 404, "unknown_symbol", "no symbol 'no symbol'"),
        ("/api/v1/candles/AAPL?limit=0", 422, "invalid_parameter", "limit: '0': input should be greater"),
        ("/api/v1/candles/AAPL?limit=1001", 422, "invalid_parameter", "limit: '1001': input should be less"),
        ("/api/v1/trades/AAPL?limit=many", 422, "invalid_parameter", "limit: 'many': input should be"),
        ("/api/v1/candles/AAPL?interval=7m", 422, "invalid_parameter", "interval: unknown interval '7m'"),
        ("/api/v1/trades/AAPL?interval=1m", 422, "invalid_parameter", "interval: there is no such parameter"),
        ("/api/v1/candles/AAPL?from=today", 422, "invalid_parameter", "from: 'today' is not a time"),
        ("/api/v1/trades/AAPL?to=1723204800", 422, "invalid_parameter", "to: 1723204800 is no time in milli"),
        ("/api/v1/trades/AAPL?from=5000000000000&to=0", 422, "invalid_parameter", "from must be before to"),
        ("/api/v1/candles/AAPL?cursor=abc", 422, "invalid_parameter", "cursor: give next_cursor"),
        ("/api/v1/trades/AAPL?cursor=WzVd", 422, "invalid_parameter", "cursor: give next_cursor"),
        ("/api/v1/candles/AAPL?include=all", 422, "invalid_parameter", "include: 'all': input should be"),
        ("/api/v1/candles/AAPL?names=sma_20", 422, "invalid_parameter", "names: there is no such parameter"),
        ("/api/v1/indicators/AAPL?interval=7m", 422, "invalid_parameter", "interval: unknown interval '7m'"),
        (f"/api/v1/indicators/AAPL?names={FIFTY_ONE}", 422, "invalid_parameter", "names: "),
        ("/api/v1/alerts?severity=urgent", 422, "invalid_parameter",
         "severity: 'urgent': use one or several of low, medium, high, critical"),
        ("/api/v1/alerts?severity=low,HIGH", 422, "invalid_parameter", "severity: 'HIGH': use one"),
        ("/api/v1/alerts?status=open", 422, "invalid_parameter",
         "status: 'open': use one or several of raised, resolved, retracted"),
        ("/api/v1/alerts?symbol=no%20symbol", 404, "unknown_symbol", "no symbol 'no symbol'"),
        ("/api/v1/alerts?cursor=WzVd", 422, "invalid_parameter", "cursor: give next_cursor"),
        ("/api/v1/alerts?from=2024-08-09&to=2024-08-09", 422, "invalid_parameter", "from must be before to"),
        ("/api/v1/gaps", 422, "invalid_parameter", "symbol: "),
        ("/api/v1/gaps?symbol=no%20symbol", 404, "unknown_symbol", "no symbol 'no symbol'"),
        ("/api/v1/corrections/no%20symbol", 404, "unknown_symbol", "no symbol 'no symbol'"),
        ("/api/v1/corrections/AAPL?cursor=WzVd", 422, "invalid_parameter", "cursor: give next_cursor"),
        ("/api/v1/gaps?symbol=AAPL&cursor=WzVd", 422, "invalid_parameter", "cursor: give next_cursor"),
        ("/api/v1/candles/AAPL?provider=YAHOO!", 422, "invalid_parameter", "provider: 'YAHOO!'"),
        ("/api/v1/indicators/AAPL?provider=yahoo&as_of=2024-08-09", 422, "invalid_parameter", "as_of: only"),
        ("/api/v1/providers/yahoo/comparison", 422, "invalid_parameter", "symbol: "),
        ("/api/v1/providers/ya%20hoo/comparison?symbol=AAPL", 422, "invalid_parameter", "name: 'ya hoo'"),
        ("/api/v1/providers/yahoo/comparison?symbol=no%20symbol", 404, "unknown_symbol", "no symbol"),
        ("/api/v1/providers/yahoo/comparison?symbol=AAPL&day=x", 422, "invalid_parameter", "day: 'x' is"),
        ("/api/v1/quotes", 422, "invalid_parameter", "symbols: "),
        ("/api/v1/quotes?symbols=,", 422, "invalid_parameter", "symbols: "),
        ("/api/v1/quotes?symbols=AAPL,no%20symbol", 404, "unknown_symbol", "no symbol 'no symbol'"),
        ("/api/v1/quotes/AAPL,MSFT", 404, "unknown_symbol", "no symbol 'AAPL,MSFT'"),
    ],
)  # fmt: skip
def test_every_refusal_has_the_one_shape_and_says_what_to_do(
    path: str, status: int, code: str, says: str
) -> None:
    """Status, stable code, a message that names the parameter, and the request id."""
    response = get(path, **{"X-Request-ID": "test-1"})
    body = response.json()
    assert (response.status_code, body["error"]["code"]) == (status, code)
    assert body["error"]["message"].startswith(says)
    assert body == {"error": {"code": code, "message": body["error"]["message"], "request_id": "test-1"}}


def test_a_method_that_a_path_does_not_take_is_405_with_those_it_does() -> None:
    """The same shape, and Allow."""
    response = with_client(lambda client: client.post("/api/v1/symbols"))
    assert (response.status_code, response.json()["error"]["code"]) == (405, "method_not_allowed")
    assert response.headers["Allow"] == "GET"


@pytest.mark.parametrize("path", ["/health", "/", "/docs", "/metrics", "/api/v1/nope"])
def test_head_is_answered_as_get_begins(path: str) -> None:
    """Status, type and length, and the same line in the metrics; the server leaves the body out."""

    async def use(client: Client) -> tuple[httpx.Response, httpx.Response, str]:
        head, whole = await client.head(path), await client.get(path)
        return head, whole, (await client.get("/metrics")).text

    head, whole, counted = with_client(use)
    assert head.status_code == whole.status_code
    assert head.headers["Content-Type"] == whole.headers["Content-Type"]
    if path != "/metrics":  # which grows
        assert head.headers["Content-Length"] == whole.headers["Content-Length"]
    route = path if head.status_code == 200 else "unmatched"
    assert f'method="HEAD",route="{route}",status="{head.status_code}"' in counted


def test_head_of_what_comes_in_parts_reads_no_further_than_the_first() -> None:
    """Nobody wants the rest of a file; what made it is told that nobody does."""
    made: list[int] = []
    ended: list[bool] = []

    async def parts() -> AsyncIterator[bytes]:
        try:
            for number in range(1000):
                made.append(number)
                yield b"x" * 1000
        finally:
            ended.append(True)

    def prepare(app: FastAPI) -> None:
        @app.get("/parts")
        async def in_parts() -> StreamingResponse:
            return StreamingResponse(parts(), headers={"X-Row-Limit": "7"})

    head = with_client(lambda client: client.head("/parts"), prepare)
    assert (head.status_code, head.headers["X-Row-Limit"], head.content) == (200, "7", b"")
    assert len(made) == 1


def test_a_websocket_is_no_page() -> None:
    """426, and what it is."""
    for path in ("/ws", "/ws/trades/AAPL"):
        response = get(path)
        assert (response.status_code, response.json()["error"]["code"]) == (426, "upgrade_required")
        assert response.headers["Upgrade"] == "websocket"
        assert response.json()["error"]["message"].startswith(f"{path} is a WebSocket")


@pytest.mark.parametrize("given", ["", "a" * 65, "two words", 'x"y', "line\tbreak"])
def test_a_request_id_that_could_not_stand_in_a_log_is_replaced(given: str) -> None:
    """A new id, 32 hexadecimal digits, in place of the client's."""
    request_id = get("/health", **{"X-Request-ID": given}).headers["X-Request-ID"]
    assert len(request_id) == 32
    assert int(request_id, 16) >= 0


def test_a_request_id_reaches_answer_and_log() -> None:
    """One line for a request, with the id of its answer; probes are quiet."""
    with capture_logs(processors=[]) as logs:
        response = get("/api/v1/trades/AAPL?limit=0", **{"X-Request-ID": "abc-1"})
    assert response.headers["X-Request-ID"] == "abc-1"
    lines = [entry for entry in logs if entry["event"] == "request"]
    assert [(line["path"], line["status"], line["log_level"]) for line in lines] == [
        ("/api/v1/trades/AAPL", 422, "info")
    ]
    with capture_logs() as logs:
        get("/health")
    assert [entry["log_level"] for entry in logs if entry["event"] == "request"] == ["debug"]


def test_a_fault_of_ours_is_a_500_that_shows_nothing_of_the_inside() -> None:
    """The shape of all errors; the trace is in the log only."""

    def broken(app: FastAPI) -> None:
        @app.get("/broken")
        async def route() -> None:
            raise RuntimeError("secret detail")

    with capture_logs() as logs:
        response = with_client(
            lambda client: client.get("/broken", headers={"X-Request-ID": "abc-2"}), prepare=broken
        )
    assert response.status_code == 500
    assert response.json() == {
        "error": {"code": "internal", "message": "a fault of ours: the log has it", "request_id": "abc-2"}
    }
    assert response.headers["X-Request-ID"] == "abc-2"
    failed = [entry for entry in logs if entry["event"] == "request_failed"]
    assert [(entry["path"], entry["exc_info"]) for entry in failed] == [("/broken", True)]


def test_metrics_count_requests_by_route_template_and_status() -> None:
    """Paths that somebody makes up share one time series."""

    async def use(client: Client) -> str:
        for path in ("/health", "/made/up/1", "/made/up/2", "/api/v1/candles/AAPL?limit=0", "/health"):
            await client.get(path)
        return (await client.get("/metrics")).text

    text = with_client(use)
    counted = {
        line.split(" ")[0].removeprefix("tickstream_api_requests_total"): float(line.split(" ")[1])
        for line in text.splitlines()
        if line.startswith("tickstream_api_requests_total")
    }
    assert counted == {
        '{method="GET",route="/health",status="200"}': 2,
        '{method="GET",route="unmatched",status="404"}': 2,
        '{method="GET",route="/api/v1/candles/{symbol}",status="422"}': 1,
    }


def test_the_list_of_metrics_names_exactly_those_there_are() -> None:
    """api/metrics.py is what an operator reads."""

    text = with_client(lambda client: client.get("/metrics")).text
    ours = {
        line.split(" ")[2]
        for line in text.splitlines()
        if line.startswith("# TYPE tickstream_") and not line.split(" ")[2].endswith("_created")
    }
    listed = {
        word.partition("{")[0] for word in str(metrics.__doc__).split() if word.startswith("tickstream_")
    }
    assert ours == listed


def test_openapi_documents_every_answer_of_every_endpoint() -> None:
    """Success and each error with its schema; the names of the parameters as they are written."""
    paths = get("/openapi.json").json()["paths"]
    assert set(paths) == {
        "/api/v1/symbols",
        "/api/v1/candles/{symbol}",
        "/api/v1/trades/{symbol}",
        "/api/v1/indicators/{symbol}",
        "/api/v1/quotes",
        "/api/v1/quotes/{symbol}",
        "/api/v1/alerts",
        "/api/v1/corrections/{symbol}",
        "/api/v1/gaps",
        "/api/v1/providers/{name}/comparison",
        *PRODUCER,
        *ORDERS,
        "/api/v1/companies/{symbol}",
        "/api/v1/history/{symbol}",
        "/api/v1/market-summary",
        *STATISTICS,
        "/health",
        "/ready",
        "/metrics",
    }
    files = {"/api/v1/candles/{symbol}", "/api/v1/indicators/{symbol}", "/api/v1/trades/{symbol}"}
    for path in files:
        answers = paths[path]["get"]["responses"]
        assert set(answers["200"]["content"]) == {
            "application/json", "text/csv", "application/vnd.apache.parquet",
        }  # fmt: skip
        assert "content" not in answers.pop("304")
    for path in paths.keys() - {"/health", "/ready", "/metrics"}:
        expected = {"200", "401", "403", "414", "422", "429", "500", "503"} | (
            set() if path in {"/api/v1/symbols", *PRODUCER, *STATISTICS} else {"404"}
        )
        if path in ORDERS:
            expected |= {"413"}
            answers = paths[path]["post"]["responses"]
            assert answers.pop("202")["content"]["application/json"]["schema"] == {
                "$ref": "#/components/schemas/StreamOrdered"
            }
            assert paths[path]["post"]["security"] == [{"ApiKey": ["admin"]}]
        else:
            answers = paths[path]["get"]["responses"]
        assert set(answers) == expected
        for status in expected - {"200"}:
            schema = answers[status]["content"]["application/json"]["schema"]
            assert schema == {"$ref": "#/components/schemas/ErrorBody"}
    page = ["from", "to", "limit", "cursor"]
    history = ["symbol", *page, "format"]
    for path, parameters in {
        "/api/v1/candles/{symbol}": [*history, "interval", "as_of", "provider", "fill", "include"],
        "/api/v1/indicators/{symbol}": [*history, "interval", "as_of", "provider", "names"],
        "/api/v1/trades/{symbol}": history,
        "/api/v1/alerts": [*page, "symbol", "type", "severity", "status"],
        "/api/v1/corrections/{symbol}": ["symbol", *page],
        "/api/v1/gaps": [*page, "symbol"],
        "/api/v1/providers/{name}/comparison": ["name", "symbol", "day", "interval"],
        "/api/v1/quotes": ["symbols"],
        "/api/v1/companies/{symbol}": ["symbol"],
        "/api/v1/history/{symbol}": ["symbol", "from", "to", "limit"],
        "/api/v1/quotes/{symbol}": ["symbol"],
    }.items():
        documented = paths[path]["get"]["parameters"]
        assert [parameter["name"] for parameter in documented] == parameters
        assert all(parameter["description"] for parameter in documented)


def test_statistics_say_what_could_not_be_asked() -> None:
    """Without any server: nulls with reasons, and what this process knows by itself."""

    async def use(client: Client) -> dict[str, Any]:
        answers = {}
        for of in STATISTICS:
            response = await client.get(of)
            assert response.status_code == 200, response.text
            answers[of.rpartition("/")[2]] = response.json()
        return answers

    found = with_client(use)
    assert (found["kafka"]["topics"], found["kafka"]["lag"]) == (None, None)
    assert set(found["kafka"]["problems"]) == {"topics", "lag"}
    summary = found["summary"]
    nulls = {name for name, value in summary.items() if value is None}
    assert nulls == {"trades", "bars", "symbols", "alerts", "dead_letters", "error_rate", "lag"}
    assert set(summary["problems"]) == {"trades", "bars", "alerts", "dead_letters", "lag"}
    assert (summary["hours"], summary["clients"]) == (24, 0)
    assert summary["api"]["server_errors"] == 0
    assert found["latency"]["trade_to_api"] is None
    assert found["cache"]["live"] is False
    assert found["cache"]["caches"]["candles"]["requests"] == {}
    assert (found["streaming"]["clients"], found["streaming"]["feed"]["connected"]) == (0, False)


@pytest.mark.parametrize("hours", ["0", "169", "x"])
def test_the_summary_looks_back_a_week_at_most(hours: str) -> None:
    """422 beyond."""
    assert get(f"/api/v1/stats/summary?hours={hours}").status_code == 422


def test_the_market_at_a_glance_needs_the_storage_while_nothing_is_live() -> None:
    """503 for all and for those named; an unknown name, and a parameter that is none."""
    assert get("/api/v1/market-summary").status_code == 503
    assert get("/api/v1/market-summary?symbols=aapl").status_code == 503
    assert get("/api/v1/market-summary?symbols=no%20symbol").status_code == 404
    assert get("/api/v1/market-summary?limit=3").status_code == 422
