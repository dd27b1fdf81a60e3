"""Prints what Flink's planner makes of both jobs, as JSON: part -> plan.

A process of its own, as it brings up a JVM; takes the jars from FLINK_LIB_DIR and talks to no server."""

import json
import sys

from pyflink.table import ExplainDetail

from jobs import bars, store
from jobs.flink.environment import configuration, table_environment, use_flink_libraries
from jobs.settings import JobSettings
from schemas.registry import our_schemas
from schemas.topics import Topics


def main() -> None:
    settings = JobSettings()
    use_flink_libraries(settings.flink_lib_dir)
    topics = Topics(settings.topic_prefix)
    ids = {topic: number for number, topic in enumerate(topics.record_types, start=1)}
    schemas = our_schemas(topics, ids)

    tables = table_environment(configuration(settings, "bars"))
    bars_job = bars.build(tables, settings, schemas, ids)
    views = ("decoded_trades", "slices", "quote_slices", "decoded_provider_bars")
    plans = {view: tables.from_path(view).explain() for view in views}

    tables = table_environment(configuration(settings, "store"))
    store_plan = store.build(tables, settings, schemas, ids).explain(ExplainDetail.JSON_EXECUTION_PLAN)
    bars_plan = bars_job.explain(ExplainDetail.JSON_EXECUTION_PLAN)
    json.dump({**plans, "bars": bars_plan, "store": store_plan}, sys.stdout)


if __name__ == "__main__":
    main()
