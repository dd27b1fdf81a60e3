"""The ``bars`` job: trades and quotes in; candles of every interval and alerts out. Bars of providers in, the
same with indicators out. Kafka to Kafka; it never touches Cassandra.

trades -> decode -> dedup -+-> on time: slices of 0.2 s ----------------+-> bars, of a symbol -+-> records
                           +-> late, corrections: each by itself -------+                      |
gaps -> decode ------------------------- each by itself ----------------+                      |
quotes -> decode ----------+-> on time: slices of 1 s ------------------+-> quotes ------------+
                           +-> late: each by itself --------------------+
bars of providers -> decode -> indicators, by symbol and provider ------------> records
"""

from pyflink.datastream import DataStream
from pyflink.table import StatementSet, StreamTableEnvironment

from jobs.flink.bar_function import SLICE_COLUMNS, BarFunction
from jobs.flink.decode_functions import (
    PROVIDER_BAR,
    QUOTE,
    DecodeGaps,
    DecodeProviderBars,
    DecodeQuotes,
    DecodeTrades,
    decode_function,
)
from jobs.flink.keyed import keyed_rows, process
from jobs.flink.provider_bar_function import PROVIDER_BAR_COLUMNS, ProviderBarFunction
from jobs.flink.quote_function import QUOTE_SLICE_COLUMNS, QuoteFunction
from jobs.flink.records import RECORD
from jobs.flink.symbol_groups import group_of
from jobs.flink.tables import PROMPT, RARE, RAW, UNHURRIED, sink_table, source_table
from jobs.flink.trade_format import COLUMNS, TradeRules
from jobs.flink.trade_slices import trade_slices
from jobs.settings import JobSettings
from schemas.avro_codec import SchemaJson
from schemas.topics import Topics

# A filter on what Python has decoded takes the one before Python along, behind it: each heartbeat is a batch
# then, which the watermark waits for. What is no trade is left out by the slices, what is no gap by the bars.

# What the source has decoded, and whose record says the same time.
PLAIN = "TO_TIMESTAMP_LTZ(event_time / 1000, 3) = record_time"

# Heartbeats have no payload: they have moved the watermark inside the source, and are over.
DECODED_TRADES = f"""
    SELECT {", ".join(f"`{name}`" for name in COLUMNS)}, TRUE AS on_time,
           payload, `partition` AS from_partition, `offset` AS from_offset, record_time
    FROM trades WHERE {PLAIN}
    UNION ALL
    SELECT {", ".join(f"trade.`{name}` AS `{name}`" for name in COLUMNS)}, trade.on_time AS on_time,
           payload, `partition` AS from_partition, `offset` AS from_offset, record_time
    FROM (SELECT decode_trades(payload, record_time, `partition`, `offset`) AS trade,
                 payload, `partition`, `offset`, record_time
          FROM trades WHERE payload IS NOT NULL AND ({PLAIN}) IS NOT TRUE)"""

# Of a gap there is nothing to sum. Its topic has heartbeats of its own: no watermark passes what it tells.
GAP_SLICES = """
    SELECT COALESCE(gap.symbol, '') AS symbol, gap.source AS source, gap.event_time AS event_time,
           CAST(NULL AS STRING) AS first_key, CAST(NULL AS STRING) AS last_key,
           CAST(NULL AS DOUBLE) AS high, CAST(NULL AS DOUBLE) AS low,
           CAST(0 AS BIGINT) AS volume_units, CAST(0 AS BIGINT) AS volume_billionths,
           CAST(0 AS BIGINT) AS notional_units, CAST(0 AS BIGINT) AS notional_billionths,
           CAST(0 AS BIGINT) AS trades, CAST(0 AS BIGINT) AS events,
           CAST(0 AS BIGINT) AS skewed, CAST(0 AS BIGINT) AS delay,
           FALSE AS correctable, gap.log AS log,
           `partition` AS from_partition, `offset` AS from_offset, payload
    FROM (SELECT decode_gaps(payload, record_time, `partition`, `offset`) AS gap, * FROM gaps
          WHERE payload IS NOT NULL)"""

DECODED_QUOTES = f"""
    SELECT {", ".join(f"quote.`{name}` AS `{name}`" for name in QUOTE)}, record_time
    FROM (SELECT decode_quotes(payload, record_time, `partition`, `offset`) AS quote, * FROM quotes
          WHERE payload IS NOT NULL)
    WHERE quote.symbol IS NOT NULL"""

# A window drops what comes behind the watermark without a word, so such quotes go round it. While there is
# no watermark yet the window may still have an older, higher one from before a restore. The two branches
# must divide every quote between them, and read the same columns.
ON_TIME = "on_time AND record_time > CURRENT_WATERMARK(record_time)"
LATE = f"({ON_TIME}) IS NOT TRUE"

