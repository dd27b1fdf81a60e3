"""Bars and indicators whose right values are known, through the real jobs, back over REST.

One replay holds everything: reference bars as trades, a cancelled and a corrected trade, condition codes, and
days on which New York changes its clock. Bars of a provider go through the jobs of the live system.
"""

import csv
import json
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from docker.local.settings import PROJECT
from jobs.domain.indicators import DEFAULT, Indicators
from schemas.events import ProviderBar
from schemas.settings import KafkaSettings
from tests.support.live import Market
from tests.support.reading import dead_letters, eventually, session_of
from tests.support.replays import Done, Replays
from tests.unit.jobs.test_provider_bars import MARKET, a_bar, expected

pytestmark = pytest.mark.servers
RECORDED = PROJECT.parent / "shared/data/indicators"
NEW_YORK = ZoneInfo("America/New_York")
SOURCE = "reference"
EXACT = 1e-9
"""Relative."""
DAILY, MINUTES, CORRECTED, CODED, CLOCKS = (
    "REF.DAILY",
    "REF.MINUTES",
    "REF.CORRECTED",
    "REF.CODED",
    "REF.CLOCKS",
)
NAMES = {
    "sma20": "sma_20", "ema20": "ema_20", "ema12": "ema_12", "ema26": "ema_26", "macd": "macd_12_26_9",
    "macd_signal": "macd_signal_12_26_9", "macd_hist": "macd_histogram_12_26_9", "rsi14": "rsi_14",
    "bb_mid": "bollinger_middle_20_2", "bb_upper": "bollinger_upper_20_2", "bb_lower": "bollinger_lower_20_2",
    "atr14": "atr_14",
}  # fmt: skip
"""Column of the reference -> our name."""


