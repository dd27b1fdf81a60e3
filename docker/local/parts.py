"""What the local system is made of: each part's command, what it needs first, and when it is ready."""

import subprocess
import sys
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from docker.local import flink_commands
from docker.local.class_archive import ClassArchives
from docker.local.errors import PartFailed
from docker.local.probes import Probes
from docker.local.settings import PROJECT, LocalSettings
from jobs.instances import refuse_idle_instances
from jobs.settings import JobSettings
from schemas.create import create_tables, create_topics
from schemas.registry import register_schemas
from schemas.settings import CassandraSettings, KafkaSettings, TopicSettings, load_settings
from schemas.topics import Topics

JOBS = ("bars", "store")
SMALL_HEAP = "-XX:+UseSerialGC"
"""For some hundred MB and two cores: the default collector looks through them beside all else, and each write
of a reference costs it more."""

SHORT_LIVED = (SMALL_HEAP, "-XX:TieredStopAtLevel=1")
"""For a JVM with hardly any work: the quick compiler and collector."""

SOONER_WARM = (
    "-XX:MaxInlineLevel=9",
    "-XX:InlineSmallCode=1200",
    "-XX:FreqInlineSize=120",
    "-XX:Tier4InvocationThreshold=10000",
    "-XX:Tier4MinInvocationThreshold=1200",
    "-XX:Tier4CompileThreshold=30000",
    "-XX:Tier4BackEdgeThreshold=80000",
)
"""For two cores, of which the thorough compiler takes half a one in the first minutes: it is asked later and
less often, and puts less code into one piece."""

EXIT_WHEN_FULL = "-XX:+ExitOnOutOfMemoryError"
"""A JVM out of memory is not to be trusted any more; started again, it is."""

STORAGE_NICENESS = 10
"""Of what may lag while processors are short, so that ingest and answers do not: Kafka keeps it."""
JOBS_NICENESS = 15
"""Their many threads share what is left with storage, which some answers wait for."""


@dataclass(frozen=True, slots=True)
class Part:
    """A process. ``ports`` are the settings of its ports. Killed ``stop_seconds`` after a stop. ``niceness``:
    steps by which it yields the processors to the others."""

    name: str
    command: tuple[str, ...]
    is_ready: Callable[[], bool]
    needs: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    address: str = ""
    stop_seconds: int = 30
    niceness: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """Something that is done once in each start."""

    name: str
    run: Callable[[], object]
    needs: tuple[str, ...] = ()


def parts_of(
    settings: LocalSettings, environment: Mapping[str, str], jdk: Path, archives: ClassArchives
) -> dict[str, Part | Step]:
    """Every part and step by name. ``environment`` is that of the processes."""
    folders = settings.folders
    probes = Probes()
    topics = Topics(load_settings(KafkaSettings, environment).topic_prefix)
    jobs = tuple(topics.job_name(job) for job in JOBS)
    java = str(jdk / "bin" / "java")
    python = (sys.executable, "-m")
    everything = (
        Step("kafka format", lambda: _format_kafka(settings, java)),
        Part(
            "kafka",
            (
                java,
                f"-Xmx{settings.kafka_heap_mb}m",
                SMALL_HEAP,
                *SOONER_WARM,
                EXIT_WHEN_FULL,
                *archives.flags("kafka"),
                f"-Dlog4j2.configurationFile={PROJECT / 'docker/local/kafka-log4j2.properties'}",
                "-cp",
                f"{folders.lib}/kafka/*",
                "kafka.Kafka",
                str(folders.conf / "kafka.properties"),
            ),
            lambda: probes.accepts_connections(settings.kafka_port),
            needs=("kafka format",),
            ports=("KAFKA_PORT", "KAFKA_CONTROLLER_PORT"),
            address=settings.kafka_address,
        ),
        Part(
            "registry",
            (
                java,
                f"-Xmx{settings.registry_heap_mb}m",
                EXIT_WHEN_FULL,
                *SHORT_LIVED,
                *archives.flags("registry"),
                "-jar",
                str(_one(folders.lib / "registry", "*-runner.jar")),
            ),
            lambda: probes.answers(settings.registry_ready_url),
            needs=("kafka",),
            ports=("REGISTRY_PORT",),
            address=settings.registry_url,
        ),
        Part(
            "cassandra",
            _cassandra(settings, java),
            lambda: probes.accepts_connections(settings.cassandra_port),
            ports=("CASSANDRA_PORT", "CASSANDRA_STORAGE_PORT"),
            address=f"127.0.0.1:{settings.cassandra_port}",
            stop_seconds=60,
            niceness=STORAGE_NICENESS,
        ),
        Part(
            "jobmanager",
            flink_commands.jobmanager(settings, java, archives.flags("jobmanager")),
            lambda: probes.answers(f"{settings.flink_url}/overview"),
            ports=("FLINK_UI_PORT", "FLINK_RPC_PORT", "FLINK_METRICS_PORT"),
            address=settings.flink_url,
        ),
        Part(
            "taskmanager",
            flink_commands.taskmanager(settings, java, (*SOONER_WARM, *archives.flags("taskmanager"))),
            lambda: probes.has_taskmanager(settings.flink_url),
            ports=("TASKMANAGER_METRICS_PORT",),
            stop_seconds=60,
            niceness=JOBS_NICENESS,
        ),
        Step("topics", lambda: _make_topics(environment), needs=("registry",)),
        Step(
            "tables",
            lambda: create_tables(load_settings(CassandraSettings, environment)),
            needs=("cassandra",),
        ),
        Part(
            "jobs",
            (*python, "jobs", "run"),
            lambda: probes.runs_jobs(settings.flink_url, jobs),
            needs=("topics", "tables", "jobmanager", "taskmanager"),
            stop_seconds=120,
            # Of the JVM that plans the jobs and is gone.
            environment={"JVM_ARGS": " ".join((*SHORT_LIVED, *archives.flags("jobs")))},
        ),
        Part(
            "producer",
            (*python, "producer"),
            lambda: probes.answers(settings.producer_metrics_url),
            needs=("topics", "jobs"),
            ports=("PRODUCER_METRICS_PORT",),
            address=settings.producer_metrics_url,
        ),
        Part(
            "api",
            (*python, "api"),
            lambda: probes.serves_api(settings),
            needs=("topics", "tables"),
            ports=("API_PORT",),
            address=settings.api_url,
        ),
    )
    return {part.name: part for part in everything}


