"""Submitting the jobs to the cluster, each from its newest state."""

from collections.abc import Iterable

import structlog
from pyflink.table import StreamTableEnvironment

from jobs import bars, store
from jobs.cluster import FlinkCluster, Job
from jobs.flink.environment import (
    asked_for,
    configuration,
    inner_table_environment,
    remote,
    table_environment,
    use_flink_libraries,
)
from jobs.instances import refuse_idle_instances
from jobs.settings import JobSettings
from jobs.snapshots import Snapshots
from schemas.errors import ConfigurationError
from schemas.registry import our_schemas, register_schemas
from schemas.topics import Topics

log = structlog.get_logger()
GRAPHS = {"bars": bars.build, "store": store.build}


def submit(settings: JobSettings, jobs: Iterable[str]) -> None:
    """Submits those of the named jobs (keys of GRAPHS) that do not run. Raises UnavailableError where the
    registry, Kafka or the cluster is away, ConfigurationError where a topic has too few partitions."""
    refuse_idle_instances(settings)
    use_flink_libraries(settings.flink_lib_dir)
    for job in jobs:
        name = Topics(settings.topic_prefix).job_name(job)
        if running := _running(settings, name):
            log.info("job_runs_already", job=name, job_id=running.job_id, state=running.state)
            continue
        restore_from = _newest_state(settings, name)
        values = remote(configuration(settings, name, restore_from), settings.flink_rest_url)
        _execute(settings, job, table_environment(values), restore_from)


def submit_inside(settings: JobSettings, job: str) -> None:
    """Submits a job from a program that the JobManager has started. The parallelism and the savepoint that
    it was asked for come before the settings and the newest state.

    Raises as ``submit``, and ConfigurationError where the job runs already.
    """
    name = Topics(settings.topic_prefix).job_name(job)
    if running := _running(settings, name):
        raise ConfigurationError(
            f"{name} is {running.state} already, as job {running.job_id}: two of them would do the same work;"
            f" cancel it or stop it with a savepoint first"
        )
    asked = asked_for()
    parallelism = int(asked.get("parallelism.default", "1"))
    if parallelism > 1:  # an empty field is 1, too
        settings = settings.model_copy(update={"parallelism": parallelism})
    refuse_idle_instances(settings)
    restore_from = asked.get("execution.state-recovery.path") or _newest_state(settings, name)
    _execute(
        settings, job, inner_table_environment(configuration(settings, name, restore_from)), restore_from
    )


def _running(settings: JobSettings, name: str) -> Job | None:
    with FlinkCluster(settings.flink_rest_url) as cluster:
        return next((job for job in cluster.jobs() if job.name == name and not job.is_gone), None)


def _newest_state(settings: JobSettings, name: str) -> str | None:
    snapshot = Snapshots.of(settings, name).newest()
    return snapshot.as_uri() if snapshot else None


def _execute(
    settings: JobSettings, job: str, tables: StreamTableEnvironment, restored_from: str | None
) -> None:
    topics = Topics(settings.topic_prefix)
    ids = register_schemas(settings.schema_registry_url, topics)
    client = GRAPHS[job](tables, settings, our_schemas(topics, ids), ids).execute().get_job_client()
    log.info(
        "job_submitted",
        job=topics.job_name(job),
        job_id=str(client.get_job_id()),
        parallelism=settings.parallelism,
        restored_from=restored_from,
    )
