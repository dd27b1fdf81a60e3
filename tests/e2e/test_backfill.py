"""A gap of another day: its trades out of a history, replayed, and then the ledger says so."""

import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest

from docker.local.settings import PROJECT
from schemas.events import Gap
from schemas.intervals import INTERVALS
from schemas.settings import KafkaSettings
from tests.support.live import Market
from tests.support.reading import eventually
from tests.support.replays import Replays
from tests.support.trade_history import Kept, TradeHistory

pytestmark = pytest.mark.servers
SECOND_US, DAY_US = 1_000_000, INTERVALS["1d"]


def a_gap(symbol: str, start: int, end: int) -> Gap:
    return Gap(f"disconnect:{symbol}:polygon:{start}", symbol, "polygon", start, end, True, "disconnect")


def test_a_gap_beyond_the_horizon_is_filled_by_a_replay(live_system: Any, tmp_path: Path) -> None:
    """Whole bars are made of the history, and all of them are observed; the gap of a day that the recording
    does not have stays one."""
    environment = live_system.environment
    symbol = f"BF.{uuid.uuid4().hex[:6].upper()}"
    now_us = time.time_ns() // 1000
    day = now_us - now_us % DAY_US - 2 * DAY_US
    noon = day + DAY_US // 2
    inside = a_gap(symbol, noon + 70 * SECOND_US, noon + 95 * SECOND_US)
    before = a_gap(symbol, day - 70 * SECOND_US, day - 45 * SECOND_US)
    kafka = KafkaSettings(
        kafka_bootstrap_servers=environment["KAFKA_BOOTSTRAP_SERVERS"],
        schema_registry_url=environment["SCHEMA_REGISTRY_URL"],
    )
    Market(kafka).publish(before, inside)
    market = [Kept(number, (noon + number * 5 * SECOND_US) // 1000) for number in range(36)]
    market.append(Kept(100, (day + DAY_US) // 1000 - 1))
    folder = tmp_path / "backfill"
    with TradeHistory(lambda: market, key="one", page=20) as history:
        settings = {
            "POLYGON_API_KEY": "one",
            "POLYGON_REST_URL": history.url,
            "POLYGON_REQUESTS_PER_MINUTE": "6000",
            "BACKFILL_DIR": str(folder),
        }
        asked = symbol, str(inside.start // 1000), str(inside.end // 1000)
        subprocess.run(
            [sys.executable, "-m", "producer", "backfill", *asked, "--source", "polygon"],
            cwd=PROJECT,
            env={**environment, **settings},
            timeout=60,
            check=True,
        )
    [recording] = folder.glob("*.jsonl")
    keyspace = environment.get("CASSANDRA_KEYSPACE", "market")
    done = Replays(live_system).run([recording], keyspace, GENERATION="1").result
    assert (done.dead_letters, done.filled_gaps) == (0, 1)
    api_url = f"http://127.0.0.1:{environment['API_PORT']}"
    with httpx.Client(base_url=api_url, trust_env=False) as api:

        def filled() -> dict[str, bool]:
            gaps = api.get("/api/v1/gaps", params={"symbol": symbol}).raise_for_status().json()["gaps"]
            return {gap["gap_id"]: gap["filled"] for gap in gaps}

        eventually(
            lambda: filled() == {inside.gap_id: True, before.gap_id: False}, 30, "a gap that is filled"
        )
        for interval, counts in (("1m", [1, 12, 12, 12]), ("1d", [37])):
            query = {"interval": interval, "from": str(day // 1000)}
            found = api.get(f"/api/v1/candles/{symbol}", params=query).raise_for_status().json()["candles"]
            assert [bar["trades"] for bar in found] == counts
            assert all(bar["final"] and bar["observed"] == 1 for bar in found)
            assert all(bar["version"] >= 2**33 for bar in found)
