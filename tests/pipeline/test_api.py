"""The API over real HTTP against a real Cassandra: every number that was stored, and an outage of it."""

import asyncio
import dataclasses
import signal
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from api.settings import ApiSettings
from schemas.cassandra_session import connect
from schemas.create import create_tables
from schemas.events import Candle, Trade
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
    trade_json,
    utc,
)
from tests.support.ports import free_ports

pytestmark = pytest.mark.servers
REPLAYED = int(datetime(2024, 8, 9, tzinfo=UTC).timestamp()) * 1_000_000


@pytest.mark.parametrize("interval", list(INTERVALS))
def test_every_field_of_a_bar_comes_back_as_it_was_stored(
    api: httpx.Client, tables: Tables, interval: str
) -> None:
    """Each interval from its own table, by its alias as well as its name; open bars with nulls too."""
    symbol = f"F{interval.upper()}"
    tables.symbol(symbol)
    tables.candle(a_candle(symbol, "1d", REPLAYED, 1))
    first = a_candle(symbol, interval, REPLAYED, 1)
    second = Candle(
        symbol, interval, first.end, first.end + INTERVALS[interval], None, None, None, None, 0.0, 0.0,
        None, 0, False, 0, updated_at=first.end + 7,
    )  # fmt: skip
    tables.candle(first)
    tables.candle(second)
    body = get(api, f"/api/v1/candles/{symbol}", interval=interval, **{"from": "2024-08-09"})
    assert body == {
        "symbol": symbol,
        "interval": interval,
        "candles": [candle_json(second), candle_json(first)],
        "next_cursor": None,
    }
    aliases = {"1m": "1min", "1h": "60min", "1d": "1day"}
    assert get(api, f"/api/v1/candles/{symbol.lower()}", interval=aliases.get(interval, interval)) == body


def test_a_bar_of_an_earlier_release_has_nulls_for_what_it_did_not_record(
    api: httpx.Client, tables: Tables
) -> None:
    """Columns that were added since are null, and there are no indicators; unknown is never 0."""
    tables.symbol("EARLY")
    tables.insert(
        "trades_gold_1m", symbol="EARLY", bucket="2024-08", start=REPLAYED // 1000,
        end=(REPLAYED + MINUTE_US) // 1000, volume=0.0, notional=0.0, trades=0, final=True, version=1,
    )  # fmt: skip
    (bar,) = get(api, "/api/v1/candles/EARLY", include="indicators", **{"from": "2024-08-09"})["candles"]
    assert [bar[name] for name in ("late_trades", "updated_at", "quality", "observed")] == [None] * 4
    assert bar["indicators"] == {}


@pytest.fixture(scope="module")
def new_york(tables: Tables) -> list[Candle]:
    """Days of a US symbol across a daylight-saving change, in which one is an hour longer; newest first."""
    tables.symbol("NYSE")
    hour = INTERVALS["1h"]
    starts = [int(datetime(2024, 10, day, 8, tzinfo=UTC).timestamp()) * 1_000_000 for day in (30, 31)]
    starts.append(starts[-1] + 3 * INTERVALS["1d"] + hour)
    lengths = (16 * hour, 17 * hour, 16 * hour + 1000)
    days = [
        dataclasses.replace(a_candle("NYSE", "1d", start, number), end=start + length)
        for number, (start, length) in enumerate(zip(starts, lengths, strict=True))
    ]
    for day in days:
        tables.candle(day)
    return days[::-1]


def test_days_of_other_lengths_than_24_hours_keep_their_ends_and_their_pages(
    api: httpx.Client, new_york: list[Candle]
) -> None:
    """Neither ranges nor cursors take a bar to start at midnight UTC, or to last as long as its name says."""
    path, expected = "/api/v1/candles/NYSE", [candle_json(day) for day in new_york]
    assert get(api, path, interval="1d")["candles"] == expected
    seen, cursor = [], {}
    for _ in new_york:
        body = get(api, path, interval="1d", limit=1, **cursor)
        seen += body["candles"]
        cursor = {"cursor": body["next_cursor"]}
    assert (seen, cursor) == (expected, {"cursor": None})
    first, last = utc(new_york[1].start), utc(new_york[0].start)
    assert get(api, path, interval="1d", **{"from": first, "to": last})["candles"] == expected[1:2]


