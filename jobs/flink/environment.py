"""The execution environment of a job: what is the same for both."""

import os
import sys
from pathlib import Path

import pyflink
from pyflink.common import Configuration
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.java_gateway import get_gateway
from pyflink.table import StreamTableEnvironment

from jobs.settings import JobSettings
from jobs.snapshots import checkpoint_uri, savepoint_uri
from schemas.errors import ConfigurationError

SHIPPED = ("jobs", "schemas")
"""Packages that the workers import; they travel with the job."""

LIBRARIES = (
    "flink-dist-*.jar",
    "flink-python-*.jar",
    "flink-sql-connector-kafka-*.jar",
    "java-driver-core-*.jar",
    "tickstream-jobs-*.jar",
)
"""Of Flink, the connector, Cassandra's driver, and what of our jobs runs in the JVM: see jobs/java."""

STATE_CACHE_ENTRIES = 4_000
"""Of each group of symbols, which has two for each of its symbols, and some."""

STATE_CACHE_BYTES = 64 * 1024 * 1024
"""Of state that a worker keeps between two bundles instead of asking for it again. To Beam it is bytes; to
PyFlink, whose default is 1,000, it is a number of states, which are bounded by the number of symbols."""


def configuration(settings: JobSettings, job: str, restore_from: str | None = None) -> Configuration:
    """Flink's configuration of one job, which goes on from the checkpoint or savepoint ``restore_from``."""
    values = {
        "pipeline.name": job,
        "pipeline.max-parallelism": str(settings.max_parallelism),
        "pipeline.object-reuse": "true",
        "pipeline.auto-watermark-interval": f"{settings.watermark_interval_ms} ms",
        "parallelism.default": str(settings.parallelism),
        "execution.buffer-timeout.interval": f"{settings.buffer_timeout_ms} ms",
        "execution.checkpointing.interval": f"{settings.checkpoint_interval_ms} ms",
        "execution.checkpointing.timeout": "10 min",
        "execution.checkpointing.tolerable-failed-checkpoints": "100",
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "execution.checkpointing.dir": checkpoint_uri(settings, job),
        "execution.checkpointing.savepoint-dir": savepoint_uri(settings, job),
        "execution.checkpointing.incremental": "true",
        "state.backend.type": settings.state_backend,
        # Each checkpoint makes a small file: merged level by level, every fourth one had all of the state of
        # the slices, which is a number for each trade, written anew.
        "state.backend.rocksdb.compaction.style": "UNIVERSAL",
        "restart-strategy.type": "exponential-delay",
        "restart-strategy.exponential-delay.initial-backoff": "500 ms",
        "restart-strategy.exponential-delay.max-backoff": "30 s",
        "table.local-time-zone": "UTC",
        "python.fn-execution.bundle.time": str(settings.bundle_time_ms),
        "python.fn-execution.bundle.size": str(settings.bundle_size),
        "python.fn-execution.arrow.batch.size": str(settings.bundle_size),
        "python.state.cache-size": str(STATE_CACHE_BYTES),
        "python.map-state.iterate-response-batch-size": str(STATE_CACHE_ENTRIES),
        "python.map-state.read-cache-size": str(STATE_CACHE_ENTRIES),
        "python.map-state.write-cache-size": str(STATE_CACHE_ENTRIES),
        "python.executable": settings.python_executable or sys.executable,
        "python.client.executable": sys.executable,
        "python.files": ",".join(shipped_files()),
    }
    if restore_from:
        # All state or none: Kafka's offsets are part of it, and without them bars would count twice.
        values["execution.state-recovery.path"] = restore_from
        values["execution.state-recovery.ignore-unclaimed-state"] = "false"
        values["execution.state-recovery.claim-mode"] = "NO_CLAIM"
    configuration = Configuration()
    for key, value in values.items():
        configuration.set_string(key, value)
    return configuration


def use_flink_libraries(folder: Path) -> None:
    """Makes this process's JVM take its jars from ``folder``, the same as the cluster's.

    Connectors and PyFlink's runtime must lie there, on the classpath of cluster and client, and not travel
    with a job: each job would load their classes anew, and after some jobs the TaskManager is out of
    metaspace. To be called before anything of PyFlink starts the JVM. Raises ConfigurationError.
    """
    for jar in LIBRARIES:
        if not any(folder.glob(jar)):
            raise ConfigurationError(f"no {jar} in {folder}: set FLINK_LIB_DIR to the cluster's lib folder")
    os.environ["FLINK_LIB_DIR"] = str(folder.resolve())
    # Without a home of its own choosing PyFlink overwrites the folder of the jars.
    os.environ.setdefault("FLINK_HOME", str(Path(pyflink.__file__).parent))


def table_environment(configuration: Configuration) -> StreamTableEnvironment:
    """A table environment outside of any cluster; ``remote`` names the cluster that its jobs go to.

    Built from Java's constructor: outside of ``flink run``, ``get_execution_environment`` ignores the target
    and starts a cluster of its own inside this process.
    """
    java = get_gateway().jvm.org.apache.flink.streaming.api.environment
    environment = java.StreamExecutionEnvironment(configuration._j_configuration)
    return StreamTableEnvironment.create(StreamExecutionEnvironment(environment))


def remote(configuration: Configuration, rest_url: str) -> Configuration:
    """The same configuration, for jobs that go to the cluster at ``rest_url``; submitting does not wait for
    their end."""
    host, _, port = rest_url.removeprefix("http://").rstrip("/").partition(":")
    target = {
        "execution.target": "remote",
        "execution.attached": "false",
        "rest.address": host,
        "rest.port": port or "8081",
    }
    for key, value in target.items():
        configuration.set_string(key, value)
    return configuration


def inner_table_environment(configuration: Configuration) -> StreamTableEnvironment:
    """A table environment of a program that the JobManager itself has started; its job runs there."""
    return StreamTableEnvironment.create(StreamExecutionEnvironment.get_execution_environment(configuration))


def asked_for() -> dict[str, str]:
    """Flink's configuration as the JobManager hands it to a program that it has started: the cluster's, and
    what was filled in in the Web UI."""
    environment = StreamExecutionEnvironment.get_execution_environment()
    return dict(environment._j_stream_execution_environment.getConfiguration().toMap())


def shipped_files() -> list[str]:
    """The folders of the packages that the workers need."""
    root = Path(__file__).parents[2]
    return [str(root / package) for package in SHIPPED]
