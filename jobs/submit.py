"""Submitting the jobs to the cluster, each from its newest state."""

from collections.abc import Iterable

import structlog

from jobs import bars, store
from jobs.flink.environment import configuration, table_environment, use_flink_libraries
from jobs.settings import JobSettings
from jobs.snapshots import Snapshots
from schemas.registry import our_schemas, register_schemas
from schemas.topics import Topics

log = structlog.get_logger()
GRAPHS = {"bars": bars.build, "store": store.build}


def submit(settings: JobSettings, jobs: Iterable[str]) -> None:
    """Submits the named jobs (keys of GRAPHS). Raises UnavailableError where the registry is away."""
    use_flink_libraries(settings.flink_lib_dir)
    topics = Topics(settings.topic_prefix)
    ids = register_schemas(settings.schema_registry_url, topics)
    schemas = our_schemas(topics, ids)
    for job in jobs:
        name = topics.job_name(job)
        snapshot = Snapshots.of(settings, name).newest()
        restore_from = snapshot.as_uri() if snapshot else None
        tables = table_environment(configuration(settings, name, restore_from))
        client = GRAPHS[job](tables, settings, schemas, ids).execute().get_job_client()
        log.info("job_submitted", job=name, job_id=str(client.get_job_id()), restored_from=restore_from)
