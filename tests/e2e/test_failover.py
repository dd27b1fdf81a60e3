"""Two providers, of which the first dies and comes back, through the real producer, jobs, tables and REST;
then what nobody saw is pulled out of the history of the first."""

import csv
import subprocess
import sys
import time
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
from tests.support.ports import free_ports
from tests.support.reading import eventually
from tests.support.trade_history import Kept, TradeHistory
from tests.support.trading_provider import EVERY_S, TradingProvider, finnhub, polygon

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


def acknowledged(*ledgers: Path) -> list[tuple[int, str, float]]:
    """(event time, source, size) of each trade that Kafka has taken, by event time; one that it took twice
    counts once."""
    trades: dict[tuple[str, str], tuple[int, str, float]] = {}
    for ledger in ledgers:
        if ledger.exists():
            with ledger.open(encoding="utf-8") as lines:
                rows = [row for row in csv.reader(lines) if len(row) == 9]
            trades |= {(row[1], row[2]): (int(row[3]), row[1], float(row[6])) for row in rows}
    return sorted(trades.values())


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
            early_in_a_minute()
            first.stop()
            reached("polygon", "finnhub")
            first.start()
            reached("polygon", "finnhub", "polygon")
    trades = acknowledged(ledger)
    with httpx.Client(base_url=api_url(live_system.environment), trust_env=False) as api:
        bars_equal(api, symbol, trades)
        assert ["finnhub", "polygon"] in [bar["sources"] for bar in bars(api, symbol)]
        gaps_are_on_record(api, symbol)
        bars_say_what_was_observed(api, symbol, trades)
        a_backfill_fills_the_gaps(api, symbol, ledger, first.sent, live_system.environment)


def early_in_a_minute() -> None:
    """So that the change of source falls in the middle of one, with trades of both on either side, and what
    is missed lies within one hour: over the end of one it would be two records."""
    seconds = time.time() % 60
    if seconds > 45:
        time.sleep(60 - seconds + STAGE_TRADES * EVERY_S)


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
        gaps[:] = gaps_of(api, symbol)
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
    gaps = sorted((micros(gap["start"]), micros(gap["end"])) for gap in gaps_of(api, symbol))

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


def a_backfill_fills_the_gaps(
    api: httpx.Client,
    symbol: str,
    ledger: Path,
    sent: list[tuple[int, int]],
    environment: Mapping[str, str],
) -> None:
    """The history has what the stream sent and what it did not: each trade counts once, the bars are observed
    as a whole, as new versions, and the ledger says that the gaps are filled."""
    before = bars(api, symbol)
    holes = [gap for gap in gaps_of(api, symbol) if gap["start"] < gap["end"]]
    start, end = min(gap["start"] for gap in holes), max(gap["end"] for gap in holes)
    missed = {
        at_ms // 10: at_ms
        for gap in holes
        for at_ms in range(micros(gap["start"]) // 1000 + 5, micros(gap["end"]) // 1000, 100)
    }
    kept = [Kept(*each) for each in sorted((missed | dict(sent)).items())]
    filled = ledger.with_name("filled.csv")
    with TradeHistory(lambda: kept, key="one", page=10) as history:
        settings = {
            "POLYGON_API_KEY": "one",
            "POLYGON_REST_URL": history.url,
            "POLYGON_REQUESTS_PER_MINUTE": "6000",
            "BACKFILL_DIR": str(ledger.parent / "backfill"),
            "LEDGER_FILE": str(filled),
        }
        subprocess.run(
            [sys.executable, "-m", "producer", "backfill", symbol, start, end, "--source", "polygon"],
            cwd=PROJECT,
            env={**environment, **settings},
            timeout=60,
            check=True,
        )
    trades = acknowledged(ledger, filled)
    assert len(trades) > len(acknowledged(ledger))
    bars_equal(api, symbol, trades)
    # One more than before where the gap of the start began in the minute before the first trade.
    minutes = {at // MINUTE_US for at, _, _ in trades}
    eventually(
        lambda: [bar["observed"] for bar in bars(api, symbol)] == [1.0] * len(minutes), 30, "all observed"
    )
    after = {bar["start"]: bar for bar in bars(api, symbol)}
    assert all(after[bar["start"]]["version"] > bar["version"] for bar in before if bar["observed"] < 1)
    eventually(
        lambda: all(gap["filled"] for gap in gaps_of(api, symbol) if gap["start"] < gap["end"]),
        30,
        "gaps that are filled",
    )


def gaps_of(api: httpx.Client, symbol: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.get("/api/v1/gaps", params={"symbol": symbol}).json()["gaps"]
    return found


def micros(text: str) -> int:
    """A time of the API in microseconds since 1970."""
    return round(datetime.fromisoformat(text).timestamp() * 1_000_000)