QUOTE_SLICES = """
    SELECT symbol, MAX(quote_key) AS latest, COUNT(*) AS quotes, SUM(crossed) AS crossed
    FROM TUMBLE(TABLE on_time_quotes, DESCRIPTOR(record_time), INTERVAL '1' SECOND)
    GROUP BY symbol, window_start, window_end"""

LATE_QUOTES = "SELECT symbol, quote_key AS latest, CAST(1 AS BIGINT) AS quotes, crossed FROM late_quotes"

# They have no part in event time: what a provider sends late or early moves no watermark.
DECODED_PROVIDER_BARS = f"""
    SELECT {", ".join(f"bar.`{name}` AS `{name}`" for name in PROVIDER_BAR)},
           payload, `partition` AS from_partition, `offset` AS from_offset
    FROM (SELECT decode_provider_bars(payload, record_time, `partition`, `offset`) AS bar, *
          FROM provider_bars WHERE payload IS NOT NULL)"""


def build(
    tables: StreamTableEnvironment, settings: JobSettings, schemas: dict[int, SchemaJson], ids: dict[str, int]
) -> StatementSet:
    """The whole graph. ``schemas`` (by id) are what it can decode without asking the registry; ``ids`` are
    the schema ids of what it writes, by the keys of ``Topics.record_types``."""
    topics = Topics(settings.topic_prefix)
    outputs = [topics.candles, topics.alerts, topics.provider_candles, topics.dead_letter]
    trades = TradeRules(ids[topics.trades], settings.clock_skew_us).values()
    inputs = (
        (topics.trades, trades, DecodeTrades, PROMPT),
        (topics.quotes, RAW, DecodeQuotes, UNHURRIED),  # judged by the second
        (topics.gaps, RAW, DecodeGaps, RARE),
    )
    group, delay_ms = topics.job_name("bars"), settings.watermark_delay_ms
    for topic, values, decode, gather in inputs:
        name = topic.rpartition(".")[2]
        source = source_table(settings, name, [topic], group, delay_ms, gather=gather, values=values)
        tables.execute_sql(source)
        function = decode_function(decode, settings, schemas)
        tables.create_temporary_function(f"decode_{name}", function)
    tables.execute_sql(sink_table(settings, "records", outputs))
    create_views(tables, settings)

    group = group_of(settings.symbol_groups)
    slices = keyed_rows(tables, "slices", group, SLICE_COLUMNS)
    bars = process(slices, BarFunction(settings, ids), RECORD, SLICE_COLUMNS).name("bars").uid("symbols")
    slices = keyed_rows(tables, "quote_slices", group, QUOTE_SLICE_COLUMNS)
    quotes = process(slices, QuoteFunction(settings, ids), RECORD).name("quotes").uid("symbol_quotes")
    statements = tables.create_statement_set()
    others = provider_bars(tables, settings, schemas, ids)
    statements.add_insert("records", tables.from_data_stream(bars.union(quotes, others)))
    return statements


def provider_bars(
    tables: StreamTableEnvironment, settings: JobSettings, schemas: dict[int, SchemaJson], ids: dict[str, int]
) -> DataStream:
    """The records of the third way; the arguments are those of ``build``."""
    topics = Topics(settings.topic_prefix)
    group = topics.job_name("bars")
    source = source_table(settings, "provider_bars", [topics.provider_bars], group, gather=RARE)
    tables.execute_sql(source)
    function = decode_function(DecodeProviderBars, settings, schemas)
    tables.create_temporary_function("decode_provider_bars", function)
    tables.execute_sql(f"CREATE TEMPORARY VIEW decoded_provider_bars AS {DECODED_PROVIDER_BARS}")
    rows = keyed_rows(tables, "decoded_provider_bars", "series", PROVIDER_BAR_COLUMNS)
    records = process(rows, ProviderBarFunction(settings, ids), RECORD)
    return records.name("provider_bars").uid("provider_bars")


def create_views(tables: StreamTableEnvironment, settings: JobSettings) -> None:
    """From the decoded records to ``slices`` and ``quote_slices``: every unique valid trade and every valid
    quote, in a slice with its neighbours or by itself, and every gap."""
    tables.execute_sql(f"CREATE TEMPORARY VIEW decoded_trades AS {DECODED_TRADES}")
    trades = trade_slices(tables, "decoded_trades", settings.slice_ms, settings.dedup_memory_seconds)
    tables.create_temporary_view("trade_slices", trades)
    for view, query in {
        "slices": f"SELECT {', '.join(SLICE_COLUMNS)} FROM trade_slices UNION ALL {GAP_SLICES}",
        "decoded_quotes": DECODED_QUOTES,
        "on_time_quotes": f"SELECT * FROM decoded_quotes WHERE {ON_TIME}",
        "late_quotes": f"SELECT * FROM decoded_quotes WHERE {LATE}",
        "quote_slices": f"{QUOTE_SLICES} UNION ALL {LATE_QUOTES}",
    }.items():
        tables.execute_sql(f"CREATE TEMPORARY VIEW {view} AS {query}")
