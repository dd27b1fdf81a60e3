"""What each check of /ready says, against answers as the servers give them."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from api.errors import ProducerUnavailable, StorageUnavailable
from api.metrics import ApiMetrics
from api.models import Part, Symbol
from api.quote_store import BidAsk
from api.readiness import (
    FreshnessCheck,
    JobCheck,
    ProducerCheck,
    RegistryCheck,
    all_checks,
    assess,
    not_ready,
    ready,
)
from api.settings import ApiSettings
from api.times import to_datetime
from schemas.producer_state import ProducerState, ProviderState, StreamState
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


NOW_US = NOW_MS * 1000
S = 1_000_000


def provider(name: str, gives: list[str], *, in_use: bool) -> ProviderState:
    return ProviderState(
        name=name, about="", kind="polling", gives=gives, needs=[], configured=True, proven=False,
        limits=None, in_use=in_use, priority=None, connections=1, health=None, following=None, received=0,
        published=0, refused=0, last_message=None, disconnects={}, reconnects=0, budget=None,
    )  # fmt: skip


def stream(symbol: str, last_us: int | None) -> StreamState:
    last = None if last_us is None else to_datetime(last_us)
    return StreamState(
        symbol=symbol, status="running", stopped_since=None, source=None, trades=0, quotes=1, last_event=last
    )


class Stored:
    """What is stored, and what the producer tells; ages in seconds, None: nothing."""

    def __init__(
        self, trade_s: float | None, quote_s: float | None, in_use: tuple[str, ...], *, there: bool = True
    ) -> None:
        self._trade_us, self._quote_us = (
            None if age is None else NOW_US - round(age * S) for age in (trade_s, quote_s)
        )
        self._in_use = in_use
        self._there = there

    async def get(self) -> list[Symbol]:
        bar = None if self._trade_us is None else to_datetime(self._trade_us)
        return [Symbol(symbol="AAPL", configured=True, last_price=None, last_bar=bar)]

    async def newest_trade(self, symbol: str, _start: int) -> int | None:
        assert symbol == "AAPL"
        return self._trade_us

    async def state(self) -> ProducerState:
        if not self._there:
            raise ProducerUnavailable("gone")
        providers = [
            provider(name, gives, in_use=name in self._in_use)
            for name, gives in (("yahoo", ["quotes", "provider_bars"]), ("finnhub", ["trades"]))
        ]
        streams = [stream("AAPL", None), stream("MSFT", self._quote_us), stream("V", NOW_US - 9000 * S)]
        return ProducerState(at=to_datetime(NOW_US), providers=providers, streams=streams)

    async def bid_ask(self, symbol: str) -> BidAsk | None:
        at = self._quote_us
        assert at is None or symbol == "MSFT"
        return None if at is None else BidAsk(1.0, 0.0, 1.0, 0.0, 1.0, 0.0, at, at, "yahoo")

    def part(self, max_age_s: float = 60) -> Part:
        me: Any = self
        return asyncio.run(FreshnessCheck(me, me, me, me, max_age_s, lambda: NOW_US)())


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (Stored(12, None, ("finnhub",)), ready("newest trade (AAPL) is 12.0 s old")),
        (Stored(61, 5, ("finnhub",)), not_ready("newest trade (AAPL) is 61.0 s old, more than 60 s")),
        (Stored(61, 5, ("yahoo", "finnhub")), not_ready("newest trade (AAPL) is 61.0 s old, more than 60 s")),
        (Stored(None, 5, ("finnhub",)), not_ready("no bar is stored yet")),
        (Stored(None, 5, ()), not_ready("no bar is stored yet")),
        (Stored(None, 5, ("yahoo",), there=False), not_ready("no bar is stored yet")),
        (Stored(None, 5, ("yahoo",)), ready("newest quote (MSFT) is 5.0 s old")),
        (Stored(9000, 5, ("yahoo",)), ready("newest quote (MSFT) is 5.0 s old")),
        (Stored(9000, 61, ("yahoo",)), not_ready("newest quote (MSFT) is 61.0 s old, more than 60 s")),
        (
            Stored(None, None, ("yahoo",)),
            not_ready("no quote is stored yet, and no source in use has trades"),
        ),
    ],
)
def test_fresh_is_a_young_trade_or_a_young_quote_where_nobody_has_trades(
    stored: Stored, expected: Part
) -> None:
    """Quotes never stand in for trades that are missing."""
    assert stored.part() == expected


def test_any_age_is_fresh_where_that_is_wanted() -> None:
    """Off hours."""
    assert Stored(9000, None, ("finnhub",)).part(0) == ready("newest trade (AAPL) is 9000.0 s old")
    assert Stored(None, None, ("yahoo",)).part(0) == ready("nothing is stored yet")


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
