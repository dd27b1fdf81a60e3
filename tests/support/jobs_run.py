"""Both jobs on the real cluster, on topics and in a keyspace of their own."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from jobs.cluster import FlinkCluster, Job
from schemas.create import create_tables, create_topics
from schemas.registry import register_schemas
from schemas.settings import CassandraSettings, TopicSettings, load_settings
from schemas.topics import Topics
from tests.support.reading import eventually


@dataclass(frozen=True, slots=True)
class JobsRun:
    """Jobs that run. ``environment`` is theirs, for a producer on the same topics."""

    environment: Mapping[str, str]
    topic_settings: TopicSettings
    cassandra: CassandraSettings
    ids: Mapping[str, int]
    cluster: FlinkCluster

    @property
    def topics(self) -> Topics:
        return Topics(self.topic_settings.topic_prefix)

    def job(self, name: str) -> Job | None:
        return self.cluster.job(self.topics.job_name(name))

    def restarts(self, name: str) -> int:
        """How often the job has failed since it was submitted."""
        job = self.job(name)
        assert job is not None
        return len(self.cluster.failures(job.job_id))


@contextmanager
def running_jobs(
    environment: Mapping[str, str],
    folder: Path,
    prefix: str,
    jobs: Sequence[str] = ("bars", "store"),
    **changes: object,
) -> Iterator[JobsRun]:
    """Starts both jobs, or those named, with the settings changed as given (``HORIZON_SECONDS=5``), from the
    newest state that ``folder`` holds, and stops them with a savepoint at the end."""
    variables = {
        **os.environ,
        **environment,
        "TOPIC_PREFIX": prefix,
        "TOPIC_RETENTION_HOURS": "0",
        "LATENCY_ALERTS": "false",
        "CASSANDRA_KEYSPACE": prefix.replace("-", "_"),
        "CHECKPOINT_DIR": str(folder / "checkpoints"),
        "SAVEPOINT_DIR": str(folder / "savepoints"),
        "CHECKPOINT_INTERVAL_MS": "1000",
        **{name: str(value) for name, value in changes.items()},
    }
    topic_settings = load_settings(TopicSettings, variables)
    cassandra = load_settings(CassandraSettings, variables)
    create_tables(cassandra)
    ids = register_schemas(topic_settings.schema_registry_url, create_topics(topic_settings, any_time=True))
    with FlinkCluster(variables["FLINK_REST_URL"]) as cluster, (folder / "jobs.log").open("ab") as log:
        run = JobsRun(variables, topic_settings, cassandra, ids, cluster)
        keeper = subprocess.Popen(
            [sys.executable, "-m", "jobs", "run", *(f"--job={job}" for job in jobs)],
            env=variables,
            stderr=log,
        )
        try:
            eventually(
                lambda: all((job := run.job(name)) and job.state == "RUNNING" for name in jobs),
                120,
                f"both jobs of {prefix} run; see {folder / 'jobs.log'}",
            )
            yield run
        finally:
            keeper.send_signal(signal.SIGTERM)
            assert keeper.wait(timeout=150) == 0
