"""Flink's REST API as the keeper uses it, against a server that answers by a script."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from jobs import cluster as cluster_module
from jobs.cluster import FlinkCluster, Job, StopFailedError
from schemas.errors import UnavailableError


class FakeJobManager:
    """Answers each ``METHOD path`` with the next of its answers, the last one for ever; 404 for others."""

    def __init__(self, answers: dict[str, list[Any]]) -> None:
        self.answers = answers
        self.requests: list[tuple[str, Any]] = []
        self.url = ""

    def answer(self, request: str, body: Any) -> tuple[int, Any]:
        self.requests.append((request, body))
        left = self.answers.get(request)
        if left is None:
            return 404, {"errors": ["not found"]}
        return 200, left.pop(0) if len(left) > 1 else left[0]


@contextmanager
def serving(answers: dict[str, list[Any]]) -> Iterator[tuple[FlinkCluster, FakeJobManager]]:
    fake = FakeJobManager(answers)

    class Handler(BaseHTTPRequestHandler):
        def respond(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = json.loads(self.rfile.read(length)) if length else None
            status, answer = fake.answer(f"{self.command} {self.path}", body)
            data = b"" if answer is None else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = respond

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        fake.url = f"http://127.0.0.1:{server.server_port}"
        try:
            with FlinkCluster(fake.url) as cluster:
                yield cluster, fake
        finally:
            server.shutdown()
            thread.join()


def job(job_id: str, name: str, state: str, started: int) -> dict[str, Any]:
    return {"jid": job_id, "name": name, "state": state, "start-time": started, "tasks": {}}


def overview(*jobs: dict[str, Any]) -> dict[str, Any]:
    return {"jobs": list(jobs)}


OLD = job("1", "market.bars", "FAILED", 10)
NEW = job("2", "market.bars", "RUNNING", 20)
OTHER = job("3", "market.store", "RESTARTING", 15)


def test_jobs_are_listed_from_the_oldest_to_the_newest() -> None:
    """With what the keeper needs of each."""
    with serving({"GET /jobs/overview": [overview(NEW, OLD, OTHER)]}) as (cluster, _):
        assert cluster.jobs() == [
            Job("1", "market.bars", "FAILED", 10),
            Job("3", "market.store", "RESTARTING", 15),
            Job("2", "market.bars", "RUNNING", 20),
        ]


def test_the_newest_job_of_a_name_counts() -> None:
    """A cluster remembers those before it."""
    with serving({"GET /jobs/overview": [overview(NEW, OLD, OTHER)]}) as (cluster, _):
        assert cluster.job("market.bars") == Job("2", "market.bars", "RUNNING", 20)
        assert cluster.job("market.quotes") is None


@pytest.mark.parametrize(
    ("state", "gone"),
    [("CREATED", False), ("RUNNING", False), ("RESTARTING", False), ("FAILING", False), ("CANCELLING", False),
     ("FAILED", True), ("CANCELED", True), ("FINISHED", True), ("SUSPENDED", True)],
)  # fmt: skip
def test_a_job_that_may_still_do_something_is_not_gone(state: str, gone: bool) -> None:
    """Two of the same would write twice."""
    assert Job("1", "market.bars", state, 0).is_gone is gone


def test_completed_checkpoints_are_counted() -> None:
    """Those of this run."""
    checkpoints = {"counts": {"completed": 3, "restored": 1}}
    with serving({"GET /jobs/2/checkpoints": [checkpoints]}) as (cluster, _):
        assert cluster.completed_checkpoints("2") == 3


def test_failures_are_told_without_their_stack() -> None:
    """The last one first; none is an empty list."""
    history = {"exceptionHistory": {"entries": [
        {"stacktrace": "java.lang.A: b\n\tat x.Y.z(Y.java:1)\nCaused by: C: d\n\tat x.Y.z(Y.java:2)\n"},
        {"stacktrace": "E: f"},
    ]}}  # fmt: skip
    with serving({"GET /jobs/2/exceptions": [history, {"exceptionHistory": {"entries": []}}]}) as (
        cluster,
        _,
    ):
        assert cluster.failures("2") == ["java.lang.A: b | Caused by: C: d", "E: f"]
        assert cluster.failures("2") == []


def savepoint(**operation: Any) -> dict[str, Any]:
    return {"status": {"id": "COMPLETED"}, "operation": operation}


IN_PROGRESS = {"status": {"id": "IN_PROGRESS"}}


def test_a_job_stops_with_a_savepoint() -> None:
    """It says where that is, once it is complete."""
    answers = {
        "POST /jobs/2/stop": [{"request-id": "r"}],
        "GET /jobs/2/savepoints/r": [IN_PROGRESS, savepoint(location="file:/s/savepoint-2")],
    }
    with serving(answers) as (cluster, fake):
        assert cluster.stop("2", "file:///s") == "file:/s/savepoint-2"
    assert fake.requests[0] == ("POST /jobs/2/stop", {"targetDirectory": "file:///s", "drain": False})


@pytest.mark.parametrize(
    ("operation", "reason"),
    [
        (
            {"failure-cause": {"class": "X", "stack-trace": "X: task not running\n\tat y"}},
            "^X: task not running$",
        ),
        ({}, "no reason given"),
    ],
)
def test_a_savepoint_that_fails_says_why(operation: dict[str, Any], reason: str) -> None:
    """In one line."""
    answers = {
        "POST /jobs/2/stop": [{"request-id": "r"}],
        "GET /jobs/2/savepoints/r": [savepoint(**operation)],
    }
    with serving(answers) as (cluster, _), pytest.raises(StopFailedError, match=reason):
        cluster.stop("2", "file:///s")


def test_a_savepoint_that_never_comes_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a bounded time."""
    monkeypatch.setattr(cluster_module, "STOP_TIMEOUT_S", 0.05)
    answers = {"POST /jobs/2/stop": [{"request-id": "r"}], "GET /jobs/2/savepoints/r": [IN_PROGRESS]}
    with (
        serving(answers) as (cluster, _),
        pytest.raises(StopFailedError, match=r"no savepoint after 0\.05 s"),
    ):
        cluster.stop("2", "file:///s")


