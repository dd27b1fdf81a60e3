"""Keys, TLS, OpenAPI and the WebSocket's manners, on a running API over a real Cassandra."""

import asyncio
import json
import os
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
import trustme
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from websockets.asyncio.client import connect as connect_tls
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from schemas.events import Alert, Quote
from schemas.settings import CassandraSettings
from tests.pipeline.test_api_providers import a_bar as a_provider_bar
from tests.support.api import Tables, a_candle, a_trade, eventually, running_api

pytestmark = pytest.mark.servers
FROM_OUTSIDE = {"X-Forwarded-For": "203.0.113.7"}
"""What comes through a proxy needs a key."""
KEY = re.compile(r"ts_([0-9a-f]{16})_[A-Za-z0-9_-]{43}")
Command = Callable[..., subprocess.CompletedProcess[str]]
ABSENT = {
    "/ready",
    "/api/v1/companies/{symbol}",
    "/api/v1/history/{symbol}",
    "/api/v1/providers",
    "/api/v1/streams",
    "/api/v1/streams/{symbol}/stop",
    "/api/v1/streams/{symbol}/start",
}
"""What needs more than the storage."""
CONFORMS = (
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)


@pytest.fixture(scope="module")
def keys(cassandra: CassandraSettings) -> Command:
    """Runs ``python -m api keys ...``."""
    addresses = {
        "CASSANDRA_HOSTS": cassandra.cassandra_hosts,
        "CASSANDRA_PORT": str(cassandra.cassandra_port),
        "CASSANDRA_KEYSPACE": cassandra.cassandra_keyspace,
        "CASSANDRA_DATACENTER": cassandra.cassandra_datacenter,
    }

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "api", "keys", *arguments],
            env={**os.environ, **addresses},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


@pytest.fixture(scope="module")
def secured(cassandra: CassandraSettings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A running API that forgets keys after half a second; its log must show no secret and no trace."""
    log = tmp_path_factory.mktemp("secured") / "api.log"
    with running_api(
        cassandra, log=log, API_KEY_CACHE_SECONDS="0.5", WS_MESSAGES_PER_SECOND="50", API_RATE_KEY="none"
    ) as (client, _):
        eventually(lambda: client.get("/ready").json()["parts"]["cassandra"]["ready"])
        yield client
    written = log.read_text(encoding="utf-8")
    assert '"event": "request"' in written
    assert not KEY.search(written)
    assert "Traceback" not in written


def make(keys: Command, *arguments: str) -> tuple[str, str]:
    """(id, text) of a new key."""
    made = keys(*arguments)
    assert made.returncode == 0, made.stderr
    text = made.stdout.strip()
    match = KEY.fullmatch(text)
    assert match, made.stdout
    return match[1], text


def status(api: httpx.Client, key: str | None, path: str = "/api/v1/symbols") -> tuple[int, str | None]:
    """How a request from outside ends: status and code of the error."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    answer = api.get(path, headers={**FROM_OUTSIDE, **headers})
    return answer.status_code, answer.json().get("error", {}).get("code")


def open_socket(api: httpx.Client, **options: Any) -> ClientConnection:
    return connect(
        f"ws://{api.base_url.host}:{api.base_url.port}/ws",
        proxy=None,
        compression=None,
        ping_interval=None,
        **options,
    )


def test_a_key_opens_the_api_until_it_is_revoked(keys: Command, secured: httpx.Client) -> None:
    """Made, shown once, listed without its secret, and refused soon after its revocation."""
    assert secured.get("/api/v1/symbols").status_code == 200
    assert status(secured, None) == (401, "key_needed")
    key_id, text = make(keys, "create", "first key", "--scopes", "read", "--expires", "90d")
    assert status(secured, text) == (200, None)
    assert status(secured, text[:-1] + ("A" if text[-1] != "A" else "B")) == (401, "invalid_key")
    listed = keys("list").stdout
    line = next(line for line in listed.splitlines() if line.startswith(key_id))
    assert re.fullmatch(rf"{key_id}\s+first key\s+read\s+active\s+\S+Z\s+\S+Z", line)
    assert text not in listed
    revoked = keys("revoke", key_id)
    assert (revoked.returncode, revoked.stdout) == (0, "")
    eventually(lambda: status(secured, text) == (401, "invalid_key"), seconds=10)
    assert re.search(rf"{key_id}\s+first key\s+read\s+revoked", keys("list").stdout)


def test_a_rotated_key_goes_on_for_its_overlap(keys: Command, secured: httpx.Client) -> None:
    """The new one has its name and scopes; both open the API meanwhile, and the old one ends by itself."""
    old_id, old = make(keys, "create", "rotating", "--scopes", "read,alerts")
    new_id, new = make(keys, "rotate", old_id, "--overlap", "6s")
    assert [status(secured, key) for key in (old, new)] == [(200, None), (200, None)]
    assert re.search(
        rf"{old_id}\s+rotating\s+alerts,read\s+active\s+\S+Z\s+\S+Z\s+{new_id}", keys("list").stdout
    )
    eventually(lambda: status(secured, old) == (401, "invalid_key"), seconds=20)
    assert status(secured, new) == (200, None)
    again = keys("rotate", old_id)
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr.strip().endswith(f"API key {old_id} is expired: create a new one instead")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("revoke", "0000000000000000"), 1, "there is no API key 0000000000000000"),
        (("create", "x", "--scopes", "write"), 2, "some of read, alerts, admin"),
        (("create", "x", "--expires", "soon"), 2, "a duration such as 90d"),
        (("create", "x", "--expires", "0d"), 2, "a key that nobody can use"),
    ],
)
def test_a_wrong_command_says_what_to_write(
    keys: Command, arguments: tuple[str, ...], code: int, says: str
) -> None:
    """And makes no key."""
    done = keys(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert says in done.stderr


def test_a_key_opens_the_websocket_until_it_is_revoked(keys: Command, secured: httpx.Client) -> None:
    """By header or subprotocol; the client is told why the connection ends, and never sees the key again."""
    key_id, text = make(keys, "create", "sockets")
    outside: dict[str, Any] = {"additional_headers": FROM_OUTSIDE}
    with pytest.raises(InvalidStatus) as refused:
        open_socket(secured, **outside)
    answer = refused.value.response
    assert (answer.status_code, json.loads(answer.body or b"")["error"]["code"]) == (401, "key_needed")
    with pytest.raises(InvalidStatus) as refused:
        open_socket(
            secured, origin="https://evil.example", subprotocols=["tickstream", f"bearer.{text}"], **outside
        )
    assert refused.value.response.status_code == 403
    bearer = {"additional_headers": {**FROM_OUTSIDE, "Authorization": f"Bearer {text}"}}
    with (
        open_socket(secured, **bearer) as by_header,
        open_socket(secured, subprotocols=["tickstream", f"bearer.{text}"], **outside) as by_protocol,
    ):
        assert (by_header.subprotocol, by_protocol.subprotocol) == (None, "tickstream")
        for socket in (by_header, by_protocol):
            assert json.loads(socket.recv(30))["type"] == "hello"
        keys("revoke", key_id)
        for socket in (by_header, by_protocol):
            assert json.loads(socket.recv(30)) == {
                "type": "error",
                "code": "key_ended",
                "message": f"API key {key_id} is no longer valid: use another one",
            }
            with pytest.raises(ConnectionClosed) as closed:
                socket.recv(30)
            assert closed.value.rcvd is not None
            assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "key_ended")


