"""``make smoke``: follows one trade through a running system, from Kafka to REST, and says what is wrong.

``python -m docker.smoke`` checks the system that the settings point to, wherever it runs.
"""

import os
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import httpx
from cassandra.cluster import Session
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from pydantic import Field

from docker.console import Console
from schemas.avro_codec import Decoder
from schemas.cassandra_session import connect
from schemas.errors import PoisonError, TickstreamError
from schemas.events import Candle, Correction, Event, Trade
from schemas.intervals import bar_start
from schemas.registry import RegistryLookup
from schemas.settings import CassandraSettings, KafkaSettings, load_settings
from schemas.tables import GOLD_TABLES, gold_bucket, trade_minute, trade_shard
from schemas.topics import Topics

Report = Callable[[str], None]
POLL_S = 0.5
BOOTSTRAP_MS = 5000
MAX_CHECKPOINT_AGE_S = 120
INTERVAL = "1m"


class SmokeSettings(KafkaSettings, CassandraSettings):
    flink_rest_url: str = Field("http://127.0.0.1:8081", description="Flink's REST API and Web UI")
    api_url: str = Field("http://127.0.0.1:8000", description="address of the API, for `make smoke`")
    smoke_seconds: float = Field(
        60.0, gt=0, description="how long `make smoke` waits for what should come by itself"
    )


class SmokeError(TickstreamError):
    """Something that a running system should do, it does not; the message says what to look at."""


def smoke(environment: Mapping[str, str], report: Report) -> int:
    """Runs all checks; reports a line for each; returns the exit code."""
    checks = Checks(load_settings(SmokeSettings, environment))
    failed = 0
    for name, check in checks.all:
        try:
            detail = check()
        except (TickstreamError, KafkaError, httpx.HTTPError) as error:
            failed += 1
            report(f"  FAILED  {name}: {checks.explain(error)}")
        else:
            report(f"  ok      {name}: {detail}")
    report(f"{failed} of {len(checks.all)} checks failed" if failed else "everything works")
    return 1 if failed else 0