def test_cancel_returns_once_the_job_is_gone() -> None:
    """Whatever the others do."""
    cancelling, gone = (job("2", "market.bars", state, 20) for state in ("CANCELLING", "CANCELED"))
    answers = {
        "PATCH /jobs/2?mode=cancel": [None],
        "GET /jobs/overview": [overview(cancelling, OTHER), overview(gone, OTHER)],
    }
    with serving(answers) as (cluster, fake):
        cluster.cancel("2")
    assert [request for request, _ in fake.requests] == [
        "PATCH /jobs/2?mode=cancel",
        "GET /jobs/overview",
        "GET /jobs/overview",
    ]


def test_a_job_that_cannot_be_cancelled_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a bounded time, and not by returning as if it were gone."""
    monkeypatch.setattr(cluster_module, "STOP_TIMEOUT_S", 0.05)
    cancelling = job("2", "market.bars", "CANCELLING", 20)
    answers = {"PATCH /jobs/2?mode=cancel": [None], "GET /jobs/overview": [overview(cancelling)]}
    with (
        serving(answers) as (cluster, _),
        pytest.raises(StopFailedError, match=r"2 is not gone 0\.05 s after"),
    ):
        cluster.cancel("2")


def test_a_cluster_that_does_not_answer_is_unavailable() -> None:
    """Nobody listens there any more; an error of its own counts too."""
    with serving({}) as (cluster, fake), pytest.raises(UnavailableError, match="404 Not Found"):
        cluster.jobs()
    with FlinkCluster(fake.url) as cluster, pytest.raises(UnavailableError) as refused:
        cluster.stop("2", "file:///s")
    assert "does not answer POST /jobs/2/stop" in str(refused.value)
    assert "FLINK_REST_URL" in str(refused.value)
