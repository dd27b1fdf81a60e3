"""The ``store`` job: everything that is written to Cassandra, and every dead letter about it.

trades, corrections, quotes, candles, alerts, gaps, bars of providers -> write -> dead letters
"""

from pyflink.table import StatementSet, StreamTableEnvironment

from jobs.flink.tables import sink_table, source_table
from jobs.flink.write_function import write_function
from jobs.settings import JobSettings
from jobs.sinks.stores import stored_topics
from schemas.avro_codec import SchemaJson
from schemas.topics import Topics

LETTERS = """
    INSERT INTO dead_letters
    SELECT CAST(CONCAT_WS('/', topic, CAST(`partition` AS STRING), CAST(`offset` AS STRING)) AS BYTES) AS key,
           letter AS payload
    FROM (
        SELECT write_records(topic, payload, `partition`, `offset`, record_time) AS letter,
               topic, `partition`, `offset`
        FROM records WHERE payload IS NOT NULL
    ) WHERE letter IS NOT NULL"""


def build(
    tables: StreamTableEnvironment, settings: JobSettings, schemas: dict[int, SchemaJson], ids: dict[str, int]
) -> StatementSet:
    """The whole graph; the arguments are those of jobs.bars.build."""
    topics = Topics(settings.topic_prefix)
    tables.execute_sql(sink_table(settings, "dead_letters", [topics.dead_letter]))
    tables.execute_sql(source_table(settings, "records", stored_topics(topics), topics.job_name("store")))
    tables.create_temporary_function("write_records", write_function(settings, schemas, ids))
    statements = tables.create_statement_set()
    statements.add_insert_sql(LETTERS)
    return statements