def with_needs(parts: Mapping[str, Part | Step], names: Iterable[str]) -> dict[str, Part | Step]:
    """The named parts and everything that they need."""
    wanted: dict[str, Part | Step] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in wanted:
            wanted[name] = parts[name]
            waiting += parts[name].needs
    return {name: part for name, part in parts.items() if name in wanted}


def _cassandra(settings: LocalSettings, java: str) -> tuple[str, ...]:
    lib = settings.folders.lib / "cassandra"
    here = PROJECT / "docker/local"
    return (
        java,
        f"-Xms{settings.cassandra_heap_mb}m",
        f"-Xmx{settings.cassandra_heap_mb}m",
        SMALL_HEAP,
        *SOONER_WARM,
        EXIT_WHEN_FULL,
        f"-javaagent:{_one(lib, 'jamm-*.jar')}",
        f"@{here / 'cassandra.jvm'}",
        f"-Dlogback.configurationFile={here / 'cassandra-logback.xml'}",
        f"-Dcassandra.config={(PROJECT / 'docker/cassandra/cassandra.yaml').as_uri()}",
        f"-Dcassandra.storagedir={settings.folders.data / 'cassandra'}",
        f"-Dcassandra.native_transport_port={settings.cassandra_port}",
        f"-Dcassandra.storage_port={settings.cassandra_storage_port}",
        "-cp",
        f"{lib}/*",
        "org.apache.cassandra.service.CassandraDaemon",
    )


def _format_kafka(settings: LocalSettings, java: str) -> None:
    """Kafka refuses a folder that was not formatted; one that was is left as it is."""
    folders = settings.folders
    if (folders.data / "kafka" / "meta.properties").is_file():
        return
    cluster_id = uuid.uuid4().hex[:22]
    tool = [java, "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", f"{folders.lib}/kafka/*"]
    arguments = ["kafka.tools.StorageTool", "format", "-t", cluster_id]
    done = subprocess.run(
        [*tool, *arguments, "-c", str(folders.conf / "kafka.properties")],
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
    )
    if done.returncode:
        raise PartFailed(f"Kafka's folder {folders.data / 'kafka'} could not be formatted:\n{done.stderr}")


def _make_topics(environment: Mapping[str, str]) -> None:
    settings = load_settings(TopicSettings, environment)
    register_schemas(settings.schema_registry_url, create_topics(settings))
    refuse_idle_instances(load_settings(JobSettings, environment))


def _one(folder: Path, pattern: str) -> Path:
    """The file of that name; its version is the pom's affair."""
    found = sorted(folder.glob(pattern))
    return found[0] if found else folder / pattern
