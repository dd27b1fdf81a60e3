"""What `/ready` looks at: each part with its state and the reason, asked concurrently and in bounded time."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter

import httpx
import structlog
from confluent_kafka import KafkaException

from api.cached import Cached
from api.errors import ProducerUnavailable, StorageUnavailable
from api.metrics import ApiMetrics
from api.models import Part, Readiness, Symbol
from api.producer import ProducerClient
from api.quote_store import StoredQuotes
from api.settings import ApiSettings
from api.store import Store
from api.times import Now, to_micros
from schemas.kafka_admin import admin_client
from schemas.producer_state import ProducerState
from schemas.topics import Topics

log = structlog.get_logger()
Check = Callable[[], Awaitable[Part]]


def ready(reason: str) -> Part:
    return Part(ready=True, reason=reason)


def not_ready(reason: str) -> Part:
    return Part(ready=False, reason=reason)


async def assess(checks: Mapping[str, Check], timeout_seconds: float, metrics: ApiMetrics) -> Readiness:
    """Runs all checks at once. One that fails or takes longer than the timeout: its part is not ready."""

    async def bounded(name: str, check: Check) -> Part:
        try:
            async with asyncio.timeout(timeout_seconds):
                return await check()
        except TimeoutError:
            return not_ready(f"no answer within {timeout_seconds:g} s")
        except StorageUnavailable as error:
            return not_ready(str(error))
        except httpx.HTTPError as error:
            return not_ready(f"{type(error).__name__}: {error}")
        except Exception as error:
            log.exception("readiness_check_failed", part_checked=name)
            return not_ready(f"the check itself failed: {error!r}")

    parts = await asyncio.gather(*(bounded(name, check) for name, check in checks.items()))
    for name, part in zip(checks, parts, strict=True):
        metrics.part_ready.labels(name).set(part.ready)
    return Readiness(ready=all(part.ready for part in parts), parts=dict(zip(checks, parts, strict=True)))


class KafkaCheck:
    """Kafka answers and has our topics."""

    def __init__(self, settings: ApiSettings) -> None:
        self._topics = Topics(settings.topic_prefix)
        self._servers = settings.kafka_bootstrap_servers
        self._admin = admin_client(settings)
        # Less than what the check as a whole may take, so that its thread never outlives it.
        self._timeout = settings.ready_timeout_seconds * 0.9

    async def __call__(self) -> Part:
        try:
            metadata = await asyncio.to_thread(self._admin.list_topics, timeout=self._timeout)
        except KafkaException as error:
            return not_ready(f"no answer at {self._servers}: {error.args[0].str()}")
        missing = set(self._topics.names) - metadata.topics.keys()
        if missing:
            return not_ready(f"topics are missing: {', '.join(sorted(missing))}: run `make topics`")
        return ready(f"{len(metadata.brokers)} broker(s), all topics there")


@dataclass(frozen=True, slots=True)
class RegistryCheck:
    """The schema registry answers and knows the schema of trades."""

    http: httpx.AsyncClient
    url: str
    topics: Topics

    async def __call__(self) -> Part:
        subject = f"{self.topics.trades}-value"
        answer = await self.http.get(f"{self.url}/subjects/{subject}/versions")
        if answer.status_code == 404:
            return not_ready(f"subject {subject} is not registered: run `make topics`")
        answer.raise_for_status()
        return ready(f"{subject} has {len(answer.json())} version(s)")


@dataclass(frozen=True, slots=True)
class JobCheck:
    """A Flink job, by its name on the cluster, runs and completes checkpoints."""

    http: httpx.AsyncClient
    url: str
    job: str
    checkpoint_max_age_s: float
    now: Now

    async def __call__(self) -> Part:
        jobs = (await self.http.get(f"{self.url}/jobs/overview")).raise_for_status().json()["jobs"]
        mine = [job for job in jobs if job["name"] == self.job]
        if not mine:
            return not_ready(f"Flink has no job {self.job}: run `make job`")
        newest = max(mine, key=lambda job: (job["state"] == "RUNNING", job["start-time"]))
        if newest["state"] in {"CANCELED", "FINISHED"}:
            short = self.job.rpartition(".")[2]
            return not_ready(
                f"job {self.job} is {newest['state']}: somebody has stopped it, and it stays down until it is"
                f" submitted: `python -m jobs submit --job {short}`"
            )
        if newest["state"] != "RUNNING":
            return not_ready(f"job {self.job} is {newest['state']}")
        checkpoints = await self.http.get(f"{self.url}/jobs/{newest['jid']}/checkpoints")
        completed = checkpoints.raise_for_status().json()["latest"]["completed"]
        since_ms = completed["latest_ack_timestamp"] if completed else newest["start-time"]
        age_s = max(0.0, self.now() / 1e6 - since_ms / 1e3)
        what = f"checkpoint {age_s:.0f} s ago" if completed else f"no checkpoint yet, up for {age_s:.0f} s"
        if age_s > self.checkpoint_max_age_s:
            return not_ready(f"RUNNING, but {what}")
        return ready(f"RUNNING, {what}")


@dataclass(frozen=True, slots=True)
class ProducerCheck:
    """The producer's metrics answer."""

    http: httpx.AsyncClient
    url: str

    async def __call__(self) -> Part:
        (await self.http.get(self.url)).raise_for_status()
        return ready("its metrics answer")


