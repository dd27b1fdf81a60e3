"""The API over real HTTP against a real Cassandra: every number that was stored, and an outage of it."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from cassandra.cluster import Session

from api.settings import ApiSettings
from schemas.cassandra_session import connect
from schemas.create import create_tables
from schemas.events import Candle, Trade
from schemas.intervals import INTERVALS, MINUTE_US, bar_start
from schemas.settings import CassandraSettings
from schemas.tables import GOLD_TABLES, SYMBOLS_PART, gold_bucket, trade_minute, trade_shard

pytestmark = pytest.mark.servers
REPLAYED = int(datetime(2024, 8, 9, tzinfo=UTC).timestamp()) * 1_000_000
CANDLE_FIELDS = (
    "symbol", "interval", "start", "end", "open", "high", "low", "close", "volume", "notional", "vwap",
    "trades", "final", "version", "sources",
)  # fmt: skip


def utc(time_us: int) -> str:
    """A time as the API writes it."""
    moment = datetime.fromtimestamp(time_us // 1_000_000, UTC).replace(microsecond=time_us % 1_000_000)
    return moment.isoformat().replace("+00:00", "Z")


class Tables:
    """Writes rows as the store job does."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def candle(self, candle: Candle) -> None:
        columns = "symbol, bucket, start, end, open, high, low, close, volume, notional, vwap, trades, final,"
        self._session.execute(
            f"INSERT INTO {GOLD_TABLES[candle.interval]} ({columns} version, sources)"  # noqa: S608
            f" VALUES ({', '.join(['%s'] * 15)})",
            (
                candle.symbol, gold_bucket(candle.interval, candle.start), candle.start // 1000,
                candle.end // 1000, candle.open, candle.high, candle.low, candle.close, candle.volume,
                candle.notional, candle.vwap, candle.trades, candle.final, candle.version,
                list(candle.sources),
            ),
        )  # fmt: skip

    def trade(self, trade: Trade) -> None:
        self._session.execute(
            "INSERT INTO trades_silver (minute, shard, symbol, event_time, sequence, source, trade_id, price,"
            " size, exchange, conditions, updates_open_close, updates_high_low, updates_volume, received_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (
                trade_minute(trade.event_time), trade_shard(trade.symbol), trade.symbol, trade.event_time,
                trade.sequence, trade.source, trade.trade_id, trade.price, trade.size, trade.exchange,
                list(trade.conditions), trade.updates_open_close, trade.updates_high_low,
                trade.updates_volume, trade.received_at,
            ),
        )  # fmt: skip

    def symbol(self, name: str) -> None:
        self._session.execute("INSERT INTO symbols (part, symbol) VALUES (%s, %s)", (SYMBOLS_PART, name))


def a_candle(symbol: str, interval: str, start: int, number: int) -> Candle:
    """A bar whose every field tells which one it is."""
    return Candle(
        symbol, interval, start, start + INTERVALS[interval], 100.5 + number, 102.25 + number, 99.0 + number,
        101.0 + number, 10.5 + number, 1060.5 + number, 101.125, 7 + number, number % 2 == 0, 14 + number,
        ("binance", "coinbase"),
    )  # fmt: skip


def candle_json(candle: Candle) -> dict[str, Any]:
    """A bar as the API must write it."""
    values = {name: getattr(candle, name) for name in CANDLE_FIELDS}
    return values | {
        "start": utc(candle.start), "end": utc(candle.end), "sources": list(candle.sources)
    }  # fmt: skip


def a_trade(symbol: str, event_time: int, sequence: int) -> Trade:
    return Trade(
        symbol, event_time, event_time + 1234, 60_000.1 + sequence, 0.001 * sequence, f"id-{sequence}",
        sequence, "binance", "BINANCE", ("@", "I"), sequence % 2 == 0, True,
    )  # fmt: skip


def trade_json(trade: Trade) -> dict[str, Any]:
    """A trade as the API must write it."""
    names = (
        "symbol", "price", "size", "trade_id", "sequence", "source", "exchange", "updates_open_close",
        "updates_high_low", "updates_volume",
    )  # fmt: skip
    return {name: getattr(trade, name) for name in names} | {
        "event_time": utc(trade.event_time),
        "received_at": utc(trade.received_at),
        "conditions": list(trade.conditions),
    }


@pytest.fixture(scope="module")
def tables(cassandra: CassandraSettings) -> Iterator[Tables]:
    """Rows can be written; the session ends with the module."""
    session = connect(cassandra)
    yield Tables(session)
    session.cluster.shutdown()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def eventually(check: Callable[[], bool], seconds: float = 60) -> None:
    """Waits until ``check`` holds."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.1)


@contextmanager
def running_api(cassandra: CassandraSettings, **environment: str) -> Iterator[tuple[httpx.Client, Any]]:
    """``python -m api`` as a user starts it, and a client of it."""
    port = free_port()
    settings = {
        "API_PORT": str(port),
        "CASSANDRA_HOSTS": cassandra.cassandra_hosts,
        "CASSANDRA_PORT": str(cassandra.cassandra_port),
        "CASSANDRA_KEYSPACE": cassandra.cassandra_keyspace,
        "CASSANDRA_DATACENTER": cassandra.cassandra_datacenter,
        "SYMBOLS": "AAPL,QUIET",
        "READY_TIMEOUT_SECONDS": "2",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "api"],
        env={**os.environ, **settings, **environment},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:

            def answers() -> bool:
                assert process.poll() is None, process.stderr and process.stderr.read()
                try:
                    return client.get("/health").status_code == 200
                except httpx.TransportError:
                    return False

            eventually(answers)
            yield client, process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


@pytest.fixture(scope="module")
def api(cassandra: CassandraSettings) -> Iterator[httpx.Client]:
    """A client of a running API that has reached Cassandra."""
    with running_api(cassandra) as (client, _):
        eventually(lambda: client.get("/ready").json()["parts"]["cassandra"]["ready"])
        yield client


def get(api: httpx.Client, path: str, **parameters: str | int) -> dict[str, Any]:
    """The body of a successful GET."""
    response = api.get(path, params=parameters)
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


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
        None, 0, False, 0,
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


@pytest.mark.parametrize("path", ["/api/v1/candles/NOPE", "/api/v1/trades/NOPE", "/api/v1/trades/%20"])
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
    port = free_port()
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
