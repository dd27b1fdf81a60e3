"""The ``store`` job: everything that is written to Cassandra, and every dead letter about it.

trades -> plain ones are written -> others -> rows -+
                                                    +-> are written -> dead letters
quotes, candles, alerts, gaps, bars --------> rows -+

Trades have a source of their own: they do not wait while rows are made of something else.
"""

from pyflink.table import StatementSet, StreamTableEnvironment

from jobs.flink.cassandra_writers import stored, without_plain_trades
from jobs.flink.row_function import MADE, row_function
from jobs.flink.tables import GATHERED, PROMPT, sink_table, source_table
from jobs.flink.trade_format import TradeRules
from jobs.settings import JobSettings
from jobs.sinks.stores import stored_topics
from schemas.avro_codec import SchemaJson
from schemas.topics import Topics

MADE_ROWS = f"""
    SELECT {", ".join(f"made.`{name}` AS `{name}`" for name in MADE)}, topic, `partition`, `offset`
    FROM (SELECT make_rows(topic, payload, `partition`, `offset`, record_time) AS made,
                 topic, `partition`, `offset`
          FROM {{records}} WHERE payload IS NOT NULL)"""

LETTERS = """
    INSERT INTO dead_letters
    SELECT CAST(CONCAT_WS('/', topic, CAST(`partition` AS STRING), CAST(`offset` AS STRING)) AS BYTES) AS key,
           letter AS payload
    FROM letters"""


def build(
    tables: StreamTableEnvironment, settings: JobSettings, schemas: dict[int, SchemaJson], ids: dict[str, int]
) -> StatementSet:
    """The whole graph; the arguments are those of jobs.bars.build."""
    topics = Topics(settings.topic_prefix)
    group = topics.job_name("store")
    others = [topic for topic in stored_topics(topics) if topic != topics.trades]
    tables.execute_sql(source_table(settings, "trades", [topics.trades], group, gather=PROMPT))
    tables.execute_sql(source_table(settings, "events", others, group, gather=GATHERED))
    tables.execute_sql(sink_table(settings, "dead_letters", [topics.dead_letter]))
    tables.create_temporary_function("make_rows", row_function(settings, schemas, ids))

    rules = TradeRules(ids[topics.trades], settings.clock_skew_us)
    other_trades = without_plain_trades(tables, "trades", rules, settings)
    tables.create_temporary_view("other_trades", other_trades)
    made = " UNION ALL ".join(MADE_ROWS.format(records=records) for records in ("other_trades", "events"))
    tables.execute_sql(f"CREATE TEMPORARY VIEW made AS {made}")
    tables.create_temporary_view("letters", stored(tables, "made", settings))
    statements = tables.create_statement_set()
    statements.add_insert_sql(LETTERS)
    return statements
