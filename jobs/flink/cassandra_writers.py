"""The two writers of the ``store`` job, which run in the JVM: see jobs/java."""

from typing import Any

from pyflink.datastream import DataStream
from pyflink.java_gateway import get_gateway
from pyflink.table import StreamTableEnvironment, Table

from jobs.flink.java_lists import java_list
from jobs.flink.trade_format import TradeRules
from jobs.settings import JobSettings
from jobs.sinks.inserts import BRONZE, INSERTS, SILVER
from schemas.tables import TRADE_SHARDS


def without_plain_trades(
    tables: StreamTableEnvironment, records: str, rules: TradeRules, settings: JobSettings
) -> Table:
    """Stores the trades that are beyond doubt, of a table of the records of their topic. What is left of it,
    without heartbeats."""
    java = get_gateway().jvm.tickstream
    layout = java.TradeWriter.Layout(BRONZE.number, SILVER.number, TRADE_SHARDS)
    written = java.TradeWriter.of(
        tables._j_tenv, records, cassandra(settings), inserts(), rules.of_java(), layout
    )
    return tables.from_data_stream(DataStream(written))


def stored(tables: StreamTableEnvironment, made: str, settings: JobSettings) -> Table:
    """Stores what is in a view's column ``rows``; of its rows those that have a ``letter``."""
    written = get_gateway().jvm.tickstream.RowWriter.of(tables._j_tenv, made, cassandra(settings), inserts())
    return tables.from_data_stream(DataStream(written))


def cassandra(settings: JobSettings) -> Any:
    """Where it is, as the JVM has it."""
    return get_gateway().jvm.tickstream.CassandraAccess(
        java_list(host.strip() for host in settings.cassandra_hosts.split(",")),
        settings.cassandra_port,
        settings.cassandra_datacenter,
        settings.cassandra_keyspace,
        settings.cassandra_username,
        settings.cassandra_password,
        settings.cassandra_retry_seconds,
    )


def inserts() -> Any:
    """All that rows may be of, as the JVM has them, by number."""
    java = get_gateway().jvm.tickstream
    return java_list(
        java.Insert(each.statement, each.values, each.partition, each.ordered_key) for each in INSERTS
    )