def test_a_client_that_floods_is_refused_and_goes_on_afterwards(secured: httpx.Client) -> None:
    """The messages beyond its rate are not carried out; nothing is answered more often than it may send."""
    with open_socket(secured) as socket:
        socket.recv(30)
        for number in range(60):
            socket.send(json.dumps({"type": "ping", "id": number}))
        answers = [json.loads(socket.recv(30)) for _ in range(60)]
        refused = [answer["id"] for answer in answers if answer["type"] == "error"]
        assert {answer["code"] for answer in answers if answer["type"] == "error"} == {"rate_limited"}
        assert [answer["id"] for answer in answers] == list(range(60))
        assert 1 <= len(refused) <= 10
        assert refused[0] >= 50


frames = st.one_of(
    st.text(max_size=200),
    st.binary(max_size=200),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
        max_leaves=12,
    ).map(json.dumps),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["subscribe", "unsubscribe", "ping", "pong"])},
        optional={
            name: st.none() | st.integers() | st.text(max_size=8) | st.lists(st.text(max_size=8), max_size=3)
            for name in ("id", "channels", "symbols", "intervals", "interval_ms", "batch", "resume")
        },
    ).map(json.dumps),
)


def test_no_frame_ends_a_connection_or_goes_unanswered(cassandra: CassandraSettings) -> None:
    """Whatever comes, the next ping is answered; what is no request gets an error with a code."""
    with (
        running_api(cassandra, WS_MESSAGES_PER_SECOND="10000") as (api, _),
        open_socket(api) as socket,
    ):
        socket.recv(30)

        @settings(max_examples=150, suppress_health_check=list(HealthCheck))
        @given(frames)
        def holds(frame: str | bytes) -> None:
            socket.send(frame)
            socket.send('{"type":"ping","id":"after"}')
            answers = []
            while not answers or answers[-1] != "after":
                answer = json.loads(socket.recv(30))
                if answer["type"] == "error":
                    assert re.fullmatch(r"[a-z_]+", answer["code"])
                    assert answer["code"] != "internal"
                answers.append(answer.get("id") if answer["type"] == "pong" else None)

        holds()
        assert api.get("/health").status_code == 200


