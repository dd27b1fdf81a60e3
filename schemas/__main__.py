"""``python -m schemas topics | cassandra-init``: prepares servers that run elsewhere."""

import argparse
import sys

import structlog

from schemas.create import create_tables, create_topics
from schemas.errors import TickstreamError
from schemas.kafka_admin import partition_counts
from schemas.logs import configure_logging
from schemas.registry import register_schemas
from schemas.settings import CassandraSettings, LogSettings, TopicSettings, load_settings

log = structlog.get_logger()


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m schemas", description=__doc__)
    parser.add_argument("command", choices=["topics", "cassandra-init"])
    command = parser.parse_args(arguments).command
    try:
        configure_logging(load_settings(LogSettings), "schemas")
        if command == "topics":
            settings = load_settings(TopicSettings)
            topics = create_topics(settings)
            ids = register_schemas(settings.schema_registry_url, topics)
            partitions = partition_counts(settings, topics.event_types)
            log.info("topics_ready", schema_ids=ids, partitions=partitions)
        else:
            tables = load_settings(CassandraSettings)
            create_tables(tables)
            log.info("tables_ready", keyspace=tables.cassandra_keyspace)
    except TickstreamError as error:
        log.error("failed", error=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
