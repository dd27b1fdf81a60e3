"""History from a real Cassandra over HTTP: as it was known, without holes, as files, and kept by clients."""

import asyncio
import csv
import dataclasses
import io
import time
from typing import Any

import httpx
import pytest
import uvicorn
from pyarrow import parquet
from structlog.testing import capture_logs

from schemas.events import Candle
from schemas.intervals import INTERVALS, MINUTE_US, bar_start
from schemas.settings import CassandraSettings
from tests.support.api import (
    Tables,
    a_candle,
    a_trade,
    candle_json,
    eventually,
    get,
    running_api,
    utc,
)
from tests.support.ports import free_ports
from tests.unit.api.fake_market import NOW, Market, final_bars, history_app

pytestmark = pytest.mark.servers
SECOND = 1_000_000
PATH = "/api/v1/candles/KNOWN"


def made(candle: Candle, version: int, updated_at: int) -> Candle:
    """Another version of the bar, with values of its own."""
    return dataclasses.replace(
        candle, version=version, final=version % 2 == 1, updated_at=updated_at, close=100.0 + version % 1000,
        indicators={"sma_20": float(version)},
    )  # fmt: skip


@pytest.fixture(scope="module")
def base() -> int:
    """The minute in which the history begins: two hours ago."""
    return bar_start(time.time_ns() // 1000, "1h") - INTERVALS["1h"]


@pytest.fixture(scope="module")
def known(tables: Tables, base: int) -> list[list[Candle]]:
    """Three bars with their versions, oldest first: one final, one revised, and one rebuilt by a new
    generation; written out of order, as after a failure."""
    tables.symbol("KNOWN")
    bars = [a_candle("KNOWN", "1m", base + n * MINUTE_US, n) for n in range(3)]
    versions = [
        [made(bars[0], 2, base + 5 * SECOND), made(bars[0], 5, base + 61 * SECOND)],
        [made(bars[1], 6, base + 65 * SECOND), made(bars[1], 9, base + 121 * SECOND),
         made(bars[1], 11, base + 150 * SECOND)],
        [made(bars[2], 13, base + 181 * SECOND), made(bars[2], 2**33 + 8, base + 1000 * SECOND),
         made(bars[2], 2**33 + 13, base + 1001 * SECOND)],
    ]  # fmt: skip
    for bar in versions:
        tables.candle(bar[-1])
        for version in reversed(bar):
            tables.version(version)
    return versions


def as_of_json(known: list[list[Candle]], as_of: int) -> list[dict[str, Any]]:
    """The bars that the API must show for a time."""
    then = [[version for version in bar if version.updated_at <= as_of] for bar in known]
    return [candle_json(bar[-1]) | {"indicators": bar[-1].indicators} for bar in reversed(then) if bar]


def test_every_bar_is_as_it_was_known_also_after_a_restart(
    api: httpx.Client, cassandra: CassandraSettings, known: list[list[Candle]]
) -> None:
    """Before the first version, between any two, behind the last; at the moment of each and just before."""
    moments = sorted({version.updated_at + step for bar in known for version in bar for step in (-1, 0)})

    def answers(client: httpx.Client) -> list[Any]:
        return [get(client, PATH, as_of=utc(moment), include="indicators")["candles"] for moment in moments]

    expected = [as_of_json(known, moment) for moment in moments]
    assert expected[0] == []
    assert len({str(shown) for shown in expected}) == len(known[0]) + len(known[1]) + len(known[2]) + 1
    assert answers(api) == expected
    with running_api(cassandra) as (restarted, _):
        eventually(lambda: restarted.get("/ready").json()["parts"]["cassandra"]["ready"])
        assert answers(restarted) == expected


def test_pages_of_a_time_join(api: httpx.Client, known: list[list[Candle]], base: int) -> None:
    """The cursor goes on from bars that are shown as they were."""
    as_of = base + 200 * SECOND
    seen: list[Any] = []
    parameters: dict[str, str | int] = {"limit": 1, "as_of": utc(as_of), "include": "indicators"}
    while True:
        body = get(api, PATH, **parameters)
        seen += body["candles"]
        if body["next_cursor"] is None:
            break
        parameters["cursor"] = body["next_cursor"]
    assert seen == as_of_json(known, as_of)


def test_a_time_of_too_long_ago_is_refused(api: httpx.Client, known: list[list[Candle]]) -> None:
    """Versions are kept for seven days."""
    response = api.get(PATH, params={"as_of": utc(time.time_ns() // 1000 - 8 * INTERVALS["1d"])})
    assert (response.status_code, response.json()["error"]["code"]) == (422, "as_of_too_old")
    assert known


@pytest.fixture(scope="module")
def holes(tables: Tables, base: int) -> list[Candle]:
    """Final bars of most minutes of an hour, and one of now; oldest first."""
    tables.symbol("HOLES")
    numbers = [n for n in range(60) if n % 7 and not 20 < n < 35]
    bars = [
        dataclasses.replace(a_candle("HOLES", "1m", base - (60 - n) * MINUTE_US, n), final=True)
        for n in numbers
    ]
    for bar in bars:
        tables.candle(bar)
    now = bar_start(time.time_ns() // 1000, "1m")
    tables.candle(a_candle("HOLES", "1m", now, 61))
    return bars


def filled_json(bar: Candle, start: int) -> dict[str, Any]:
    """What the API must show where nobody traded after ``bar``."""
    prices = dict.fromkeys(("open", "high", "low", "close"), bar.close)
    return {
        "symbol": bar.symbol, "interval": "1m", "start": utc(start), "end": utc(start + MINUTE_US), **prices,
        "volume": 0.0, "notional": 0.0, "vwap": None, "trades": 0, "final": True, "version": 0,
        "sources": [], "late_trades": None, "updated_at": None, "quality": None,
        "observed": None, "filled": True,
    }  # fmt: skip


def filled(bars: list[Candle], end: int) -> list[dict[str, Any]]:
    """All minutes from the first bar to ``end``, newest first."""
    by_start = {bar.start: bar for bar in bars}
    rows, before = [], bars[0]
    for start in range(bars[0].start, end, MINUTE_US):
        before = by_start.get(start, before)
        real = candle_json(before) | {"filled": False}
        rows.append(real if start in by_start else filled_json(before, start))
    return rows[::-1]


@pytest.mark.parametrize("limit", [7, 1000])
def test_minutes_in_which_nobody_traded_are_filled_across_pages(
    api: httpx.Client, holes: list[Candle], base: int, limit: int
) -> None:
    """Whether a page ends in a hole or at a bar."""
    seen: list[Any] = []
    parameters: dict[str, str | int] = {"limit": limit, "fill": "forward", "to": utc(base)}
    while True:
        body = get(api, "/api/v1/candles/HOLES", **parameters)
        seen += body["candles"]
        if body["next_cursor"] is None:
            break
        parameters["cursor"] = body["next_cursor"]
    assert seen == filled(holes, base)


def text(value: Any) -> str:
    """A value of JSON as CSV writes it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return ";".join(value) if isinstance(value, list) else str(value)


def read_parquet(content: bytes) -> list[dict[str, Any]]:
    """The rows as JSON has them."""
    # Threads of Arrow that are still ending when the process does abort it.
    rows = parquet.ParquetFile(io.BytesIO(content)).read(use_threads=False).to_pylist()
    return [
        {key: text_of_time(value) if hasattr(value, "isoformat") else value for key, value in row.items()}
        for row in rows
    ]


def text_of_time(value: Any) -> str:
    written: str = value.isoformat().replace("+00:00", "Z")
    return written


def test_a_whole_range_as_a_file_is_what_json_has(
    api: httpx.Client, tables: Tables, holes: list[Candle], base: int
) -> None:
    """Bars, filled bars and trades, by parameter and by Accept."""
    trades = [a_trade("HOLES", bar.start + n, n) for n, bar in enumerate(holes)]
    for trade in trades:
        tables.trade(trade)
    until = {"to": utc(base)}
    for path, name, parameters in (
        ("/api/v1/candles/HOLES", "candles", {**until, "interval": "1min"}),
        ("/api/v1/candles/HOLES", "candles", {**until, "fill": "forward"}),
        ("/api/v1/trades/HOLES", "trades", until),
    ):
        rows = get(api, path, limit=1000, **parameters)[name]
        assert len(rows) >= len(holes)
        as_csv = api.get(path, params={**parameters, "format": "csv"})
        lines = list(csv.DictReader(io.StringIO(as_csv.text, newline="")))
        assert lines == [{key: text(value) for key, value in row.items()} for row in rows]
        as_parquet = api.get(path, params=parameters, headers={"Accept": "application/vnd.apache.parquet"})
        assert read_parquet(as_parquet.content) == rows
        assert as_parquet.headers["Transfer-Encoding"] == "chunked"


def test_a_settled_page_may_be_kept_and_every_page_is_answered_with_304(
    api: httpx.Client, tables: Tables, holes: list[Candle], base: int
) -> None:
    """Until it changes; only the one far behind the newest bar may be kept without asking."""
    path = "/api/v1/candles/HOLES"
    for parameters, cache in (({"to": utc(base)}, "private, max-age=3600"), ({}, "private, no-cache")):
        response = api.get(path, params=parameters)
        assert response.headers["Cache-Control"] == cache
        tag = {"If-None-Match": response.headers["ETag"]}
        again = api.get(path, params=parameters, headers=tag)
        assert (again.status_code, again.content) == (304, b"")
    newer = dataclasses.replace(holes[-1], version=holes[-1].version + 2, close=1.0)
    tables.candle(newer)
    changed = api.get(path, params={"to": utc(base)}, headers=tag)
    assert (changed.status_code, changed.json()["candles"][0]["close"]) == (200, 1.0)


def test_a_download_that_loses_its_storage_is_no_whole_file() -> None:
    """The connection ends before the body does: no client takes it for all there is."""
    market = Market(final_bars(*(NOW - n * MINUTE_US for n in range(1200))))
    market.broken_after = 2

    async def run() -> None:
        config = uvicorn.Config(history_app(market), port=free_ports(1)[0], log_config=None, lifespan="off")
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        address = f"http://127.0.0.1:{config.port}/api/v1/candles/A?format=csv"
        async with httpx.AsyncClient(trust_env=False) as client, client.stream("GET", address) as response:
            assert response.status_code == 200
            with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
                await response.aread()
        server.should_exit = True
        await serving

    with capture_logs() as logs:
        asyncio.run(run())
    assert [entry["log_level"] for entry in logs if entry["event"] == "request_failed"] == ["error"]