def test_tls_by_setting(cassandra: CassandraSettings, tmp_path: Path) -> None:
    """With a certificate that the client trusts: https and wss, HSTS, and nothing in the clear."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert.write_bytes(b"".join(part.bytes() for part in certificate.cert_chain_pems))
    certificate.private_key_pem.write_to_path(key)
    trusted = ssl.create_default_context()
    authority.configure_trust(trusted)
    with running_api(cassandra, tls=trusted, API_TLS_CERT=str(cert), API_TLS_KEY=str(key)) as (api, _):
        answer = api.get("/health")
        assert answer.json() == {"status": "ok"}
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
        address = f"{api.base_url.host}:{api.base_url.port}"

        async def hello() -> Any:
            """Not with the client of threads: two of them use one TLS connection at a time, and may hang."""
            async with (
                asyncio.timeout(60),
                connect_tls(f"wss://{address}/ws", ssl=trusted, proxy=None) as socket,
            ):
                return json.loads(await socket.recv())

        assert asyncio.run(hello())["type"] == "hello"
        with pytest.raises(httpx.TransportError):
            httpx.get(f"http://{address}/health", trust_env=False)


def test_a_certificate_that_cannot_be_used_ends_the_start(tmp_path: Path) -> None:
    """With both settings named, and no stack trace."""
    (tmp_path / "bad.pem").write_text("no certificate", encoding="ascii")
    bad = str(tmp_path / "bad.pem")
    done = subprocess.run(
        [sys.executable, "-m", "api"],
        env={**os.environ, "API_TLS_CERT": bad, "API_TLS_KEY": bad},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert f"API_TLS_CERT {bad} and API_TLS_KEY {bad} cannot be used" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def admin(keys: Command) -> dict[str, str]:
    """Headers that open everything."""
    return {"Authorization": f"Bearer {make(keys, 'create', 'schemathesis', '--scopes', 'admin')[1]}"}


@pytest.fixture(scope="module")
def stored(tables: Tables) -> None:
    """One of each kind of AAPL, so that answers have something in them."""
    now = time.time_ns() // 60_000_000_000 * 60_000_000
    tables.symbol("AAPL")
    tables.candle(a_candle("AAPL", "1m", now, 2))
    tables.provider_bar(a_provider_bar("AAPL", now, 1))
    tables.trade(a_trade("AAPL", now, 1))
    tables.latest_quote(Quote("AAPL", now, now, 1.0, 2.0, 3.0, 4.0, 1, "tests", "TEST"))
    tables.alert(
        Alert(
            "price_spike:AAPL:1",
            0,
            "AAPL",
            "price_spike",
            "low",
            "raised",
            now,
            now,
            5.5,
            5.0,
            "text",
            *[None] * 3,
        )
    )


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_every_answer_is_one_that_openapi_documents(
    secured: httpx.Client, admin: dict[str, str], mode: GenerationMode
) -> None:
    """Right and wrong requests to every endpoint: no fault, no undocumented status, header, type or shape."""
    schema = schemathesis.openapi.from_dict(secured.get("/openapi.json").json())
    schema.config.update(base_url=str(secured.base_url))
    failures: list[str] = []
    labels: set[str] = set()
    for operation in [found.ok() for found in schema.get_all_operations()]:
        labels.add(operation.label)

        @settings(max_examples=10, suppress_health_check=list(HealthCheck), database=None)
        @given(operation.as_strategy(generation_mode=mode))
        def holds(case: schemathesis.Case) -> None:
            if mode is GenerationMode.POSITIVE and "symbol" in case.path_parameters:
                case.path_parameters["symbol"] = "AAPL"
            answer = case.call_and_validate(headers=admin, checks=list(CONFORMS), timeout=30)
            # Most parts of the system are not there, which is what /ready says with 503, and others, too.
            assert answer.status_code < 500 or (case.path in ABSENT and answer.status_code == 503)

        try:
            holds()
        except (FailureGroup, Failure, AssertionError) as failure:
            failures.append(f"{operation.label}: {failure}")
        except Unsatisfiable:  # an endpoint without parameters cannot be asked wrongly
            continue
    assert {"GET /api/v1/symbols", "GET /api/v1/candles/{symbol}", "GET /ready", "GET /metrics"} <= labels
    assert not failures, "\n".join(failures)