def indicators_json(candle: Candle, *names: str) -> dict[str, Any]:
    """A bar in the list of indicators, with those of these names."""
    values = {name: candle.indicators[name] for name in names if name in candle.indicators}
    return {
        "start": utc(candle.start), "end": utc(candle.end), "final": candle.final,
        "version": candle.version, "values": values,
    }  # fmt: skip


def test_indicators_come_with_candles_when_they_are_asked_for(
    api: httpx.Client, history: list[Candle]
) -> None:
    """Each as an object, by name; without asking they are absent."""
    body = get(api, "/api/v1/candles/HIST", limit=3, include="indicators")
    assert body["candles"] == [
        candle_json(candle) | {"indicators": candle.indicators} for candle in history[:3]
    ]


def test_indicators_of_bars_are_listed_with_their_version(api: httpx.Client, history: list[Candle]) -> None:
    """All of them, or the named ones; one that is not there is absent, and its bar is listed all the same."""
    path = "/api/v1/indicators/hist"
    assert get(api, path, limit=3) == {
        "symbol": "HIST",
        "interval": "1m",
        "indicators": [indicators_json(candle, "sma_20", "rsi_14") for candle in history[:3]],
        "next_cursor": get(api, "/api/v1/candles/HIST", limit=3)["next_cursor"],
    }
    for names in ("rsi_14", "sma_200,rsi_14", "sma_200"):
        shown = get(api, path, limit=3, names=names)["indicators"]
        assert shown == [indicators_json(candle, *names.split(",")) for candle in history[:3]]


def test_pages_of_indicators_join_without_gap_or_overlap(api: httpx.Client, history: list[Candle]) -> None:
    """The cursors are those of candles."""
    seen: list[Any] = []
    parameters: dict[str, str | int] = {"limit": 4, "names": "sma_20"}
    while True:
        body = get(api, "/api/v1/indicators/HIST", **parameters)
        seen += body["indicators"]
        if body["next_cursor"] is None:
            break
        parameters["cursor"] = body["next_cursor"]
    assert seen == [indicators_json(candle, "sma_20") for candle in history]


def test_a_symbol_with_a_slash_is_served(api: httpx.Client, tables: Tables) -> None:
    """Crypto pairs are written so, and a client may or may not escape it."""
    candle = a_candle("BTC/USD", "1m", REPLAYED, 1)
    tables.symbol("BTC/USD")
    tables.candle(candle)
    for path in ("/api/v1/candles/BTC/USD", "/api/v1/candles/btc%2Fusd"):
        body = get(api, path, **{"from": "2024-08-09", "to": "2024-08-10"})
        assert (body["symbol"], body["candles"]) == ("BTC/USD", [candle_json(candle)])


@pytest.fixture(scope="module")
def history(tables: Tables) -> list[Candle]:
    """A symbol with 1m bars on three days of two years long past, newest first."""
    tables.symbol("HIST")
    days = [REPLAYED - 4000 * INTERVALS["1d"], REPLAYED - 40 * INTERVALS["1d"], REPLAYED]
    candles = []
    for number, day in enumerate(days):
        tables.candle(a_candle("HIST", "1d", day, number))
        for minute in range(5):
            candles.append(a_candle("HIST", "1m", day + minute * MINUTE_US, 10 * number + minute))
            tables.candle(candles[-1])
    return candles[::-1]


def test_the_latest_bars_are_found_however_old(api: httpx.Client, history: list[Candle]) -> None:
    """Without a range, the newest limit bars, over months and years that hold nothing."""
    body = get(api, "/api/v1/candles/HIST", limit=12)
    assert body["candles"] == [candle_json(candle) for candle in history[:12]]


