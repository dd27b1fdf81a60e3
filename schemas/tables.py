"""Where a row lives in Cassandra: keyspace DDL, partition keys and buckets, shared by writer and reader."""

import re
import zlib
from datetime import UTC, datetime
from importlib.resources import files
from string import Template

from schemas.intervals import INTERVALS, MINUTE_US
from schemas.settings import CassandraSettings

TRADE_SHARDS = 8
"""Partitions of ticks a minute. Part of the data's layout: changing it hides stored trades. At 25,000
trades/s a bronze partition stays under 40 MB."""

GOLD_TABLES = {interval: f"trades_gold_{interval}" for interval in INTERVALS}
SYMBOLS_PART = 0
"""The one partition of the tables with a row for each symbol, ``symbols`` and ``latest_quotes``."""

MONTHLY = frozenset({"1m", "5m", "15m"})


def trade_shard(symbol: str) -> int:
    """Shard of a symbol, 0 <= shard < TRADE_SHARDS; the same in every process and language (CRC-32)."""
    return zlib.crc32(symbol.encode()) % TRADE_SHARDS


def trade_minute(event_time_us: int) -> int:
    """The ``minute`` column of a trade: start of its minute in ms since 1970 (CQL timestamp)."""
    return (event_time_us - event_time_us % MINUTE_US) // 1000


def gold_bucket(interval: str, start_us: int) -> str:
    """The ``bucket`` column of a bar: its UTC month (``2024-08``) up to 15m, its year (``2024``) beyond."""
    start = datetime.fromtimestamp(start_us // 1_000_000, UTC)
    return f"{start.year:04d}-{start.month:02d}" if interval in MONTHLY else f"{start.year:04d}"


def alert_bucket(event_time_us: int) -> str:
    """The ``bucket`` column of an alert by symbol: its UTC month (``2024-08``)."""
    return gold_bucket("1m", event_time_us)


def gap_bucket(start_us: int) -> str:
    """The ``bucket`` column of a gap: the UTC month (``2024-08``) of its start."""
    return gold_bucket("1m", start_us)


def keyspace_ddl(settings: CassandraSettings) -> str:
    """CREATE KEYSPACE with the configured replication."""
    return (
        f"CREATE KEYSPACE IF NOT EXISTS {settings.cassandra_keyspace} WITH replication ="
        f" {{'class': 'NetworkTopologyStrategy', '{settings.cassandra_datacenter}':"
        f" {settings.cassandra_replication_factor}}}"
    )


def table_ddl(settings: CassandraSettings) -> list[str]:
    """Every CREATE TABLE, and an ALTER TABLE that brings an existing one to the configured TTL."""
    statements = []
    for path in sorted(files("schemas").joinpath("cassandra").iterdir(), key=lambda file: file.name):
        text = path.read_text(encoding="utf-8")
        for variables in _variables(settings) if "${interval}" in text else _variables(settings)[:1]:
            filled = Template(re.sub(r"--.*", "", text)).substitute(variables)
            statements += [statement.strip() for statement in filled.split(";") if statement.strip()]
    return statements + [
        _alter_ttl(statement) for statement in statements if "default_time_to_live" in statement
    ]


def _alter_ttl(create: str) -> str:
    match = re.search(r"EXISTS (\w+).*default_time_to_live = (\d+)", create, re.DOTALL)
    assert match, create  # noqa: S101 -- the caller filtered for it
    return f"ALTER TABLE {match[1]} WITH default_time_to_live = {match[2]}"


def _variables(settings: CassandraSettings) -> list[dict[str, str | int]]:
    """Template variables, one set for each interval. Windows: TTL / 28, so 20-30 SSTable windows live."""
    days = {
        "bronze": settings.bronze_ttl_days,
        "silver": settings.silver_ttl_days,
        "quotes": settings.quotes_ttl_days,
        "versions": settings.versions_ttl_days,
        "alerts": settings.alerts_ttl_days,
        "gaps": settings.gaps_ttl_days,
        "provider_bars": settings.provider_bars_ttl_days,
    }
    ticks: dict[str, str | int] = {}
    for name, ttl_days in days.items():
        ticks[f"{name}_ttl"] = ttl_days * 86_400
        ticks[f"{name}_window_hours"] = max(1, ttl_days * 24 // 28)
    variables = []
    for interval in INTERVALS:
        ttl_days = settings.gold_minutes_ttl_days if interval in MONTHLY else settings.gold_hours_ttl_days
        gold: dict[str, str | int] = {
            "interval": interval,
            "gold_ttl": ttl_days * 86_400,
            "gold_window_hours": max(1, ttl_days * 24 // 28),
        }
        variables.append(ticks | gold)
    return variables
