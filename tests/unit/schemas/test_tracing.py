"""Spans from begin to collector, and what ties those of several processes together."""

import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from opentelemetry.trace import SpanKind
from structlog.testing import capture_logs

from schemas import otlp
from schemas.tracing import Tracing, TracingSettings, followed, headers_of, identify_request, open_tracing
from tests.support.collector import Collector, running_collector

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with running_collector() as running:
        yield running


def tracing_to(endpoint: str, root_ratio: float = 1.0) -> Tracing:
    tracing = open_tracing(TracingSettings(tracing_otlp_endpoint=endpoint), "part", root_ratio)
    assert tracing is not None
    return tracing


def test_a_span_follows_the_one_that_the_headers_name(collector: Collector) -> None:
    """In another process, too: the headers of a record are all that ties them."""
    tracing = tracing_to(collector.endpoint)
    first = tracing.begin("publish", SpanKind.PRODUCER, {"n": 1}, start_us=1_000_000)
    headers = headers_of(first)
    first.end()
    other = tracing_to(collector.endpoint + "/", root_ratio=0.0)
    follows = followed(headers)
    assert follows is not None
    other.begin("store", SpanKind.CONSUMER, {}, follows=follows).end()
    tracing.close()
    other.close()
    (publish,), (store,) = collector.named("publish"), collector.named("store")
    assert (publish.service, publish.start_us, publish.attributes) == ("tickstream-part", 1_000_000, {"n": 1})
    assert (store.trace_id, store.parent_id) == (publish.trace_id, publish.span_id)


@pytest.mark.parametrize(
    "headers",
    [
        None,
        [],
        [("other", b"x")],
        [("traceparent", None)],
        [("traceparent", b"\xff")],
        [("traceparent", b"00-0-0-01")],
        [("traceparent", PARENT.replace("-01", "-00").encode())],
    ],
)
def test_what_is_not_traced_is_not_followed(headers: list[tuple[str, bytes | str | None]] | None) -> None:
    """No header, one that is none, and one whose trace was not sampled."""
    assert followed(headers) is None


def test_foreign_headers_are_followed() -> None:
    """Whoever wrote them, as text or as bytes."""
    assert followed([("x", b"1"), ("traceparent", PARENT.encode())]) is not None
    assert followed([("traceparent", PARENT)]) is not None


def test_steps_are_recorded_inside_a_trace_only(collector: Collector) -> None:
    """What nobody traces leaves nothing, and has no trace id for the logs."""
    tracing = tracing_to(collector.endpoint)
    with tracing.inside("alone", {}):
        assert identify_request("r0") == {}
    tracer = tracing.provider.get_tracer("test")
    with tracer.start_as_current_span("request"), tracing.inside("query", {"statement": "symbols"}):
        said = identify_request("r1")
    with pytest.raises(ValueError, match="broken"), tracer.start_as_current_span("request"):  # noqa: SIM117
        with tracing.inside("query", {"statement": "trades"}):
            raise ValueError("broken")
    tracing.close()
    good, bad = collector.named("query")
    assert said == {"trace_id": good.trace_id}
    assert (good.failed, good.attributes) == (
        False,
        {"statement": "symbols", "tickstream.request_id": "r1"},
    )
    assert bad.failed
    assert collector.named("alone") == []


def test_a_collector_that_is_away_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many batches are lost."""
    monkeypatch.setattr(otlp, "TIMEOUT_S", 0.2)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        tracing = tracing_to(f"http://127.0.0.1:{nobody.getsockname()[1]}")
        with capture_logs() as logs:
            for _ in range(2):
                tracing.begin("publish", SpanKind.PRODUCER, {}).end()
                tracing.provider.force_flush()
            tracing.close()
    assert [line["event"] for line in logs] == ["trace_collector_unavailable"]


def test_off_means_that_nothing_is_imported() -> None:
    """The SDK and the exporter cost memory and time; who does not trace does without."""
    program = (
        "import sys; from schemas.tracing import *; assert open_tracing(TracingSettings(), 'x', 1.0) is None;"
        " sys.exit(any(name.startswith(('opentelemetry.sdk', 'opentelemetry.exporter', 'requests'))"
        " for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
