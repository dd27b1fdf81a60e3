"""The registry's client, against a registry of a few lines on loopback."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from structlog.testing import capture_logs

from schemas.avro_codec import schema_text
from schemas.errors import ConfigurationError, UnavailableError
from schemas.events import Alert, Candle, Correction, DeadLetter, Gap, ProviderBar, Quote, Trade
from schemas.registry import RegistryLookup, our_schemas, register_schemas
from schemas.topics import Topics

Answer = tuple[int, dict[str, Any]]
TOPICS = Topics("t")
SUBJECTS = {
    "t.trades": ("t.trades-value", Trade),
    "t.quotes": ("t.quotes-value", Quote),
    "t.candles": ("t.candles-value", Candle),
    "t.alerts": ("t.alerts-value", Alert),
    "t.gaps": ("t.gaps-value", Gap),
    "t.provider-bars": ("t.provider-bars-value", ProviderBar),
    "t.provider-candles": ("t.provider-candles-value", ProviderBar),
    "t.dead-letter": ("t.dead-letter-value", DeadLetter),
    "t.trades-market.Correction": ("t.trades-market.Correction", Correction),
}
"""What a schema id is kept under -> its subject and its type."""


@contextmanager
def registry(
    answers: list[Answer], readiness: tuple[int, ...] = (200,)
) -> Iterator[tuple[str, list[tuple[str, str, Any]]]]:
    """A server that gives these answers one after another, the last one for ever; and what it was asked.
    ``readiness`` are its answers to whether it is ready, which do not count."""
    asked: list[tuple[str, str, Any]] = []
    ready = list(readiness)

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            if self.path == "/health/ready":
                self.send_response(ready.pop(0) if len(ready) > 1 else ready[0])
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            length = int(self.headers.get("Content-Length") or 0)
            asked.append(
                (self.command, self.path.partition("?")[0], json.loads(self.rfile.read(length) or "null"))
            )
            status, body = answers.pop(0) if len(answers) > 1 else answers[0]
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = answer

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_schema_is_found_by_its_id() -> None:
    """As the registry holds it."""
    with registry([(200, {"schema": schema_text(Trade)})]) as (url, asked):
        assert RegistryLookup(url)(7) == json.loads(schema_text(Trade))
    assert [(method, path) for method, path, _ in asked] == [("GET", "/schemas/ids/7")]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"schema": "message M {}", "schemaType": "PROTOBUF"}, {"type": "PROTOBUF"}),
        ({"schema": '"string"', "schemaType": "AVRO"}, {"type": "string"}),
        ({"schema": '["null", "long"]'}, {"type": ["null", "long"]}),
    ],
)
def test_what_is_no_avro_record_comes_as_something_the_decoder_refuses(
    body: dict[str, Any], expected: dict[str, Any]
) -> None:
    """Another format, a bare type, a union."""
    with registry([(200, body)]) as (url, _):
        assert RegistryLookup(url)(1) == expected


def test_an_unknown_id_is_none() -> None:
    """404 is an answer, not an outage."""
    with registry([(404, {"error_code": 40403, "message": "Schema not found"})]) as (url, asked):
        assert RegistryLookup(url)(7) is None
    assert len(asked) == 1


def test_an_outage_is_waited_out() -> None:
    """Errors of the server are no answer: it asks again, says so each time, and gets the schema."""
    outage: list[Answer] = [(503, {"error_code": 503, "message": "starting"}), (500, {}), (429, {})]
    with (
        registry([*outage, (200, {"schema": schema_text(Trade)})]) as (url, asked),
        capture_logs() as logs,
    ):
        assert RegistryLookup(url, retry_seconds=[0.01, 0.02])(7) == json.loads(schema_text(Trade))
    assert len(asked) == 4
    assert [(line["event"], line["schema_id"], line["retry_in_s"]) for line in logs] == [
        ("registry_unavailable", 7, 0.01),
        ("registry_unavailable", 7, 0.02),
        ("registry_unavailable", 7, 0.02),
    ]


def test_a_registry_that_is_not_there_is_waited_for() -> None:
    """Refused connections are an outage too: the lookup ends when a registry comes to that address."""
    with registry([(200, {"schema": schema_text(Trade)})]) as (url, _):
        pass  # the port is free again
    found: list[Any] = []
    with capture_logs() as logs:
        lookup = threading.Thread(
            target=lambda: found.append(RegistryLookup(url, retry_seconds=[0.01])(7)), daemon=True
        )
        lookup.start()
        while not logs:
            lookup.join(0.01)
        assert found == []
        server = _Reborn(int(url.rpartition(":")[2]))
        with server:
            lookup.join(30)
    assert found == [None]


class _Reborn(ThreadingHTTPServer):
    """A registry at a given port that knows nothing."""

    def __init__(self, port: int) -> None:
        class Nothing(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                content = b'{"error_code": 40403, "message": "not found"}'
                self.send_response(404)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        super().__init__(("127.0.0.1", port), Nothing)
        self.daemon_threads = True

    def __enter__(self) -> "_Reborn":
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


def test_each_type_of_record_gets_its_schema_and_backward_compatibility() -> None:
    """Under <topic>-value, corrections under <topic>-<record>; with the text of the repository."""
    with registry([(200, {"id": 5, "compatibility": "BACKWARD"})]) as (url, asked):
        ids = register_schemas(url, TOPICS)
    assert ids == dict.fromkeys(SUBJECTS, 5)
    registered = {path: json.loads(body["schema"]) for method, path, body in asked if method == "POST"}
    assert registered == {
        f"/subjects/{subject}/versions": json.loads(schema_text(kind)) for subject, kind in SUBJECTS.values()
    }
    levels = {path: body["compatibility"] for method, path, body in asked if method == "PUT"}
    assert levels == {f"/config/{subject}": "BACKWARD" for subject, _ in SUBJECTS.values()}


def test_an_incompatible_schema_names_the_subject_and_a_way_out() -> None:
    """409 is for the user to decide."""
    with (
        registry([(409, {"error_code": 409, "message": "reader lacks default"})]) as (url, _),
        pytest.raises(ConfigurationError, match=r"t\.trades-value.*reader lacks default.*TOPIC_PREFIX"),
    ):
        register_schemas(url, TOPICS)


def test_registering_at_a_registry_in_trouble_says_so() -> None:
    """An error of the server, and none there at all."""
    with (
        registry([(500, {"error_code": 500, "message": "no storage"})]) as (url, _),
        pytest.raises(UnavailableError, match="no storage"),
    ):
        register_schemas(url, TOPICS)
    with pytest.raises(UnavailableError, match="does not answer"):
        register_schemas(url, TOPICS)


def test_a_job_ships_with_the_schemas_that_were_registered() -> None:
    """By the ids that the registry gave."""
    ids = {name: number for number, name in enumerate(SUBJECTS, 1)}
    assert our_schemas(TOPICS, ids) == {
        number: json.loads(schema_text(kind)) for number, (_, kind) in enumerate(SUBJECTS.values(), 1)
    }


def test_what_a_loading_registry_does_not_know_is_not_unknown() -> None:
    """It answers 404 for schemas that it has not read yet: asked again until it has them."""
    unknown = (404, {"error_code": 40403, "message": "not found"})
    answers = [unknown, unknown, (200, {"schema": schema_text(Trade)})]
    with registry(answers, readiness=(503, 503, 200)) as (url, asked):
        assert RegistryLookup(url, [0.01])(7) == json.loads(schema_text(Trade))
    assert len(asked) == 3


@pytest.mark.parametrize("ready", [200, 404])
def test_what_a_loaded_registry_does_not_know_is_unknown(ready: int) -> None:
    """Also where it has no address that tells whether it is ready."""
    with registry([(404, {"error_code": 40403, "message": "not found"})], readiness=(ready,)) as (url, asked):
        assert RegistryLookup(url)(7) is None
    assert len(asked) == 1


def test_nothing_is_registered_while_the_registry_loads() -> None:
    """What it has not read yet would be registered twice: unavailable, not a conflict."""
    with (
        registry([(200, {"id": 1})], readiness=(503,)) as (url, asked),
        pytest.raises(UnavailableError, match="still reading"),
    ):
        register_schemas(url, TOPICS)
    assert asked == []
