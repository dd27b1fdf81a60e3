"""The whole application behind its guard, without any server: who gets in, how often, with what headers."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from structlog.testing import capture_logs

from api.errors import InvalidKey, StorageUnavailable
from api.main import create_app
from api.security.keys import ApiKey, digest, id_of, new_key
from api.settings import ApiSettings

NOWHERE = {
    "cassandra_port": 1,
    "kafka_bootstrap_servers": "127.0.0.1:1",
    "schema_registry_url": "http://127.0.0.1:1",
    "flink_rest_url": "http://127.0.0.1:1",
    "producer_metrics_url": "http://127.0.0.1:1/metrics",
    "symbols": ("AAPL",),
    "ready_timeout_seconds": 0.2,
    "api_query_timeout_seconds": 0.2,
}
LOCAL = ("127.0.0.1", 50000)
REMOTE = ("203.0.113.7", 50000)
PROTECTED = "/api/v1/candles/no%20symbol"
"""Answers 404 without asking the storage, to whoever may ask."""
Use = Callable[[httpx.AsyncClient], Awaitable[Any]]


class Keys:
    """A verifier that knows some keys."""

    def __init__(self) -> None:
        self.texts: dict[str, ApiKey] = {}
        self.looked_up: list[str] = []
        self.away = False
        self.good_before: set[str] = set()

    def add(self, *scopes: str) -> str:
        key_id, text = new_key()
        self.texts[text] = ApiKey(key_id, digest(text), "tests", frozenset(scopes), 0)
        return text

    def cached(self, _: str) -> ApiKey | None:
        return None

    async def verify(self, text: str) -> ApiKey:
        self.looked_up.append(text)
        if self.away:
            raise StorageUnavailable("gone")
        if text not in self.texts:
            raise InvalidKey("there is no such API key")
        return self.texts[text]

    def was_good(self, text: str) -> bool:
        return text in self.good_before

    async def is_active(self, _: str) -> bool:
        return True


KEYS = Keys()
READ, ALERTS, ADMIN = KEYS.add("read"), KEYS.add("alerts"), KEYS.add("admin")


def run(
    use: Use, client: tuple[str, int] = REMOTE, host: str = "api.example", keys: Keys = KEYS, **changes: Any
) -> Any:
    """The result of ``use`` with a client at an address."""

    async def scene() -> Any:
        app = create_app(ApiSettings(**{**NOWHERE, **changes}))
        add_routes(app)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=client)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as http,
        ):
            app.state.keys = keys
            return await use(http)

    return asyncio.run(scene())


def add_routes(app: FastAPI) -> None:
    """What can be written, until there is more of it."""

    @app.post("/api/v1/alert-rules/test")
    async def rule(request: Request) -> int:
        return len(await request.body())

    @app.post("/api/v1/other")
    async def other() -> str:
        return "done"


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def outcome(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


def get(path: str = PROTECTED, headers: dict[str, str] | None = None, **where: Any) -> httpx.Response:
    response: httpx.Response = run(lambda http: http.get(path, headers=headers or {}), **where)
    return response


def test_reading_from_this_machine_needs_no_key() -> None:
    """Any name of it will do; a setting asks for keys there, too."""
    assert outcome(get(client=LOCAL, host="127.0.0.1:8000")) == (404, "unknown_symbol")
    assert outcome(get(client=LOCAL, host="evil.example")) == (401, "key_needed")
    assert outcome(get(client=LOCAL, host="localhost", api_keyless_reads=False)) == (401, "key_needed")


def test_no_forwarding_header_opens_anything() -> None:
    """Neither to a remote client nor through a proxy on loopback."""
    forged = {"X-Forwarded-For": "127.0.0.1", "Host": "localhost"}
    assert outcome(get(headers=forged)) == (401, "key_needed")
    assert outcome(get(headers=forged, client=LOCAL)) == (401, "key_needed")


def test_a_refusal_says_how_to_get_in() -> None:
    """In the one shape of all errors, with the id that the request gave."""
    response = get(headers={"X-Request-ID": "test-7"})
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="tickstream"'
    assert response.json() == {
        "error": {
            "code": "key_needed",
            "message": "this needs an API key with scope read: send `Authorization: Bearer ts_...`;"
            " `python -m api keys create NAME --scopes read`, where the API runs, makes one",
            "request_id": "test-7",
        }
    }


@pytest.mark.parametrize("path", ["/health", "/ready", "/docs", "/docs/start.js", "/openapi.json"])
def test_what_shows_nothing_of_the_market_needs_no_key(path: str) -> None:
    """Probes and documentation."""
    assert get(path).status_code == (503 if path == "/ready" else 200)


@pytest.mark.parametrize("path", ["/metrics", "/made/up", "/api/v1/symbols", "/docs2", "/redoc"])
def test_all_else_does(path: str) -> None:
    """What there is not, too: nobody finds out what there is."""
    assert outcome(get(path)) == (401, "key_needed")


def test_a_key_opens_what_its_scopes_allow() -> None:
    """Reading, writing alerts, and all else; what no route takes is not a question of scopes."""

    async def use(http: httpx.AsyncClient) -> list[tuple[int, ...]]:
        async def codes(key: str) -> tuple[int, ...]:
            answers = [
                await http.get(PROTECTED, headers=bearer(key)),
                await http.post("/api/v1/alert-rules/test", headers=bearer(key)),
                await http.post("/api/v1/other", headers=bearer(key)),
                await http.post("/api/v1/symbols", headers=bearer(key)),
            ]
            return tuple(answer.status_code for answer in answers)

        return [await codes(key) for key in (READ, ALERTS, ADMIN)]

    assert run(use) == [(404, 403, 403, 405), (403, 200, 403, 403), (404, 200, 200, 405)]


def test_writing_needs_a_key_on_this_machine_too() -> None:
    """Any page in a browser can post to loopback."""

    async def use(http: httpx.AsyncClient) -> list[tuple[int, str]]:
        return [outcome(await http.post(path)) for path in ("/api/v1/alert-rules/test", "/api/v1/symbols")]

    assert run(use, client=LOCAL, host="localhost") == [(401, "key_needed"), (405, "method_not_allowed")]


def test_a_bad_key_is_refused_even_where_none_is_needed() -> None:
    """Whoever sends one means it; and without storage nobody knows whether it is good."""
    assert outcome(get(headers=bearer("nonsense"), client=LOCAL, host="localhost")) == (401, "invalid_key")
    away = Keys()
    away.away = True
    response = get(headers=bearer(new_key()[1]), keys=away)
    assert outcome(response) == (503, "storage_unavailable")
    assert response.headers["Retry-After"] == "2"


def test_made_up_keys_are_looked_up_so_often_and_no_more() -> None:
    """Further ones get 429; another address is not affected, nor is a request without a key."""
    keys = Keys()

    async def use(http: httpx.AsyncClient) -> list[httpx.Response]:
        return [await http.get(PROTECTED, headers=bearer(new_key()[1])) for _ in range(5)]

    answers = run(use, keys=keys, api_rate_failures="3/hour")
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429, 429]
    assert len(keys.looked_up) == 3
    assert int(answers[-1].headers["Retry-After"]) >= 1
    assert (
        answers[-1]
        .json()["error"]["message"]
        .startswith("3 keys from this address were not valid, so no other is looked at: try again in ")
    )


def test_made_up_keys_keep_out_nobody_whose_key_was_good() -> None:
    """Behind the same address, that is: of a proxy, or of an office."""
    keys = Keys()
    text = keys.add("read")

    async def use(http: httpx.AsyncClient) -> list[int]:
        for _ in range(4):
            await http.get(PROTECTED, headers=bearer(new_key()[1]))
        unknown = (await http.get(PROTECTED, headers=bearer(text))).status_code
        keys.good_before.add(text)
        return [unknown, (await http.get(PROTECTED, headers=bearer(text))).status_code]

    assert run(use, keys=keys, api_rate_failures="3/hour") == [429, 404]


def test_a_key_that_asks_too_often_is_told_when_to_come_again() -> None:
    """A read of history counts five; another key and the public pages have limits of their own."""
    second = KEYS.add("read")

    async def use(http: httpx.AsyncClient) -> list[httpx.Response]:
        paths = [(PROTECTED, READ), ("/made/up", READ), (PROTECTED, READ), (PROTECTED, second)]
        answers = [await http.get(path, headers=bearer(key)) for path, key in paths]
        return [*answers, *[await http.get("/health") for _ in range(3)]]

    answers = run(use, api_rate_key="10/hour", api_rate_address="2/hour")
    assert [answer.status_code for answer in answers] == [404, 404, 429, 404, 200, 200, 429]
    left = [(answer.headers["RateLimit-Limit"], answer.headers["RateLimit-Remaining"]) for answer in answers]
    assert left == [("10", "5"), ("10", "4"), ("10", "4"), ("10", "5"), ("2", "1"), ("2", "0"), ("2", "0")]
    refused = answers[2]
    assert outcome(refused) == (429, "rate_limited")
    assert refused.headers["Retry-After"] == refused.headers["RateLimit-Reset"]
    assert refused.json()["error"]["message"].startswith("this counts as 5, and 4 of 10 are left: try again")


def test_programs_of_this_machine_are_not_limited_unless_that_is_asked_for() -> None:
    """The bench and the page of `make run` ask as often as they like."""

    async def use(http: httpx.AsyncClient) -> list[int]:
        return [(await http.get("/health")).status_code for _ in range(4)]

    assert run(use, client=LOCAL, host="localhost", api_rate_address="1/hour") == [200] * 4
    assert run(use, client=LOCAL, host="localhost", api_rate_local="3/hour") == [200, 200, 200, 429]


def test_long_urls_and_bodies_are_refused() -> None:
    """Before anything reads them; a body that does not say how long it is, while it comes."""

    async def pieces(size: int) -> Any:
        for _ in range(size // 512):
            yield b"x" * 512

    async def use(http: httpx.AsyncClient) -> list[Any]:
        address, headers = "/api/v1/alert-rules/test", bearer(ALERTS)
        answers = [
            await http.get("/api/v1/symbols?x=" + "y" * 300),
            await http.post(address, content=b"x" * 1025, headers=headers),
            await http.post(
                address, content=pieces(2048), headers={**headers, "Transfer-Encoding": "chunked"}
            ),
            await http.post(address, content=b"", headers={**headers, "Content-Length": "-5"}),
        ]
        good = await http.post(
            address, content=pieces(1024), headers={**headers, "Transfer-Encoding": "chunked"}
        )
        return [*map(outcome, answers), (good.status_code, good.json())]

    assert run(use, api_max_url_bytes=256, api_max_body_bytes=1024) == [
        (414, "uri_too_long"),
        *[(413, "payload_too_large")] * 3,
        (200, 1024),
    ]


def test_every_answer_has_the_headers_that_keep_browsers_safe() -> None:
    """Refusals, faults and pages alike; HSTS over TLS only."""
    for path in ("/health", PROTECTED, "/docs", "/docs/files/swagger-ui.css"):
        headers = get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "geolocation=()" in headers["Permissions-Policy"]
        policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
        assert (policy["default-src"], policy["frame-ancestors"]) == ("'self'", "'none'")
        assert "Strict-Transport-Security" not in headers
    secure = run(lambda http: http.get("https://api.example/health"))
    assert secure.headers["Strict-Transport-Security"] == "max-age=31536000"


def test_pages_of_other_origins_may_read_where_they_are_listed() -> None:
    """They get to see a refusal, and their preflight needs no key; others get no permission."""
    origin = "https://charts.example"

    async def use(http: httpx.AsyncClient) -> list[str | None]:
        asks = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
        answers = [
            await http.get(PROTECTED, headers={"Origin": origin}),
            await http.options(PROTECTED, headers={"Origin": origin, **asks}),
            await http.get(PROTECTED, headers={"Origin": "https://evil.example"}),
        ]
        assert [answer.status_code for answer in answers] == [401, 200, 401]
        return [answer.headers.get("Access-Control-Allow-Origin") for answer in answers]

    assert run(use, api_cors_origins=(origin,)) == [origin, origin, None]
    assert "Access-Control-Allow-Origin" not in get(headers={"Origin": origin}).headers


def test_writes_and_refusals_are_in_the_audit_log_without_any_key() -> None:
    """Who, from where, what, and how it ended; the request's id joins it with the request's line."""

    async def use(http: httpx.AsyncClient) -> None:
        await http.post("/api/v1/alert-rules/test", headers=bearer(ALERTS))
        await http.get(PROTECTED, headers=bearer(ALERTS))
        await http.get(PROTECTED)
        await http.get(PROTECTED, headers=bearer(READ))

    with capture_logs(processors=[]) as logs:
        run(use)
    key_id = id_of(ALERTS)
    common = {"logger": "api.audit", "log_level": "info", "address": "203.0.113.7"}
    path = "/api/v1/candles/no symbol"
    assert [line for line in logs if line["event"].startswith("audit_")] == [
        {"event": "audit_write", "method": "POST", "path": "/api/v1/alert-rules/test", "key_id": key_id,
         "outcome": "done", "status": 200, **common},
        {"event": "audit_refusal", "method": "GET", "path": path, "key_id": key_id, "outcome": "forbidden",
         **common},
        {"event": "audit_refusal", "method": "GET", "path": path, "key_id": None, "outcome": "key_needed",
         **common},
    ]  # fmt: skip
    assert not any(key.split("_", 2)[2] in repr(logs) for key in (READ, ALERTS))


def test_metrics_count_refusals_by_their_code() -> None:
    """No key and no address among them."""

    async def use(http: httpx.AsyncClient) -> str:
        for headers in ({}, {}, bearer("nonsense"), bearer(ALERTS)):
            await http.get(PROTECTED, headers=headers)
        return (await http.get("/metrics", headers=bearer(READ))).text

    text = run(use)
    counted = {
        line.split(" ")[0].removeprefix("tickstream_api_refused_total"): float(line.split(" ")[1])
        for line in text.splitlines()
        if line.startswith("tickstream_api_refused_total")
    }
    assert counted == {'{code="key_needed"}': 2, '{code="invalid_key"}': 1, '{code="forbidden"}': 1}
    assert "203.0.113.7" not in text


def test_openapi_tells_which_key_each_endpoint_needs() -> None:
    """By the rules that the guard obeys; public ones name none."""
    document = get("/openapi.json").json()
    assert document["components"]["securitySchemes"]["ApiKey"]["scheme"] == "bearer"
    needed = {
        f"{method} {path}": next(iter(operation["security"][0].values())) if "security" in operation else None
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }
    assert needed["get /api/v1/symbols"] == ["read"]
    assert needed["post /api/v1/alert-rules/test"] == ["alerts"]
    assert needed["post /api/v1/other"] == ["admin"]
    assert [name for name, scopes in needed.items() if scopes is None] == ["get /health", "get /ready"]
    for path, item in document["paths"].items():
        for method, operation in item.items():
            expected = {"414", "429"} | (
                set() if needed[f"{method} {path}"] is None else {"401", "403", "503"}
            )
            assert expected <= operation["responses"].keys(), path


def test_the_documentation_asks_no_other_host() -> None:
    """Its page has no script in it, and every file that it names is here."""

    async def use(http: httpx.AsyncClient) -> tuple[str, list[httpx.Response]]:
        page = (await http.get("/docs")).text
        names = [part.split('"')[0] for part in page.replace('href="', 'src="').split('src="')[1:]]
        return page, [await http.get(name) for name in names if not name.startswith("data:")]

    page, files = run(use)
    assert "http://" not in page
    assert "https://" not in page
    assert "<script>" not in page
    assert "style=" not in page
    assert [(file.status_code, file.headers["Content-Type"].split(";")[0]) for file in files] == [
        (200, "text/css"), (200, "text/javascript"), (200, "text/javascript")
    ]  # fmt: skip
    assert '"url": "/openapi.json"' in files[-1].text
