"""The ``bars`` job: trades in, candles of every interval out. Kafka to Kafka; it never touches Cassandra.

trades -> decode -> dedup -+-> on time: slices of 0.2 s, summed in SQL -+-> bars, keyed by symbol -> records
                           +-> late: each trade a slice by itself ------+
"""

from pyflink.common import Types
from pyflink.table import StatementSet, StreamTableEnvironment, Table

from jobs.flink.bar_function import RECORD, SLICE_COLUMNS, BarFunction
from jobs.flink.decode_trades import RESULT, decode_trades
from jobs.flink.tables import sink_table, source_table
from jobs.settings import JobSettings
from schemas.avro_codec import SchemaJson
from schemas.topics import Topics

DECODED = f"""
    SELECT {", ".join(f"trade.`{name}` AS `{name}`" for name in RESULT)},
           payload, `partition` AS from_partition, `offset` AS from_offset, record_time, arrived
    FROM (SELECT decode_trades(payload, record_time) AS trade, * FROM trades)"""

# The first of each identity, remembered for the state's time to live.
UNIQUE = """
    SELECT * FROM (
        SELECT *, ROW_NUMBER() OVER (PARTITION BY symbol, source, trade_id ORDER BY arrived ASC) AS copy
        FROM decoded WHERE symbol IS NOT NULL
    ) WHERE copy = 1"""

# A window drops what comes behind the watermark without a word, so such trades go round it. While there is
# no watermark yet the window may still have an older, higher one from before a restore. The two branches
# must divide every trade between them, and read the same columns, or the planner builds the dedup twice.
ON_TIME = "on_time AND record_time > CURRENT_WATERMARK(record_time)"
LATE = f"({ON_TIME}) IS NOT TRUE"

SLICES = """
    SELECT symbol, source, MIN(event_time) AS event_time,
           MIN(order_key) AS first_key, MAX(order_key) AS last_key, MAX(price) AS high, MIN(price) AS low,
           SUM(volume_units) AS volume_units, SUM(volume_billionths) AS volume_billionths,
           SUM(notional_units) AS notional_units, SUM(notional_billionths) AS notional_billionths,
           SUM(counts) AS trades, COUNT(payload) AS events,
           MAX(from_partition) AS from_partition, MAX(from_offset) AS from_offset,
           CAST(NULL AS BYTES) AS payload
    FROM TUMBLE(TABLE on_time_trades, DESCRIPTOR(record_time), INTERVAL '{slice_seconds}' SECOND)
    GROUP BY symbol, source, window_start, window_end"""

LATE_SLICES = """
    SELECT symbol, source, event_time,
           order_key AS first_key, order_key AS last_key, price AS high, price AS low,
           volume_units, volume_billionths, notional_units, notional_billionths,
           counts AS trades, CAST(1 AS BIGINT) AS events, from_partition, from_offset, payload
    FROM late_trades"""


def build(
    tables: StreamTableEnvironment, settings: JobSettings, schemas: dict[int, SchemaJson], ids: dict[str, int]
) -> StatementSet:
    """The whole graph. ``schemas`` (by id) are what it can decode without asking the registry; ``ids`` are
    the schema ids of the topics it writes."""
    topics = Topics(settings.topic_prefix)
    tables.execute_sql(
        source_table(settings, "trades", topics.trades, topics.job_name("bars"), settings.watermark_delay_ms)
    )
    tables.execute_sql(sink_table(settings, "records", [topics.candles, topics.dead_letter]))
    tables.create_temporary_function("decode_trades", decode_trades(settings.schema_registry_url, schemas))

    records = (
        tables.to_data_stream(slices(tables, settings.slice_ms))
        .key_by(lambda row: row[0], Types.STRING())
        .process(BarFunction(settings.rules, topics, ids), RECORD)
        .name("bars")
        .uid("bars")
    )
    statements = tables.create_statement_set()
    statements.add_insert("records", tables.from_data_stream(records))
    return statements


def slices(tables: StreamTableEnvironment, slice_ms: int) -> Table:
    """Every unique valid trade, in a slice with its neighbours or by itself; columns SLICE_COLUMNS."""
    for view, query in {
        "decoded": DECODED,
        "unique_trades": UNIQUE,
        "on_time_trades": f"SELECT * FROM unique_trades WHERE {ON_TIME}",
        "late_trades": f"SELECT * FROM unique_trades WHERE {LATE}",
        "slices": f"{SLICES.format(slice_seconds=f'{slice_ms / 1000:.3f}')} UNION ALL {LATE_SLICES}",
    }.items():
        tables.execute_sql(f"CREATE TEMPORARY VIEW {view} AS {query}")
    return tables.sql_query(f"SELECT {', '.join(SLICE_COLUMNS)} FROM slices")
