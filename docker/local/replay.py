"""A replay: recordings through the same code in a run of its own, beside the live system.

It has topics of its own, which keep everything whatever its age, job instances of its own, and the same
tables. It ends when every trade and every bar is stored, those of providers, too; then gaps that it has
filled are told as filled.
"""

import dataclasses
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, TopicPartition
from pydantic import Field

from docker.local.errors import PartFailed
from docker.local.filled_gaps import covered_by, find_applied, tell
from docker.local.settings import PROJECT, LocalSettings
from docker.local.tail import last_lines
from jobs.cluster import FlinkCluster
from producer.settings import ReplaySettings
from schemas.create import create_topics, delete_topics
from schemas.errors import ConfigurationError
from schemas.kafka_admin import METADATA_TIMEOUT_S, admin_client, known_topics, unavailable
from schemas.registry import register_schemas
from schemas.settings import EnvironmentSettings, Port, TopicSettings, load_settings
from schemas.topics import Topics

PREFIX = "replay-"
POLL_S = 0.5
PROGRESS_S = 5.0
START_SECONDS = 600
STUCK_SECONDS = 300
"""No further record read for so long: something is wrong with a job."""

Report = Callable[[str], None]


class ReplayRunSettings(EnvironmentSettings):
    """Settings of a replay's run; how the recordings are read is the producer's."""

    replay_metrics_port: Port = Field(9101, description="port that a replay's producer serves its metrics on")


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay brought: its topics, which stay until the next replay, the records in two of them, and
    how many gaps of the ledger it has filled."""

    topics: Topics
    candles: int
    dead_letters: int
    filled_gaps: int = 0


def replay(
    files: list[Path], settings: LocalSettings, environment: Mapping[str, str], report: Report
) -> Replayed:
    """Replays the files and returns when everything is stored. How they are read is the producer's settings
    (REPLAY_FORMAT, REPLAY_SPEED, ...) in ``environment``.

    Raises ConfigurationError for a file that is not there, UnavailableError where a server does not answer,
    PartFailed where the producer or a job fails.
    """
    for file in files:
        if not file.is_file():
            raise ConfigurationError(
                f"no recording {file}: give the path of a CSV or JSON lines file, .gz too"
            )
    began_us = time.time_ns() // 1000
    run = PREFIX + datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    folder = settings.folders.run / run
    folder.mkdir(parents=True)
    variables = {
        **environment,
        "TOPIC_PREFIX": run,
        "TOPIC_RETENTION_HOURS": "0",
        "LATENCY_ALERTS": "false",
        "SOURCE": "replay",
        "SOURCES": "",
        "REPLAY_FILES": ",".join(str(file.resolve()) for file in files),
        "PRODUCER_METRICS_PORT": str(load_settings(ReplayRunSettings, environment).replay_metrics_port),
        "CHECKPOINT_DIR": str(folder / "checkpoints"),
        "SAVEPOINT_DIR": str(folder / "savepoints"),
        "CHECKPOINT_INTERVAL_MS": "1000",
    }
    if load_settings(ReplaySettings, environment).speed is None:
        variables["LIVE_BUDGET_PER_SECOND"] = "0"  # no bar lives long enough to be worth showing
    topic_settings = load_settings(TopicSettings, variables)
    with FlinkCluster(variables["FLINK_REST_URL"]) as cluster:
        _delete_finished(topic_settings, cluster)
        topics = create_topics(topic_settings, any_time=True)
        names = ", ".join(name.removeprefix(run) for name in topics.event_types)
        report(f"Replay {run}: topics {run} + {names}")
        register_schemas(topic_settings.schema_registry_url, topics)
        with _process("jobs", ["jobs", "run"], variables, folder) as jobs:
            report("  the jobs start ...")
            _await(lambda: _running(cluster, topics), jobs, folder / "jobs.log", START_SECONDS)
            producer = subprocess.run(
                [sys.executable, "-m", "producer"], env=variables, cwd=PROJECT, check=False
            )
            if producer.returncode:
                raise PartFailed("the recordings could not be replayed: see above")
            watch = _Watch(topic_settings, cluster, topics, report)
            _await(watch.is_done, jobs, folder / "jobs.log", None)
    shutil.rmtree(folder)
    done = watch.result()
    return dataclasses.replace(done, filled_gaps=_fill_gaps(files, environment, done, began_us, report))


def _fill_gaps(
    files: list[Path], environment: Mapping[str, str], done: Replayed, began_us: int, report: Report
) -> int:
    """Tells the gaps that a provider's history has filled; returns how many there are."""
    recorded = covered_by(files)
    if not recorded:
        return 0
    if done.dead_letters:
        report("  some of the recording was refused: the ledger keeps its gaps as they are")
        return 0
    applied = find_applied(environment, recorded, began_us)
    if applied.outdone:
        report(
            f"  {len(applied.outdone)} gaps stay as they are: bars over them are of a generation as high as"
            " this one; replay again, with a higher GENERATION"
        )
    if applied.filled:
        tell(environment, applied.filled)
    return len(applied.filled)


