"""The API as a user starts it, rows as the store job writes them, and events as the API must show them."""

import dataclasses
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from cassandra.cluster import Session

from schemas.events import Alert, Candle, Correction, Gap, ProviderBar, Quote, Trade
from schemas.intervals import INTERVALS
from schemas.quotes import mid, spread
from schemas.settings import CassandraSettings
from schemas.tables import (
    GOLD_TABLES,
    SYMBOLS_PART,
    alert_bucket,
    gap_bucket,
    gold_bucket,
    trade_minute,
    trade_shard,
)
from tests.support.ports import free_ports

CANDLE_FIELDS = (
    "symbol", "interval", "start", "end", "open", "high", "low", "close", "volume", "notional", "vwap",
    "trades", "final", "version", "sources", "late_trades", "updated_at", "quality", "observed",
)  # fmt: skip


def utc(time_us: int) -> str:
    """A time as the API writes it."""
    moment = datetime.fromtimestamp(time_us // 1_000_000, UTC).replace(microsecond=time_us % 1_000_000)
    return moment.isoformat().replace("+00:00", "Z")


class Tables:
    """Writes rows as the store job does."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def insert(self, table: str, **values: object) -> None:
        """One row; columns that are not named stay null."""
        self._session.execute(
            f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join(['%s'] * len(values))})",  # noqa: S608
            tuple(values.values()),
        )

    def candle(self, candle: Candle) -> None:
        values = dataclasses.asdict(candle) | {
            "bucket": gold_bucket(candle.interval, candle.start),
            "start": candle.start // 1000,
            "end": candle.end // 1000,
            "sources": list(candle.sources),
        }
        del values["interval"]
        self.insert(GOLD_TABLES[candle.interval], **values)

    def version(self, candle: Candle) -> None:
        """A version of a bar as it is kept beside gold."""
        values = dataclasses.asdict(candle) | {
            "day": utc(candle.start)[:10],
            "start": candle.start // 1000,
            "end": candle.end // 1000,
            "sources": list(candle.sources),
        }
        self.insert("candle_versions", **values)

    def trade(self, trade: Trade) -> None:
        values = dataclasses.asdict(trade) | _tick_partition(trade) | {"conditions": list(trade.conditions)}
        self.insert("trades_silver", **values)

    def correction(self, correction: Correction) -> None:
        values = dataclasses.asdict(correction) | _tick_partition(correction)
        self.insert("trade_corrections", **values | {"conditions": list(correction.conditions)})

    def latest_quote(self, quote: Quote) -> None:
        both = {"mid": mid(quote.bid, quote.ask), "spread": spread(quote.bid, quote.ask)}
        self.insert("latest_quotes", **dataclasses.asdict(quote), part=SYMBOLS_PART, **both)

    def alert(self, alert: Alert) -> None:
        values = dataclasses.asdict(alert) | {
            "bar_start": None if alert.bar_start is None else alert.bar_start // 1000
        }
        self.insert("alerts_by_symbol", **values, bucket=alert_bucket(alert.event_time))
        self.insert("alerts_by_day", **values, day=utc(alert.event_time)[:10])

    def gap(self, gap: Gap) -> None:
        self.insert("gaps", **dataclasses.asdict(gap), bucket=gap_bucket(gap.start))

    def provider_bar(self, bar: ProviderBar) -> None:
        place = {"symbol": bar.symbol, "source": bar.source, "interval": bar.interval}
        place["bucket"] = gold_bucket(bar.interval, bar.start)
        times = {"start": bar.start // 1000, "end": bar.end // 1000}
        self.insert("provider_buckets", **place)
        self.insert("provider_candles", **dataclasses.asdict(bar) | place | times)

    def symbol(self, name: str) -> None:
        self.insert("symbols", part=SYMBOLS_PART, symbol=name)


def _tick_partition(trade: Trade | Correction) -> dict[str, int]:
    return {"minute": trade_minute(trade.event_time), "shard": trade_shard(trade.symbol)}


def a_candle(symbol: str, interval: str, start: int, number: int) -> Candle:
    """A bar whose every field tells which one it is."""
    return Candle(
        symbol, interval, start, start + INTERVALS[interval], 100.5 + number, 102.25 + number, 99.0 + number,
        101.0 + number, 10.5 + number, 1060.5 + number, 101.125, 7 + number, number % 2 == 0, 14 + number,
        ("binance", "coinbase"), number % 3, start + 123_456, 1 - number / 1000,
        {"sma_20": 100.25 + number, "rsi_14": 50.5},
    )  # fmt: skip


def candle_json(candle: Candle) -> dict[str, Any]:
    """A bar as the API must write it where nobody asks for indicators."""
    values = {name: getattr(candle, name) for name in CANDLE_FIELDS}
    return values | {
        "start": utc(candle.start), "end": utc(candle.end), "sources": list(candle.sources),
        "updated_at": utc(candle.updated_at),
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


def alert_json(alert: Alert) -> dict[str, Any]:
    """An alert as the API must write it."""
    return dataclasses.asdict(alert) | {
        "event_time": utc(alert.event_time),
        "updated_at": utc(alert.updated_at),
        "bar_start": None if alert.bar_start is None else utc(alert.bar_start),
    }


def correction_json(correction: Correction) -> dict[str, Any]:
    """A correction as the API answers it."""
    times = {
        name: None if (time := getattr(correction, name)) is None else utc(time)
        for name in ("event_time", "received_at", "trade_time")
    }
    return dataclasses.asdict(correction) | times | {"conditions": list(correction.conditions)}


def gap_json(gap: Gap) -> dict[str, Any]:
    """A gap as the API must write it."""
    times = {name: utc(getattr(gap, name)) for name in ("start", "end", "updated_at")}
    return dataclasses.asdict(gap) | times


def eventually(check: Callable[[], bool], seconds: float = 60) -> None:
    """Waits until ``check`` holds."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.1)


@contextmanager
def running_api(
    cassandra: CassandraSettings,
    *,
    tls: ssl.SSLContext | None = None,
    log: Path | None = None,
    **environment: str,
) -> Iterator[tuple[httpx.Client, Any]]:
    """``python -m api`` as a user starts it, and a client of it. ``tls``: what the client trusts, where the
    environment has a certificate; ``log``: a file for what it writes, which a pipe could not hold if it is
    much."""
    [port] = free_ports(1)
    settings = {
        "API_PORT": str(port),
        "CASSANDRA_HOSTS": cassandra.cassandra_hosts,
        "CASSANDRA_PORT": str(cassandra.cassandra_port),
        "CASSANDRA_KEYSPACE": cassandra.cassandra_keyspace,
        "CASSANDRA_DATACENTER": cassandra.cassandra_datacenter,
        "SYMBOLS": "AAPL,QUIET",
        "READY_TIMEOUT_SECONDS": "2",
    }
    with open(log or os.devnull, "w", encoding="utf-8") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "api"],
            env={**os.environ, **settings, **environment},
            stderr=file if log else subprocess.PIPE,
            text=True,
        )
    url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    try:
        with httpx.Client(base_url=url, verify=tls or True, trust_env=False, timeout=30) as client:

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


def get(api: httpx.Client, path: str, **parameters: str | int) -> dict[str, Any]:
    """The body of a successful GET."""
    response = api.get(path, params=parameters)
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body