def test_pages_of_bars_join_without_gap_or_overlap(api: httpx.Client, history: list[Candle]) -> None:
    """Following next_cursor from the newest page leads to all bars once, in order, and then to null."""
    seen: list[Any] = []
    parameters: dict[str, str | int] = {"limit": 4}
    while True:
        body = get(api, "/api/v1/candles/HIST", **parameters)
        seen += body["candles"]
        if body["next_cursor"] is None:
            break
        parameters["cursor"] = body["next_cursor"]
    assert seen == [candle_json(candle) for candle in history]


def test_from_is_inclusive_and_to_exclusive_in_every_spelling(
    api: httpx.Client, history: list[Candle]
) -> None:
    """ISO 8601 with Z, with an offset and without, and milliseconds mean the same range."""
    start, end = REPLAYED + MINUTE_US, REPLAYED + 3 * MINUTE_US
    expected = [candle_json(candle) for candle in history if start <= candle.start < end]
    assert len(expected) == 2
    for since, until in (
        ("2024-08-09T00:01:00Z", "2024-08-09T00:03:00Z"),
        ("2024-08-09T00:01", "2024-08-09T02:03:00+02:00"),
        (str(start // 1000), str(end // 1000)),
    ):
        body = get(api, "/api/v1/candles/HIST", **{"from": since, "to": until})
        assert body["candles"] == expected
        assert body["next_cursor"] is None
    day = get(api, "/api/v1/candles/HIST", **{"from": "2024-06-30", "to": "2024-07-01"})
    assert [candle["start"][:10] for candle in day["candles"]] == ["2024-06-30"] * 5


def test_a_range_may_reach_from_1970_to_the_end_of_time(
    api: httpx.Client, history: list[Candle], trades: list[Trade]
) -> None:
    """Answered like one without a range, in as many queries."""
    ever = {"from": "1970-01-01", "to": "9999-12-31T23:59:59.999999Z"}
    assert get(api, "/api/v1/candles/HIST", **ever)["candles"] == [candle_json(candle) for candle in history]
    assert get(api, "/api/v1/trades/TICK", **ever)["trades"] == [trade_json(trade) for trade in trades]


def test_a_range_without_bars_is_an_empty_list(api: httpx.Client, history: list[Candle]) -> None:
    """Nothing there is no error, for stored and for configured symbols."""
    assert history
    empty = get(api, "/api/v1/candles/HIST", **{"from": "2024-08-10", "to": "2024-08-11"})
    assert (empty["candles"], empty["next_cursor"]) == ([], None)
    assert get(api, "/api/v1/candles/QUIET")["candles"] == []
    assert get(api, "/api/v1/trades/QUIET") == {"symbol": "QUIET", "trades": [], "next_cursor": None}


@pytest.fixture(scope="module")
def trades(tables: Tables) -> list[Trade]:
    """Trades of a replayed symbol, newest first: some share their time, and minutes lie far apart."""
    tables.symbol("TICK")
    tables.candle(a_candle("TICK", "1d", REPLAYED, 0))
    written = []
    for minute in (0, 1, 2, 200, 1000):
        start = REPLAYED + minute * MINUTE_US
        tables.candle(a_candle("TICK", "1m", start, minute))
        written += [a_trade("TICK", start + (i // 3) * 1000 + 7, 10 * minute + i) for i in range(9)]
    for trade in written:
        tables.trade(trade)
    return written[::-1]


def test_every_field_of_a_trade_comes_back_as_it_was_stored(api: httpx.Client, trades: list[Trade]) -> None:
    """All trades of an old replay without a range: to the microsecond, newest first."""
    body = get(api, "/api/v1/trades/TICK", limit=1000)
    assert body == {"symbol": "TICK", "trades": [trade_json(trade) for trade in trades], "next_cursor": None}


def test_pages_of_trades_join_without_gap_or_overlap(api: httpx.Client, trades: list[Trade]) -> None:
    """Page ends fall between trades of the same microsecond too."""
    seen: list[Any] = []
    parameters: dict[str, str | int] = {"limit": 4}
    while True:
        body = get(api, "/api/v1/trades/TICK", **parameters)
        seen += body["trades"]
        if body["next_cursor"] is None:
            break
        parameters["cursor"] = body["next_cursor"]
    assert seen == [trade_json(trade) for trade in trades]


def test_a_range_of_trades_is_exact_to_the_microsecond(api: httpx.Client, trades: list[Trade]) -> None:
    """From the trade's own time, and up to but not including another's."""
    start, end = REPLAYED + 1007, REPLAYED + MINUTE_US + 2007
    body = get(api, "/api/v1/trades/TICK", **{"from": utc(start), "to": utc(end)})
    expected = [trade for trade in trades if start <= trade.event_time < end]
    assert len(expected) == 12
    assert body["trades"] == [trade_json(trade) for trade in expected]


def test_trades_that_have_no_bar_yet_are_served(api: httpx.Client, tables: Tables) -> None:
    """A live trade is there as soon as it is stored, whether or not the bars job runs."""
    now = time.time_ns() // 1000
    trade = a_trade("AAPL", now, 5)
    tables.trade(trade)
    assert get(api, "/api/v1/trades/AAPL", limit=1)["trades"] == [trade_json(trade)]


def test_symbols_are_the_configured_and_the_stored_with_their_newest_price(
    api: httpx.Client, tables: Tables, history: list[Candle]
) -> None:
    """By name; a configured symbol without data has none."""
    minute = bar_start(time.time_ns() // 1000, "1m")
    tables.candle(a_candle("AAPL", "1m", minute - MINUTE_US, 3))
    tables.candle(a_candle("AAPL", "1m", minute, 4))
    expected = {
        "AAPL": {"symbol": "AAPL", "configured": True, "last_price": 105.0, "last_bar": utc(minute)},
        "HIST": {
            "symbol": "HIST",
            "configured": False,
            "last_price": history[0].close,
            "last_bar": utc(history[0].start),
        },
        "QUIET": {"symbol": "QUIET", "configured": True, "last_price": None, "last_bar": None},
    }
    eventually(lambda: get(api, "/api/v1/symbols")["symbols"][0] == expected["AAPL"])
    listed = get(api, "/api/v1/symbols")["symbols"]
    names = [symbol["symbol"] for symbol in listed]
    assert names == sorted(set(names))
    assert {symbol["symbol"]: symbol for symbol in listed if symbol["symbol"] in expected} == expected


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/candles/NOPE", "/api/v1/trades/NOPE", "/api/v1/trades/%20", "/api/v1/indicators/NOPE",
        "/api/v1/quotes/NOPE", "/api/v1/quotes?symbols=AAPL,NOPE", "/api/v1/alerts?symbol=NOPE",
    ],
)  # fmt: skip
def test_an_unknown_symbol_is_404(api: httpx.Client, path: str) -> None:
    """One that is neither configured nor stored."""
    response = api.get(path, headers={"X-Request-ID": "r-404"})
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["request_id"]) == (404, "unknown_symbol", "r-404")
    assert response.headers["X-Request-ID"] == "r-404"


def test_a_symbol_is_known_as_soon_as_it_is_stored(api: httpx.Client, tables: Tables) -> None:
    """A refusal is not remembered."""
    assert api.get("/api/v1/candles/LATER").status_code == 404
    tables.symbol("LATER")
    assert api.get("/api/v1/candles/LATER").status_code == 200


def test_bad_parameters_are_422_and_named(api: httpx.Client) -> None:
    """All of them in one answer."""
    response = api.get("/api/v1/candles/AAPL", params={"limit": 0, "interval": "2m", "from": "soon", "x": 1})
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (422, "invalid_parameter")
    assert [part.split(":")[0] for part in error["message"].split("; ")] == ["from", "limit", "interval", "x"]


def test_freshness_says_how_old_the_newest_stored_trade_is(api: httpx.Client, tables: Tables) -> None:
    """Ready while a configured symbol has a young trade."""

    def fresh() -> bool:
        now = time.time_ns() // 1000
        tables.candle(a_candle("AAPL", "1m", bar_start(now, "1m"), 4))
        tables.trade(a_trade("AAPL", now, 9))
        part = api.get("/ready").json()["parts"]["freshness"]
        return bool(part["ready"]) and part["reason"].startswith("newest trade (AAPL) is ")

    eventually(fresh)


def test_it_stops_cleanly_on_sigterm_and_sigint(cassandra: CassandraSettings) -> None:
    """Exit code 0, no stack trace, and nothing left that listens."""
    for number in (signal.SIGTERM, signal.SIGINT):
        with running_api(cassandra) as (client, process):
            process.send_signal(number)
            _, errors = process.communicate(timeout=30)
            assert (process.returncode, "Traceback" in errors) == (0, False), errors
            with pytest.raises(httpx.TransportError):
                client.get("/health")


class Proxy:
    """A way to Cassandra that a test can cut and mend."""

    def __init__(self, port: int, target: tuple[str, int]) -> None:
        self._port = port
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    def mend(self) -> None:
        """Takes connections from now on."""

        async def start() -> None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)

        self._call(start)

    def cut(self) -> None:
        """Ends every connection and refuses new ones."""

        async def stop() -> None:
            if self._server is not None:
                self._server.close()
            for writer in self._writers:
                writer.transport.abort()
            self._writers.clear()

        self._call(stop)

    def __enter__(self) -> "Proxy":
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, act: Callable[[], Any]) -> None:
        asyncio.run_coroutine_threadsafe(act(), self._loop).result(10)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, downstream = await asyncio.open_connection(*self._target)
        self._writers |= {writer, downstream}
        await asyncio.gather(self._pump(reader, downstream), self._pump(upstream, writer))

    @staticmethod
    async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()


def test_it_starts_without_cassandra_and_survives_an_outage(
    cassandra: CassandraSettings, history: list[Candle]
) -> None:
    """503 with a reason while there is no storage; right answers by itself when it comes, and comes back."""
    [port] = free_ports(1)
    path = "/api/v1/candles/HIST"
    with (
        Proxy(port, (cassandra.cassandra_hosts.split(",")[0], cassandra.cassandra_port)) as proxy,
        running_api(cassandra, CASSANDRA_PORT=str(port), API_QUERY_TIMEOUT_SECONDS="2") as (client, _),
    ):

        def is_away() -> bool:
            response = client.get(path)
            if response.status_code == 200:
                return False
            assert response.status_code == 503, response.text
            assert response.json()["error"]["code"] == "storage_unavailable"
            assert response.headers["Retry-After"] == "2"
            part = client.get("/ready").json()["parts"]["cassandra"]
            return not part["ready"] and "storage does not answer" in part["reason"]

        def is_back() -> bool:
            response = client.get(path, params={"limit": 3})
            if response.status_code != 200:
                return False
            assert response.json()["candles"] == [candle_json(candle) for candle in history[:3]]
            return bool(client.get("/ready").json()["parts"]["cassandra"]["ready"])

        eventually(is_away)
        proxy.mend()
        eventually(is_back)
        proxy.cut()
        eventually(is_away)
        assert client.get("/health").status_code == 200
        proxy.mend()
        eventually(is_back)


def test_it_starts_before_the_tables_and_finds_them_when_they_come(cassandra: CassandraSettings) -> None:
    """A keyspace that is not there yet is named, with what to do."""
    missing = cassandra.model_copy(update={"cassandra_keyspace": f"{cassandra.cassandra_keyspace}_later"})
    with running_api(missing) as (client, _):

        def says_what_to_do() -> bool:
            reason = client.get("/ready").json()["parts"]["cassandra"]["reason"]
            return "make cassandra-init" in reason and missing.cassandra_keyspace in reason

        eventually(says_what_to_do)
        create_tables(missing)
        try:
            eventually(lambda: bool(client.get("/ready").json()["parts"]["cassandra"]["ready"]))
        finally:
            session = connect(missing)
            session.execute(f"DROP KEYSPACE {missing.cassandra_keyspace}", timeout=60)
            session.cluster.shutdown()


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each from the variable of its name."""
    for name, value in {"API_PORT": "8123", "SYMBOLS": "A, B", "READY_MAX_AGE_SECONDS": "0"}.items():
        monkeypatch.setenv(name, value)
    settings = ApiSettings()
    assert (settings.api_port, settings.symbols, settings.ready_max_age_seconds) == (8123, ("A", "B"), 0)
