"""The ``store`` job: everything that is written to Cassandra, and every dead letter about it.

trades, corrections -> write to bronze and silver ---+-> dead letters
quotes -> write to quotes ---------------------------+
candles -> write to gold and versions ---------------+
alerts -> write to alerts ---------------------------+
gaps -> write to gaps -------------------------------+
bars of providers -> write to provider_candles ------+
"""

from pyflink.table import StatementSet, StreamTableEnvironment

from jobs.flink.tables import sink_table, source_table
from jobs.flink.write_functions import write_functions
from jobs.settings import JobSettings
from schemas.avro_codec import SchemaJson
from schemas.topics import Topics

LETTERS = """
    SELECT CAST('{topic}/' || CAST(`partition` AS STRING) || '/' || CAST(`offset` AS STRING) AS BYTES) AS key,
           letter AS payload
    FROM (
        SELECT write_{table}(payload, `partition`, `offset`, record_time) AS letter, `partition`, `offset`
        FROM {table} WHERE payload IS NOT NULL
    ) WHERE letter IS NOT NULL"""


def build(
    tables: StreamTableEnvironment, settings: JobSettings, schemas: dict[int, SchemaJson], ids: dict[str, int]
) -> StatementSet:
    """The whole graph; the arguments are those of jobs.bars.build."""
    topics = Topics(settings.topic_prefix)
    tables.execute_sql(sink_table(settings, "dead_letters", [topics.dead_letter]))
    letters = []
    for topic, write in write_functions(settings, schemas, ids).items():
        table = topic.rpartition(".")[2].replace("-", "_")
        tables.execute_sql(source_table(settings, table, topic, topics.job_name("store")))
        tables.create_temporary_function(f"write_{table}", write)
        letters.append(LETTERS.format(table=table, topic=topic))
    statements = tables.create_statement_set()
    statements.add_insert_sql(f"INSERT INTO dead_letters {' UNION ALL '.join(letters)}")
    return statements