class _Watch:
    """Follows the consumer groups of the two jobs, which commit what a checkpoint has covered."""

    def __init__(
        self, settings: TopicSettings, cluster: FlinkCluster, topics: Topics, report: Report
    ) -> None:
        self._settings = settings
        self._cluster = cluster
        self._topics = topics
        self._report = report
        self._reported = 0.0
        self._moved_at = time.monotonic()
        self._left = -1
        self._checkpoints: int | None = None

    def is_done(self) -> bool:
        topics = self._topics
        left = sum(self._lag(job, topic) for topic in topics.inputs for job in ("bars", "store"))
        left += self._lag("bars", topics.provider_bars)
        if left == 0 and self._bars_are_closed():
            made = topics.candles, topics.alerts, topics.provider_candles
            left = sum(self._lag("store", topic) for topic in made)
            if left == 0:
                return True
        self._show(left)
        return False

    def result(self) -> Replayed:
        return Replayed(
            self._topics, self._records(self._topics.candles), self._records(self._topics.dead_letter)
        )

    def _bars_are_closed(self) -> bool:
        """The watermark of the closing heartbeat follows the heartbeat itself, and the final bars follow the
        watermark: the second checkpoint after the heartbeat was read covers them all."""
        job = self._cluster.job(self._topics.job_name("bars"))
        completed = self._cluster.completed_checkpoints(job.job_id) if job else 0
        if self._checkpoints is None:
            self._checkpoints = completed
        return completed >= self._checkpoints + 2

    def _show(self, left: int) -> None:
        now = time.monotonic()
        if left != self._left:
            self._moved_at, self._left = now, left
        if now - self._moved_at > STUCK_SECONDS:
            raise PartFailed(f"no job has read anything for {STUCK_SECONDS} s; look at Flink's Web UI")
        if now - self._reported > PROGRESS_S and left:
            self._reported = now
            self._report(f"  {left} records to go ...")

    def _lag(self, job: str, topic: str) -> int:
        """Records of the topic that no checkpoint of the job has covered yet."""
        with self._consumer(self._topics.job_name(job)) as consumer:
            partitions = self._partitions(consumer, topic)
            ends = [consumer.get_watermark_offsets(partition, timeout=10)[1] for partition in partitions]
            done = [max(0, partition.offset) for partition in consumer.committed(partitions, timeout=10)]
        return sum(end - at for end, at in zip(ends, done, strict=True))

    def _records(self, topic: str) -> int:
        with self._consumer("replay-report") as consumer:
            partitions = self._partitions(consumer, topic)
            return sum(consumer.get_watermark_offsets(partition, timeout=10)[1] for partition in partitions)

    @staticmethod
    def _partitions(consumer: Consumer, topic: str) -> list[TopicPartition]:
        return [
            TopicPartition(topic, number)
            for number in consumer.list_topics(topic, 10).topics[topic].partitions
        ]

    @contextmanager
    def _consumer(self, group: str) -> Iterator[Consumer]:
        consumer = Consumer({"bootstrap.servers": self._settings.kafka_bootstrap_servers, "group.id": group})
        try:
            yield consumer
        except KafkaException as error:
            raise unavailable(self._settings, error.args[0].str()) from error
        finally:
            consumer.close()


def _running(cluster: FlinkCluster, topics: Topics) -> bool:
    jobs = (cluster.job(topics.job_name(name)) for name in ("bars", "store"))
    return all(job is not None and job.state == "RUNNING" for job in jobs)


def _await(done: Callable[[], bool], jobs: subprocess.Popen[bytes], log: Path, seconds: float | None) -> None:
    give_up_at = time.monotonic() + seconds if seconds else float("inf")
    while not done():
        if jobs.poll() is not None or time.monotonic() > give_up_at:
            raise PartFailed(f"the jobs of the replay do not run; the end of {log}:\n{last_lines(log, 20)}")
        time.sleep(POLL_S)


@contextmanager
def _process(
    name: str, arguments: list[str], environment: Mapping[str, str], folder: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A process of ours with its log in ``folder``, ended with SIGTERM at the end."""
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            env=dict(environment),
            cwd=PROJECT,
            stderr=log,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def _delete_finished(settings: TopicSettings, cluster: FlinkCluster) -> None:
    """Deletes the topics of earlier replays whose jobs have ended."""
    running = {job.name for job in cluster.jobs() if not job.is_gone}
    names = known_topics(settings, admin_client(settings), METADATA_TIMEOUT_S)
    for prefix in {name.rpartition(".")[0] for name in names if name.startswith(PREFIX)}:
        if Topics(prefix).job_name("bars") not in running:
            delete_topics(settings.model_copy(update={"topic_prefix": prefix}))
