"""Stopping and starting a stream over the API: a real producer, a real Kafka, a real API."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from schemas.events import Gap, Trade
from schemas.settings import CassandraSettings, TopicSettings
from schemas.topics import Topics
from tests.pipeline.test_publisher import Producer, read
from tests.support.api import eventually, running_api
from tests.support.ports import free_ports

pytestmark = pytest.mark.servers


def admin_key(cassandra: CassandraSettings) -> dict[str, str]:
    """Headers with a key that may stop streams."""
    made = subprocess.run(
        [sys.executable, "-m", "api", "keys", "create", "streams", "--scopes", "admin"],
        env={
            **os.environ,
            "CASSANDRA_PORT": str(cassandra.cassandra_port),
            "CASSANDRA_KEYSPACE": cassandra.cassandra_keyspace,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return {"Authorization": f"Bearer {made.stdout.strip()}"}


def newest(topics: TopicSettings, symbol: str) -> int:
    """Event time of the newest trade in Kafka; 0 where there is none."""
    records = read(topics, Topics(topics.topic_prefix).trades, Trade)
    return max(
        (one.event.event_time for one in records if one.event and one.event.symbol == symbol), default=0
    )


def test_a_stream_is_stopped_stays_so_across_a_restart_and_is_started_again(
    topics: TopicSettings, cassandra: CassandraSettings, tmp_path: Path
) -> None:
    """Nothing of it is published meanwhile, the other symbol goes on, and the time is one closed gap."""
    [port] = free_ports(1)
    simulated = {
        "PRODUCER_METRICS_PORT": str(port),
        "TRADES_PER_SECOND": "200",
        "SIMULATOR_SCENARIOS": "none",
        "SYMBOLS": "AAPL,MSFT",
    }
    log = tmp_path / "api.log"
    producer = Producer(topics, tmp_path, **simulated)
    with running_api(
        cassandra,
        log=log,
        KAFKA_BOOTSTRAP_SERVERS=topics.kafka_bootstrap_servers,
        SCHEMA_REGISTRY_URL=topics.schema_registry_url,
        TOPIC_PREFIX=topics.topic_prefix,
        PRODUCER_METRICS_URL=f"http://127.0.0.1:{port}/metrics",
        SYMBOLS="AAPL,MSFT",
    ) as (client, _):
        headers = admin_key(cassandra)

        def order(what: str) -> httpx.Response:
            return client.post(f"/api/v1/streams/aapl/{what}", headers=headers)

        def streams() -> dict[str, tuple[str, int]]:
            listed = client.get("/api/v1/streams").raise_for_status().json()["streams"]
            return {one["symbol"]: (one["status"], one["trades"]) for one in listed}

        producer.wait_for(100)
        eventually(lambda: client.get("/ready").json()["parts"]["producer"]["ready"])
        eventually(lambda: order("stop").status_code == 200)
        assert streams()["AAPL"][0] == "stopped"
        stopped_at = newest(topics, "AAPL")
        before = streams()["MSFT"][1]
        eventually(lambda: streams()["MSFT"][1] > before + 50)
        producer.end(signal.SIGKILL)
        assert client.get("/api/v1/streams").json()["error"]["code"] == "producer_unavailable"
        producer = Producer(topics, tmp_path, **simulated)
        eventually(lambda: client.get("/api/v1/streams").status_code == 200)
        eventually(lambda: streams()["MSFT"][1] > 50)
        assert streams()["AAPL"] == ("stopped", 0)
        assert newest(topics, "AAPL") == stopped_at
        listed = client.get("/api/v1/providers").json()["providers"]
        [simulator] = [one for one in listed if one["name"] == "simulator"]
        assert (simulator["in_use"], simulator["priority"], simulator["published"] > 50) == (True, 1, True)
        assert order("start").json() == {"symbol": "AAPL", "ordered": "running", "obeyed": True}
        eventually(lambda: streams()["AAPL"][1] > 20)
    code, said = producer.end(signal.SIGTERM)
    assert code == 0, said
    told = [record.event for record in read(topics, Topics(topics.topic_prefix).gaps, Gap)]
    # Heartbeats are no gaps; and a machine that was too busy for a second has some of its own.
    gaps = [gap for gap in told if gap is not None and gap.reason != "shed"]
    assert {(gap.symbol, gap.reason, gap.source) for gap in gaps} == {("AAPL", "stopped", "simulator")}
    *_, last = sorted(gaps, key=lambda gap: (gap.end, gap.closed))
    assert last.closed
    after = [
        record.event.event_time
        for record in read(topics, Topics(topics.topic_prefix).trades, Trade)
        if record.event and record.event.symbol == "AAPL" and record.event.event_time > stopped_at
    ]
    assert min(after) > last.end - 1_000_000  # what was under way when it was started is dated before that
    lines = [
        json.loads(line) for line in log.read_text(encoding="utf-8").splitlines() if line.startswith("{")
    ]
    written = [(one["path"], one["outcome"]) for one in lines if one["event"] == "audit_write"]
    assert ("/api/v1/streams/aapl/stop", "done") in written
    assert ("/api/v1/streams/aapl/start", "done") in written
