"""Two providers, of which the first dies and comes back, through the real producer, jobs, tables and REST."""

import csv
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import httpx
import pytest

from docker.local.settings import PROJECT
from tests.support.reading import eventually
from tests.support.servers import free_ports
from tests.support.trading_provider import TradingProvider, finnhub, polygon

pytestmark = pytest.mark.servers
MINUTE_US = 60_000_000
STAGE_TRADES = 20
"""Trades of a source before something happens to it."""


@contextmanager
def producing(environment: Mapping[str, str], settings: Mapping[str, str]) -> Iterator[None]:
    """A producer beside the one of the live system; it must end well."""
    [port] = free_ports(1)
    process = subprocess.Popen(
        [sys.executable, "-m", "producer"],
        cwd=PROJECT,
        env={**environment, "PRODUCER_METRICS_PORT": str(port), **settings},
    )
    try:
        yield
    finally:
        process.terminate()
        code = process.wait(30)
    assert code == 0


def acknowledged(ledger: Path) -> list[tuple[int, str, float]]:
    """(event time, source, size) of each trade that Kafka has taken, by event time."""
    if not ledger.exists():
        return []
    with ledger.open(encoding="utf-8") as lines:
        rows = [row for row in csv.reader(lines) if len(row) == 9]
    return sorted((int(row[3]), row[1], float(row[6])) for row in rows)


def phases(ledger: Path) -> list[tuple[str, int]]:
    """The sources in the order of their trades' times, each with how many there were in a row."""
    trades = acknowledged(ledger)
    return [(source, len(list(group))) for source, group in groupby(trades, key=lambda trade: trade[1])]


def test_a_bar_goes_on_with_another_source_and_says_so(live_system: Any, tmp_path: Path) -> None:
    """Each trade counts once, each bar names whose trades it has, and what nobody saw is on record."""
    symbol = f"FO.{uuid.uuid4().hex[:6].upper()}"
    ledger = tmp_path / "ledger.csv"
    with TradingProvider(polygon, symbol) as first, TradingProvider(finnhub, symbol) as second:
        settings = {
            "SOURCES": "polygon,finnhub",
            "SYMBOLS": symbol,
            "LEDGER_FILE": str(ledger),
            "POLYGON_URL": first.url,
            "POLYGON_API_KEY": "one",
            "FINNHUB_URL": second.url,
            "FINNHUB_API_KEY": "two",
            "FAILOVER_AFTER_SECONDS": "1",
            "FAILOVER_RETURN_SECONDS": "3",
            "FAILOVER_HOLD_SECONDS": "1",
            "PROVIDER_BACKOFF_SECONDS": "0.2",
            "PROVIDER_BACKOFF_CAP_SECONDS": "0.5",
        }

        def reached(*sources: str) -> None:
            eventually(
                lambda: (
                    [source for source, _ in phases(ledger)] == list(sources)
                    and phases(ledger)[-1][1] >= STAGE_TRADES
                ),
                60,
                f"trades of {' and then '.join(sources)}",
            )

        with producing(live_system.environment, settings):
            reached("polygon")
            first.stop()
            reached("polygon", "finnhub")
            first.start()
            reached("polygon", "finnhub", "polygon")
    trades = acknowledged(ledger)
    with httpx.Client(base_url=api_url(live_system.environment), trust_env=False) as api:
        bars_equal(api, symbol, trades)
        gaps_are_on_record(api, symbol)
        bars_say_what_was_observed(api, symbol, trades)


def bars(api: httpx.Client, symbol: str) -> list[dict[str, Any]]:
    """The bars of a minute, the oldest first."""
    answer = api.get(f"/api/v1/candles/{symbol}", params={"interval": "1m"})
    found: list[dict[str, Any]] = answer.json()["candles"] if answer.status_code == 200 else []
    return found[::-1]


def api_url(environment: Mapping[str, str]) -> str:
    return f"http://127.0.0.1:{environment['API_PORT']}"


def bars_equal(api: httpx.Client, symbol: str, trades: list[tuple[int, str, float]]) -> None:
    """Count, volume and sources of each minute's bar are those of the ledger."""
    counts = Counter(at // MINUTE_US for at, _, _ in trades)

    eventually(
        lambda: [bar["trades"] for bar in bars(api, symbol)] == [counts[minute] for minute in sorted(counts)],
        90,
        f"bars with {dict(counts)} trades",
    )
    for bar, minute in zip(bars(api, symbol), sorted(counts), strict=True):
        inside = [trade for trade in trades if trade[0] // MINUTE_US == minute]
        assert bar["volume"] == sum(size for _, _, size in inside)
        assert bar["sources"] == sorted({source for _, source, _ in inside})


def gaps_are_on_record(api: httpx.Client, symbol: str) -> None:
    """The hole is covered, and both changes are told, the newest first."""
    gaps: list[dict[str, Any]] = []

    def told() -> bool:
        gaps[:] = api.get("/api/v1/gaps", params={"symbol": symbol}).json()["gaps"]
        return len(gaps) >= 4 and all(gap["closed"] for gap in gaps)

    eventually(told, 30, "gaps on REST")
    by_time = sorted(gaps, key=lambda gap: (gap["start"], gap["end"]))
    started, hole, over, back = by_time[-4:]
    assert [(gap["reason"], gap["source"]) for gap in (started, hole, over, back)] == [
        ("start", "polygon"),
        ("disconnect", "polygon"),
        ("failover", "finnhub"),
        ("failover", "polygon"),
    ]
    assert hole["end"] == over["start"]
    assert hole["start"] < hole["end"]
    assert started["end"] <= hole["start"]
    assert back["detail"] == "finnhub -> polygon: return"


def bars_say_what_was_observed(api: httpx.Client, symbol: str, trades: list[tuple[int, str, float]]) -> None:
    """Of each minute what the ledger leaves; of one that still grows, up to the last that is known of it."""
    answer = api.get("/api/v1/gaps", params={"symbol": symbol}).json()["gaps"]
    gaps = sorted((micros(gap["start"]), micros(gap["end"])) for gap in answer if not gap["filled"])

    def expected(bar: dict[str, Any]) -> float:
        start, end = micros(bar["start"]), micros(bar["end"])
        if not bar["final"]:
            known = [at for at, _, _ in trades if at < end] + [last for first, last in gaps if first < end]
            end = min(end, max(known))
        missed, reached = 0, start
        for first, last in gaps:
            missed += max(0, min(last, end) - max(first, reached))
            reached = max(reached, min(last, end))
        return 1 - missed / (end - start)

    eventually(
        lambda: (
            [bar["observed"] for bar in bars(api, symbol)]
            == pytest.approx([expected(bar) for bar in bars(api, symbol)], abs=1e-9)
        ),
        30,
        "bars that say what was observed",
    )


def micros(text: str) -> int:
    """A time of the API in microseconds since 1970."""
    return round(datetime.fromisoformat(text).timestamp() * 1_000_000)