def reference(name: str) -> list[dict[str, str]]:
    """Rows of a reference; skips where it is absent."""
    file = RECORDED / name
    if not file.is_file():
        pytest.skip("the reference values (shared/data/indicators) are not on this machine")
    with file.open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def bar_as_trades(symbol: str, start_us: int, row: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Four trades that make the bar: open, high, low and close, a second apart; the first has all volume."""
    for number, name in enumerate(("open", "high", "low", "close")):
        size = float(row["volume"]) if number == 0 else 0.0
        yield trade(symbol, start_us + number * 1_000_000, float(row[name]), size)


def trade(symbol: str, event_time: int, price: float, size: float, **more: Any) -> dict[str, Any]:
    """A trade with our own field names."""
    return {"symbol": symbol, "event_time": event_time, "price": price, "size": size, "source": SOURCE,
            "trade_id": f"{event_time}", **more}  # fmt: skip


def micros(local: str) -> int:
    """New York wall-clock time as microseconds since 1970 UTC."""
    return round(datetime.fromisoformat(local).replace(tzinfo=NEW_YORK).timestamp()) * 1_000_000


def corrected_rows() -> Iterator[dict[str, Any]]:
    """The highest trade of a minute is cancelled, its last one corrected; the next minute hangs on it."""
    start = micros("2024-06-03T12:00:00")
    for second, price in ((1, 10.0), (2, 99.0), (3, 12.0), (61, 13.0)):
        yield trade(CORRECTED, start + second * 1_000_000, price, 2.0, correctable=True)
    about = {"symbol": CORRECTED, "source": SOURCE, "event_time": start + 70_000_000}
    cancelled, wrong = f"{start + 2_000_000}", f"{start + 3_000_000}"
    yield {**about, "kind": "cancel", "trade_id": cancelled, "correction_id": "c-1"}
    yield {**about, "kind": "correct", "trade_id": wrong, "correction_id": "c-2", "price": 11.0, "size": 5.0}


def coded_rows() -> Iterator[dict[str, Any]]:
    """Trades of Polygon: a plain one, an average price, an odd lot, Form T before and in regular hours."""
    for local, price, codes in (
        ("2024-06-04T08:00:01", 20.0, ["12"]),
        ("2024-06-04T12:00:01", 30.0, []),
        ("2024-06-04T12:00:02", 50.0, ["2"]),
        ("2024-06-04T12:00:03", 60.0, ["37"]),
        ("2024-06-04T12:00:04", 70.0, ["12"]),
    ):
        yield trade(CODED, micros(local), price, 1.0, source="polygon", conditions=codes)


def clock_rows() -> Iterator[dict[str, Any]]:
    """A trade every hour of the four days around each change of New York's clock in 2024."""
    for first in ("2024-03-09T00:30:00", "2024-11-02T00:30:00"):
        start = micros(first)
        for hour in range(95):
            yield trade(CLOCKS, start + hour * 3_600_000_000, 100.0 + hour, 1.0)


@pytest.fixture(scope="module")
def done(live_system: Any, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """Everything, replayed once into the live tables, where the API reads."""
    files = {"corrected": list(corrected_rows()), "clocks": list(clock_rows())}
    if RECORDED.is_dir():
        files["daily"] = [
            row
            for bar in reference("skender_daily_reference.csv")
            for row in bar_as_trades(DAILY, int(bar["ts_us"]), bar)
        ]
        files["minutes"] = [
            row
            for bar in reference("skender_vwap_intraday_reference.csv")
            for row in bar_as_trades(MINUTES, micros(bar["date_local"]), bar)
        ]
    folder = tmp_path_factory.mktemp("reference")
    paths = [write(folder / f"{name}.jsonl", rows) for name, rows in files.items()]
    paths.append(write(folder / "coded.jsonl", list(coded_rows())))
    return Replays(live_system).run(
        paths,
        live_system.cassandra.cassandra_keyspace,
        INDICATORS=f"{DEFAULT},ema:20",
        SYMBOL_CLASSES=",".join(f"{name}=us_equities" for name in (MINUTES, CODED, CLOCKS)),
    )


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """A recording as JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def api(done: Done, live_system: Any) -> Iterator[httpx.Client]:
    """REST of the live system, after the replay."""
    assert [(letter.reason, letter.detail) for letter in dead_letters(done.kafka)] == []
    url = f"http://127.0.0.1:{live_system.settings.api_port}"
    with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
        yield client


def bars(api: httpx.Client, symbol: str, interval: str) -> list[dict[str, Any]]:
    """Every bar of a symbol, oldest first, page by page."""
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        query = {"interval": interval, "limit": "300", "include": "indicators"} | (
            {"cursor": cursor} if cursor else {}
        )
        answer = api.get(f"/api/v1/candles/{symbol}", params=query)
        assert answer.status_code == 200, answer.text
        found += answer.json()["candles"]
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            return found[::-1]


def test_indicators_equal_the_reference(api: httpx.Client) -> None:
    """Every value of every day to 1e-9, and not defined on the same days."""
    rows = reference("skender_daily_reference.csv")
    days = bars(api, DAILY, "1d")
    assert len(days) == len(rows)
    for day, row in zip(days, rows, strict=True):
        prices = [float(row[name]) for name in ("open", "high", "low", "close", "volume")]
        assert [day[name] for name in ("open", "high", "low", "close", "volume")] == prices
        assert day["final"]
        expected = {ours: float(row[theirs]) for theirs, ours in NAMES.items() if row[theirs]}
        assert {name: day["indicators"][name] for name in NAMES.values() if name in day["indicators"]} == {
            name: pytest.approx(value, rel=EXACT, abs=0) for name, value in expected.items()
        }
    closes = [float(row["close"]) for row in rows]
    assert days[-1]["indicators"]["sma_200"] == pytest.approx(sum(closes[-200:]) / 200, rel=EXACT)


def test_session_vwap_equals_the_reference(api: httpx.Client) -> None:
    """Minute by minute, over a session of New York."""
    rows = reference("skender_vwap_intraday_reference.csv")
    minutes = bars(api, MINUTES, "1m")
    assert [minute["indicators"]["session_vwap"] for minute in minutes] == [
        pytest.approx(float(row["vwap_session"]), rel=EXACT, abs=0) for row in rows
    ]


def test_a_cancel_and_a_correction_make_a_new_version(api: httpx.Client, done: Done) -> None:
    """Of every interval, as if the trades had been reported like that; bars after them are made anew."""
    first, second = bars(api, CORRECTED, "1m")
    assert [first[name] for name in ("open", "high", "low", "close", "volume", "trades")] == [
        10.0, 11.0, 10.0, 11.0, 7.0, 2
    ]  # fmt: skip
    assert second["version"] == 2 * (3 + 2 + 1) + 1
    [hour] = bars(api, CORRECTED, "1h")
    assert [hour[name] for name in ("open", "high", "low", "close", "volume", "trades")] == [
        10.0, 13.0, 10.0, 13.0, 9.0, 3
    ]  # fmt: skip
    with session_of(done.cassandra) as session:
        rows = session.execute("SELECT * FROM trade_corrections ALLOW FILTERING")
        kinds = {row.correction_id: (row.kind, row.price) for row in rows if row.symbol == CORRECTED}
    assert kinds == {"c-1": ("cancel", None), "c-2": ("correct", 11.0)}


def test_condition_codes_decide_field_by_field(api: httpx.Client) -> None:
    """An average price, an odd lot and a late Form T only add volume; before the open Form T sets prices."""
    early, noon = bars(api, CODED, "1m")
    assert (early["open"], early["high"], early["volume"]) == (20.0, 20.0, 1.0)
    assert (noon["open"], noon["high"], noon["close"], noon["volume"]) == (30.0, 30.0, 30.0, 4.0)


def test_days_follow_the_clock_of_new_york(api: httpx.Client) -> None:
    """23 hours when it goes forward, 25 when it goes back; 4h bars by the wall clock; no trade is in two."""
    days = bars(api, CLOCKS, "1d")
    lengths = {day["start"]: hours(day) for day in days}
    assert (lengths["2024-03-10T05:00:00Z"], lengths["2024-11-03T04:00:00Z"]) == (23, 25)
    assert all(start.hour == 0 for start in map(local_start, days))
    quarters = bars(api, CLOCKS, "4h")
    assert {local_start(bar).hour for bar in quarters} == {0, 4, 8, 12, 16, 20}
    assert {hours(bar) for bar in quarters} == {3, 4, 5}
    assert sum(day["trades"] for day in days) == sum(bar["trades"] for bar in quarters) == 190


def test_bars_of_a_provider_come_back_with_the_indicators_of_their_series(live_system: Any) -> None:
    """Also where the oldest came last, to the last bit; marked, and beside none of ours."""
    symbol = f"PB.{uuid.uuid4().hex[:6].upper()}"
    count, now = 220, time.time_ns() // 1000
    shift = now - now % 60_000_000 - a_bar(count).start
    bars = [moved(a_bar(minute), symbol, shift) for minute in range(count)]
    bars[-1] = replace(bars[-1], final=False)
    oldest = bars[:30]
    Random(3).shuffle(oldest)
    right = expected(bars, replace(MARKET, indicators=Indicators(DEFAULT)))
    settings = KafkaSettings(
        kafka_bootstrap_servers=live_system.settings.kafka_address,
        schema_registry_url=live_system.settings.registry_url,
    )
    Market(settings).publish(*bars[30:], *oldest)
    url = f"http://127.0.0.1:{live_system.settings.api_port}/api/v1"
    query = {"limit": "300", "include": "indicators"}
    with httpx.Client(base_url=url, timeout=30, trust_env=False) as api:

        def versions() -> list[int]:
            answer = api.get(f"/candles/{symbol}", params=query)
            return [bar["version"] for bar in answer.json().get("candles", [])][::-1]

        wanted = [bar.version for bar in right.values()]
        eventually(lambda: versions() == wanted, 60, "the last version of each bar is stored")
        shown = api.get(f"/candles/{symbol}", params=query).json()["candles"][::-1]
        nothing = api.get(f"/candles/{symbol}?provider=none").json()["candles"]
        compared = api.get(f"/providers/yahoo/comparison?symbol={symbol}").json()
    for bar, theirs in zip(shown, right.values(), strict=True):
        assert bar["indicators"] == theirs.indicators
        names = ("open", "high", "low", "close", "volume", "vwap", "trades", "final", "version")
        assert [bar[name] for name in names] == [getattr(theirs, name) for name in names]
        assert (bar["provider_bar"], bar["sources"], bar["notional"]) == ("yahoo", ["yahoo"], None)
    assert "sma_200" in shown[-1]["indicators"]
    assert nothing == []
    assert (compared["bars"]["both"], compared["bars"]["only_ours"]) == (0, 0)


def moved(bar: ProviderBar, symbol: str, shift: int) -> ProviderBar:
    """The bar of another symbol at another time, in microseconds."""
    times = {name: getattr(bar, name) + shift for name in ("start", "end", "received_at")}
    return replace(bar, symbol=symbol, **times)


def hours(bar: dict[str, Any]) -> float:
    start, end = (datetime.fromisoformat(bar[name]) for name in ("start", "end"))
    return (end - start) / timedelta(hours=1)


def local_start(bar: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(bar["start"]).astimezone(NEW_YORK)