@dataclass(frozen=True, slots=True)
class CassandraCheck:
    """A table of ours can be read."""

    store: Store

    async def __call__(self) -> Part:
        await self.store.ping()
        return ready("tables can be read")


@dataclass(frozen=True, slots=True)
class FreshnessCheck:
    """The newest stored trade of the configured symbols is young enough; where none of the sources in use has
    trades, the newest stored quote."""

    store: Store
    quotes: StoredQuotes
    producer: ProducerClient
    symbols: Cached[list[Symbol]]
    max_age_s: float
    now: Now

    async def __call__(self) -> Part:
        of_trades = await self._of_trades()
        if of_trades.ready:
            return of_trades
        try:
            state = await self.producer.state()
        except ProducerUnavailable:
            return of_trades
        given = {what for provider in state.providers if provider.in_use for what in provider.gives}
        return of_trades if not given or "trades" in given else await self._of_quotes(state)

    async def _of_quotes(self, state: ProducerState) -> Part:
        newest = max(
            (stream for stream in state.streams if stream.last_event is not None),
            key=attrgetter("last_event"),
            default=None,
        )
        quote = None if newest is None else await self.quotes.bid_ask(newest.symbol)
        if newest is None or quote is None:
            return not_ready("no quote is stored yet, and no source in use has trades")
        return self._aged(f"newest quote ({newest.symbol})", quote.event_time)

    async def _of_trades(self) -> Part:
        bars = [
            (row.last_bar, row.symbol) for row in await self.symbols.get() if row.configured and row.last_bar
        ]
        if not bars:
            return not_ready("no bar is stored yet") if self.max_age_s else ready("nothing is stored yet")
        start, symbol = max(bars)
        newest = await self.store.newest_trade(symbol, to_micros(start)) or to_micros(start)
        return self._aged(f"newest trade ({symbol})", newest)

    def _aged(self, what: str, event_time: int) -> Part:
        age_s = max(0.0, (self.now() - event_time) / 1e6)
        reason = f"{what} is {age_s:.1f} s old"
        if self.max_age_s and age_s > self.max_age_s:
            return not_ready(f"{reason}, more than {self.max_age_s:g} s")
        return ready(reason)


def all_checks(
    settings: ApiSettings, http: httpx.AsyncClient, store: Store, freshness: Check, now: Now
) -> dict[str, Check]:
    """The checks by the name of the part."""
    topics = Topics(settings.topic_prefix)
    flink, oldest = settings.flink_rest_url.rstrip("/"), settings.ready_checkpoint_max_age_seconds
    jobs = {job: JobCheck(http, flink, topics.job_name(job), oldest, now) for job in ("bars", "store")}
    return {
        "kafka": KafkaCheck(settings),
        "registry": RegistryCheck(http, settings.schema_registry_url.rstrip("/"), topics),
        "cassandra": CassandraCheck(store),
        **jobs,
        "producer": ProducerCheck(http, settings.producer_metrics_url),
        "freshness": freshness,
    }
