"""What each check of /ready says, against answers as the servers give them."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from api.errors import StorageUnavailable
from api.metrics import ApiMetrics
from api.models import Part
from api.readiness import JobCheck, ProducerCheck, RegistryCheck, all_checks, assess, not_ready, ready
from api.settings import ApiSettings
from schemas.topics import Topics

NOW_MS = 1_723_204_800_000


def asked(
    check: Callable[[httpx.AsyncClient], Any], answers: dict[str, tuple[int, object]]
) -> Part | Exception:
    """The check's finding where the server has these answers by path."""

    def answer(request: httpx.Request) -> httpx.Response:
        status, body = answers[request.url.path]
        return httpx.Response(status, content=json.dumps(body))

    async def run() -> Part:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
            part: Part = await check(http)()
            return part

    return asyncio.run(run())


def job(http: httpx.AsyncClient) -> JobCheck:
    return JobCheck(http, "http://flink", "market.bars", 120, lambda: NOW_MS * 1000)


def flink(
    state: str, completed_ms: int | None, started_ms: int = NOW_MS - 60_000
) -> dict[str, tuple[int, object]]:
    completed = {"latest_ack_timestamp": completed_ms} if completed_ms else None
    return {
        "/jobs/overview": (
            200,
            {
                "jobs": [
                    {"jid": "old", "name": "market.bars", "state": "CANCELED", "start-time": NOW_MS},
                    {"jid": "other", "name": "replay.bars", "state": "RUNNING", "start-time": NOW_MS},
                    {"jid": "j1", "name": "market.bars", "state": state, "start-time": started_ms},
                ]
            },
        ),
        "/jobs/j1/checkpoints": (200, {"latest": {"completed": completed}}),
    }


LEFT_DOWN = (
    "somebody has stopped it, and it stays down until it is submitted: `python -m jobs submit --job bars`"
)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (flink("RUNNING", NOW_MS - 7_000), ready("RUNNING, checkpoint 7 s ago")),
        (flink("RUNNING", NOW_MS - 120_000), ready("RUNNING, checkpoint 120 s ago")),
        (flink("RUNNING", NOW_MS - 121_000), not_ready("RUNNING, but checkpoint 121 s ago")),
        (flink("RUNNING", None), ready("RUNNING, no checkpoint yet, up for 60 s")),
        (
            flink("RUNNING", None, NOW_MS - 300_000),
            not_ready("RUNNING, but no checkpoint yet, up for 300 s"),
        ),
        (flink("RESTARTING", None, NOW_MS + 1), not_ready("job market.bars is RESTARTING")),
        (flink("FINISHED", None, NOW_MS + 1), not_ready(f"job market.bars is FINISHED: {LEFT_DOWN}")),
        ({"/jobs/overview": (200, {"jobs": []})}, not_ready("Flink has no job market.bars: run `make job`")),
    ],
)
def test_a_job_is_ready_while_it_runs_and_completes_checkpoints(
    answers: dict[str, tuple[int, object]], expected: Part
) -> None:
    """A running job is preferred to an older or cancelled one of its name; other jobs do not count."""
    assert asked(job, answers) == expected


def test_the_registry_is_ready_when_it_knows_our_schema() -> None:
    """Known, unknown, and an error of the server."""
    path = "/subjects/market.trades-value/versions"

    def registry(http: httpx.AsyncClient) -> RegistryCheck:
        return RegistryCheck(http, "http://registry", Topics("market"))

    assert asked(registry, {path: (200, [1, 2])}) == ready("market.trades-value has 2 version(s)")
    assert asked(registry, {path: (404, {})}) == not_ready(
        "subject market.trades-value is not registered: run `make topics`"
    )
    with pytest.raises(httpx.HTTPStatusError):
        asked(registry, {path: (500, {})})


def test_the_producer_is_ready_when_its_metrics_answer() -> None:
    """Any other answer than success is an error, which ``assess`` turns into the reason."""

    def producer(http: httpx.AsyncClient) -> ProducerCheck:
        return ProducerCheck(http, "http://producer/metrics")

    assert asked(producer, {"/metrics": (200, "")}) == ready("its metrics answer")
    with pytest.raises(httpx.HTTPStatusError):
        asked(producer, {"/metrics": (503, "")})


def test_a_check_that_fails_or_hangs_makes_only_its_own_part_not_ready() -> None:
    """Each failure becomes that part's reason; the metric shows the same."""

    async def fine() -> Part:
        return ready("fine")

    async def hangs() -> Part:
        await asyncio.Event().wait()
        raise AssertionError

    async def storage() -> Part:
        raise StorageUnavailable("gone")

    async def refused() -> Part:
        raise httpx.ConnectError("refused")

    async def broken() -> Part:
        raise KeyError("jobs")

    checks = {"fine": fine, "hangs": hangs, "storage": storage, "refused": refused, "broken": broken}
    metrics = ApiMetrics()
    with capture_logs() as logs:
        result = asyncio.run(assess(checks, 0.05, metrics))
    assert not result.ready
    assert result.parts == {
        "fine": ready("fine"),
        "hangs": not_ready("no answer within 0.05 s"),
        "storage": not_ready("the storage does not answer (gone): try again in 2 s"),
        "refused": not_ready("ConnectError: refused"),
        "broken": not_ready("the check itself failed: KeyError('jobs')"),
    }
    assert [entry["part_checked"] for entry in logs] == ["broken"]
    values = {name: metrics.part_ready.labels(name)._value.get() for name in checks}
    assert values == {"fine": 1, "hangs": 0, "storage": 0, "refused": 0, "broken": 0}


def test_all_parts_ready_is_ready() -> None:
    """Nothing else is needed."""

    async def fine() -> Part:
        return ready("fine")

    assert asyncio.run(assess({"a": fine, "b": fine}, 1, ApiMetrics())).ready


def test_the_jobs_are_those_of_our_topics() -> None:
    """A replay's jobs on the same cluster have names of their own."""

    async def names() -> list[str]:
        async with httpx.AsyncClient() as http:
            checks = all_checks(ApiSettings(topic_prefix="live"), http, None, None, lambda: 0)  # type: ignore[arg-type]
            return [check.job for check in checks.values() if isinstance(check, JobCheck)]

    assert asyncio.run(names()) == ["live.bars", "live.store"]