class Checks:
    """The checks, in the order of a trade's way. Each returns what it saw, or raises."""

    def __init__(self, settings: SmokeSettings) -> None:
        self._settings = settings
        self._topics = Topics(settings.topic_prefix)
        self._trade: Trade | None = None
        self.all: tuple[tuple[str, Callable[[], str]], ...] = (
            ("Kafka has the topics", self.topics),
            ("the registry has the schemas", self.subjects),
            ("trades arrive", self.trades),
            ("Flink runs the jobs", self.jobs),
            ("candles are made", self.candles),
            ("the trade is stored", self.stored),
            ("every part is ready", self.ready),
            ("the API serves the candle", self.served),
        )

    def explain(self, error: Exception) -> str:
        """What is wrong and what to do about it."""
        if isinstance(error, KafkaError):
            servers = self._settings.kafka_bootstrap_servers
            return f"Kafka does not answer at {servers} ({error}): `make status`, `make logs PART=kafka`"
        if isinstance(error, httpx.RequestError):
            return f"{error.request.url} does not answer ({error}): `make status` and `make logs` say why"
        if isinstance(error, httpx.HTTPStatusError):
            return f"{error}: `make logs` says why"
        return str(error)

    def topics(self) -> str:
        consumer = self._consumer()
        try:
            missing = set(self._topics.names) - consumer.topics()
        finally:
            consumer.close()
        if missing:
            raise SmokeError(f"there is no {', '.join(sorted(missing))}: run `make topics`")
        return ", ".join(sorted(self._topics.names))

    def subjects(self) -> str:
        answer = httpx.get(f"{self._settings.schema_registry_url}/subjects", timeout=5).raise_for_status()
        wanted = {self._topics.subject(name) for name in self._topics.record_types}
        missing = wanted - set(answer.json())
        if missing:
            raise SmokeError(f"there is no {', '.join(sorted(missing))}: run `make topics`")
        return f"{len(wanted)} subjects"

    def trades(self) -> str:
        self._trade = trade = self._next(
            self._topics.trades, Trade, "is the producer running? `make logs PART=producer`"
        )
        age_ms = int(time.time() * 1000) - trade.event_time // 1000
        return f"{trade.symbol} {trade.size:g} at {trade.price:g}, {age_ms} ms old"

    def jobs(self) -> str:
        flink = self._settings.flink_rest_url
        jobs = {
            job["name"]: job
            for job in self._json(f"{flink}/jobs/overview")["jobs"]
            if job["state"] == "RUNNING"
        }
        ages = []
        for name in (self._topics.job_name(job) for job in ("bars", "store")):
            if name not in jobs:
                raise SmokeError(f"job {name} does not run: `make logs PART=jobs`, and {flink} in a browser")
            url = f"{flink}/jobs/{jobs[name]['jid']}/checkpoints"
            age = self._await(
                partial(self._checkpoint_age, url),
                f"{name} completes no checkpoint: see its Checkpoints in {flink}",
            )
            ages.append(f"{name} (checkpoint {age:.0f} s old)")
        return ", ".join(ages)

    def candles(self) -> str:
        candle = self._next(
            self._topics.candles,
            Candle,
            "the bars job makes none: `make logs PART=taskmanager` and Flink's Web UI",
        )
        return f"{candle.symbol} {candle.interval}, {candle.trades} trades, version {candle.version}"

    def stored(self) -> str:
        trade = self._seen()
        session = connect(self._settings)
        try:
            key = (trade_minute(trade.event_time), trade_shard(trade.symbol), trade.symbol, trade.event_time)
            tick = (
                "SELECT trade_id FROM {} WHERE minute = %s AND shard = %s AND symbol = %s AND event_time = %s"
            )
            bar = "SELECT trades FROM {} WHERE symbol = %s AND bucket = %s AND start = %s"
            start = bar_start(trade.event_time, INTERVAL)
            bar_key = (trade.symbol, gold_bucket(INTERVAL, start), start // 1000)
            queries = {
                "trades_bronze": (tick, key),
                "trades_silver": (tick, key),
                GOLD_TABLES[INTERVAL]: (bar, bar_key),
            }
            for table, (query, values) in queries.items():
                self._await(
                    partial(_first_row, session, query.format(table), values),
                    f"{table} has nothing of {trade.symbol} {trade.trade_id}: the store job is behind or"
                    f" fails, see its Exceptions in {self._settings.flink_rest_url}",
                )
        finally:
            session.cluster.shutdown()
        return f"{trade.symbol} {trade.trade_id} in {', '.join(queries)}"

    def ready(self) -> str:
        url = f"{self._settings.api_url}/ready"
        parts: dict[str, Any] = self._await(
            lambda: (answer := self._json(url)) and answer["ready"] and answer["parts"],
            lambda: "; ".join(
                f"{name}: {part['reason']}"
                for name, part in self._json(url)["parts"].items()
                if not part["ready"]
            ),
        )
        return ", ".join(parts)

    def served(self) -> str:
        trade = self._seen()
        url = f"{self._settings.api_url}/api/v1/candles/{trade.symbol}?interval={INTERVAL}&limit=5"
        candles = self._await(
            lambda: self._json(url)["candles"], f"{url} has no candle of {trade.symbol}: `make logs PART=api`"
        )
        return f"{trade.symbol} {candles[0]['start']}, {candles[0]['trades']} trades"

    def _seen(self) -> Trade:
        if self._trade is None:
            raise SmokeError("no trade came that could be looked for, see above")
        return self._trade

    def _next(self, topic: str, event_type: type[Event], advice: str) -> Any:
        """The next event of a topic that comes from now on; kafka-python stands for any foreign consumer."""
        # Corrections are beside the trades.
        types = (Trade, Correction) if event_type is Trade else event_type
        decoder = Decoder(types, RegistryLookup(self._settings.schema_registry_url))
        consumer = self._consumer()
        try:
            numbers = consumer.partitions_for_topic(topic)
            if not numbers:
                raise SmokeError(f"there is no topic {topic}: run `make topics`")
            partitions = [TopicPartition(topic, number) for number in numbers]
            consumer.assign(partitions)
            consumer.seek_to_end(*partitions)
            deadline = time.monotonic() + self._settings.smoke_seconds
            while time.monotonic() < deadline:
                for records in consumer.poll(timeout_ms=500).values():
                    for record in records:
                        if record.value is None:  # a heartbeat
                            continue
                        event = decoder.decode(record.value)
                        if isinstance(event, event_type):
                            return event
        except PoisonError as error:
            raise SmokeError(f"{topic} holds a record that is no {event_type.__name__}: {error}") from error
        finally:
            consumer.close()
        raise SmokeError(f"nothing came on {topic} within {self._settings.smoke_seconds:g} s: {advice}")

    def _consumer(self) -> KafkaConsumer:
        servers = self._settings.kafka_bootstrap_servers.split(",")
        return KafkaConsumer(bootstrap_servers=servers, bootstrap_timeout_ms=BOOTSTRAP_MS)

    def _checkpoint_age(self, url: str) -> float | None:
        completed = self._json(url)["latest"]["completed"]
        age = time.time() - completed["latest_ack_timestamp"] / 1000 if completed else None
        return age if age is not None and age < MAX_CHECKPOINT_AGE_S else None

    def _await(self, look: Callable[[], Any], otherwise: str | Callable[[], str]) -> Any:
        """What ``look`` returns as soon as it is something; raises SmokeError after ``smoke_seconds``."""
        deadline = time.monotonic() + self._settings.smoke_seconds
        while not (found := look()):
            if time.monotonic() > deadline:
                raise SmokeError(otherwise if isinstance(otherwise, str) else otherwise())
            time.sleep(POLL_S)
        return found

    @staticmethod
    def _json(url: str) -> Any:
        answer = httpx.get(url, timeout=10)
        if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:  # /ready says with it what is not
            answer.raise_for_status()
        return answer.json()


def _first_row(session: Session, query: str, values: tuple[object, ...]) -> object:
    return session.execute(query, values).one()


def main() -> int:
    """Checks the system that the environment points to; returns the exit code."""
    return smoke(os.environ, Console().line)


if __name__ == "__main__":
    sys.exit(main())
