"""Where rows live: these values are part of the stored data, changing one hides it."""

import re
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from schemas.intervals import INTERVALS
from schemas.settings import CassandraSettings
from schemas.tables import (
    GOLD_TABLES,
    TRADE_SHARDS,
    gold_bucket,
    keyspace_ddl,
    table_ddl,
    trade_minute,
    trade_shard,
)


def at(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=UTC).timestamp()) * 1_000_000


def test_the_shard_of_a_symbol_never_changes() -> None:
    """CRC-32 modulo 8, as gzip computes it too."""
    golden = {"AAPL": 4, "MSFT": 3, "BTCUSDT": 3, "BRK.B": 4, "V": 4, "123456789": 6, "": 0}
    assert {symbol: trade_shard(symbol) for symbol in golden} == golden
    assert TRADE_SHARDS == 8


def test_a_trade_lives_in_the_minute_of_its_event_time() -> None:
    """Start of the minute in ms, to the last microsecond."""
    minute = at(2024, 8, 9, 12, 34)
    assert trade_minute(minute) == minute // 1000
    assert trade_minute(minute + 59_999_999) == minute // 1000
    assert trade_minute(minute + 60_000_000) == minute // 1000 + 60_000
    assert trade_minute(0) == 0


def test_bars_live_in_the_month_or_the_year_of_their_start() -> None:
    """Months up to 15m, years beyond; UTC, to the last microsecond of a year."""
    last = at(2024, 1, 1) - 1
    assert {i: gold_bucket(i, last) for i in INTERVALS} == {
        "1m": "2023-12", "5m": "2023-12", "15m": "2023-12", "1h": "2023", "4h": "2023", "1d": "2023"
    }  # fmt: skip
    assert gold_bucket("1m", last + 1) == "2024-01"
    assert gold_bucket("1d", last + 1) == "2024"


def test_the_keyspace_has_the_configured_replication() -> None:
    """In the configured datacenter."""
    settings = CassandraSettings(
        cassandra_keyspace="k1", cassandra_datacenter="eu-west", cassandra_replication_factor=3
    )
    assert keyspace_ddl(settings) == (
        "CREATE KEYSPACE IF NOT EXISTS k1 WITH replication ="
        " {'class': 'NetworkTopologyStrategy', 'eu-west': 3}"
    )


SETTINGS = CassandraSettings(
    bronze_ttl_days=2, silver_ttl_days=3, quotes_ttl_days=4, versions_ttl_days=6, alerts_ttl_days=8,
    gaps_ttl_days=9, provider_bars_ttl_days=10,
    gold_minutes_ttl_days=5, gold_hours_ttl_days=400,
)  # fmt: skip
TTL = {
    "trades_bronze": 2 * 86_400,
    "trades_silver": 3 * 86_400,
    "trade_corrections": 3 * 86_400,
    "quotes": 4 * 86_400,
    "latest_quotes": 4 * 86_400,
    "candle_versions": 6 * 86_400,
    "alerts_by_symbol": 8 * 86_400,
    "alerts_by_day": 8 * 86_400,
    "gaps": 9 * 86_400,
    "provider_candles": 10 * 86_400,
    **{GOLD_TABLES[interval]: 5 * 86_400 for interval in ("1m", "5m", "15m")},
    **{GOLD_TABLES[interval]: 400 * 86_400 for interval in ("1h", "4h", "1d")},
}


def test_every_table_is_created_once_with_its_ttl() -> None:
    """Ticks, bars, versions, quotes, alerts, gaps, bars of providers; names and keys have none."""
    created = [statement for statement in table_ddl(SETTINGS) if statement.startswith("CREATE")]
    ttls = {}
    for statement in created:
        name = re.match(r"CREATE TABLE IF NOT EXISTS (\w+)", statement)
        ttl = re.search(r"default_time_to_live = (\d+)", statement)
        assert name, statement
        ttls[name[1]] = int(ttl[1]) if ttl else None
    assert ttls == {**TTL, "symbols": None, "api_keys": None, "provider_buckets": None}
    assert len(created) == len(ttls)


def test_a_changed_ttl_reaches_tables_that_exist() -> None:
    """One ALTER for each table with a TTL, after all CREATEs."""
    statements = table_ddl(SETTINGS)
    altered = [statement for statement in statements if "WITH default_time_to_live" in statement[:80]]
    assert sorted(altered) == sorted(
        f"ALTER TABLE {table} WITH default_time_to_live = {ttl}" for table, ttl in TTL.items()
    )
    assert statements[-len(altered) :] == altered


def test_columns_that_came_later_are_added_to_tables_that_exist() -> None:
    """Each right after the CREATE that has no effect there, with names and types as that CREATE has them."""
    statements = table_ddl(SETTINGS)
    added = {}
    for create, statement in pairwise(statements):
        if match := re.match(r"ALTER TABLE (\w+) ADD IF NOT EXISTS \((.*)\)$", statement):
            assert create.startswith(f"CREATE TABLE IF NOT EXISTS {match[1]} (")
            columns = re.findall(r"(\w+) (frozen<.+>|\w+)(?:, |$)", match[2])
            flat = " ".join(create.split())
            assert all(f"{name} {kind}," in flat for name, kind in columns), match[1]
            added[match[1]] = [name for name, _ in columns]
    gold = ["late_trades", "updated_at", "quality", "observed", "indicators"]
    assert added == {
        "trades_silver": ["updates_open_close", "updates_high_low", "correctable"],
        **dict.fromkeys(GOLD_TABLES.values(), gold),
        "candle_versions": ["observed"],
        "gaps": ["filled"],
    }


@pytest.mark.parametrize("days", [1, 7, 30, 90, 365, 3650])
def test_compaction_windows_are_20_to_30_in_a_ttl(days: int) -> None:
    """Fewer would keep expired rows long, more would make every read touch many files."""
    statements = " ".join(table_ddl(CassandraSettings(bronze_ttl_days=days, gold_hours_ttl_days=days)))
    for table in ("trades_bronze", "trades_gold_1h"):
        window = re.search(rf"EXISTS {table} .*?'compaction_window_size': (\d+)", statements, re.DOTALL)
        assert window
        assert 20 <= days * 24 / int(window[1]) <= 30


def test_no_statement_has_an_unfilled_variable_or_a_comment() -> None:
    """What goes to Cassandra is plain CQL."""
    for statement in table_ddl(SETTINGS):
        assert "$" not in statement
        assert "--" not in statement
        assert statement.count("(") == statement.count(")")
