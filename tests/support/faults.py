"""The faults: each breaks something in a live system on entry and lets it be mended on exit.

Nothing is repaired by hand: a fault ends what it did itself (a pause, the hold on what starts dead processes
again), and the system does the rest.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import psutil

from docker.local.parts import JOBS
from jobs.cluster import FlinkCluster
from schemas.topics import Topics
from tests.support.servers import LiveSystem

CHECKPOINT_SECONDS = 60
SETTLE_S = 0.05
"""A checkpoint that is still open so long after the victim stood still cannot end any more."""

WORKER = re.compile(r"pyflink\.fn_execution\S*")
STARTED_AGAIN = re.compile(r"^\s*(\S+) had died and is started again", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Target:
    """A live system, and the settings that it was started with."""

    live: LiveSystem
    settings: Mapping[str, str]

    def process(self, part: str) -> psutil.Process:
        """The process of a part."""
        return psutil.Process(self.live.process(part).pid)

    def python_workers(self) -> list[psutil.Process]:
        """The processes that run Python functions for the TaskManager, the one with most work first."""
        below = self.process("taskmanager").children(recursive=True)
        workers = [process for process in below if WORKER.search(" ".join(process.cmdline()))]
        return sorted(workers, key=lambda process: -process.cpu_times().user)

    def orphans(self) -> list[psutil.Process]:
        """Processes that ran Python functions for a TaskManager that is no more."""
        state, now = str(self.live.settings.state_dir), set(self.python_workers())
        return [
            process
            for process in psutil.process_iter(["cmdline", "environ"])
            if WORKER.search(" ".join(process.info["cmdline"] or ()))
            and (process.info["environ"] or {}).get("STATE_DIR") == state
            and process not in now
        ]

    def started_again(self) -> list[str]:
        """The parts that were started again since the runner was started, each as often as that happened."""
        return STARTED_AGAIN.findall(self.live.output())


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. ``breaking(target)`` is held for ``seconds``. ``bars_go_on``: what is broken is not on the
    way from trades to bars, so that they must not notice. ``in_ci``: also part of ``make test``."""

    name: str
    what: str
    seconds: float
    breaking: Callable[[Target], AbstractContextManager[None]]
    bars_go_on: bool = False
    in_ci: bool = False

    def __str__(self) -> str:
        return self.name


@contextmanager
def unattended(target: Target) -> Iterator[None]:
    """What dies meanwhile stays dead: supervisord, which would start it again at once, stands still."""
    pid_file = target.live.settings.folders.run / "supervisord.pid"
    supervisord = psutil.Process(int(pid_file.read_text(encoding="utf-8")))
    supervisord.suspend()
    try:
        yield
    finally:
        supervisord.resume()


@contextmanager
def killed(target: Target, part: str) -> Iterator[None]:
    """The part is gone, without a word."""
    victim = target.process(part)
    with unattended(target):
        victim.kill()
        yield


@contextmanager
def killed_in_checkpoint(target: Target, part: str) -> Iterator[None]:
    """Like ``killed``, while a checkpoint that needs the part is under way."""
    victim = target.process(part)
    with unattended(target):
        _stop_in_checkpoint(target.live.settings.folders.flink / "checkpoints", victim)
        victim.kill()
        yield


@contextmanager
def worker_killed(target: Target) -> Iterator[None]:
    """A Python process of the TaskManager is gone; Flink itself must notice."""
    target.python_workers()[0].kill()
    yield


@contextmanager
def paused(target: Target, part: str) -> Iterator[None]:
    """The part accepts connections and answers nothing."""
    victim = target.process(part)
    victim.suspend()
    try:
        yield
    finally:
        victim.resume()


@contextmanager
def stopped_and_grown(target: Target, parallelism: int, partitions: int) -> Iterator[None]:
    """The end of the runner, which stops both jobs with a savepoint, and a start with another parallelism and
    more partitions, so that the trades of some symbols go on in another one."""
    assert target.live.stop() == 0
    yield
    grown = {"PARALLELISM": str(parallelism), "TOPIC_PARTITIONS": str(partitions)}
    target.live.start(**{**target.settings, **grown})
    assert_resumed(target.live, parallelism)


FAULTS = (
    Fault(
        "taskmanager",
        "kill -9 of the TaskManager during a checkpoint",
        10,
        partial(killed_in_checkpoint, part="taskmanager"),
        in_ci=True,
    ),
    Fault("python-worker", "kill -9 of a Python worker, which Flink starts again", 0, worker_killed),
    Fault(
        "jobmanager",
        "kill -9 of the JobManager during a checkpoint",
        10,
        partial(killed_in_checkpoint, part="jobmanager"),
    ),
    Fault("kafka", "kill -9 of Kafka", 10, partial(killed, part="kafka")),
    Fault(
        "cassandra",
        "kill -9 of Cassandra",
        10,
        partial(killed, part="cassandra"),
        bars_go_on=True,
        in_ci=True,
    ),
    Fault("producer", "kill -9 of the producer", 10, partial(killed, part="producer")),
    Fault(
        "cassandra-paused", "Cassandra stands still", 60, partial(paused, part="cassandra"), bars_go_on=True
    ),
    Fault("registry", "the registry is away", 60, partial(killed, part="registry"), bars_go_on=True),
    Fault(
        "savepoint",
        "everything stopped, both jobs with a savepoint, and started with parallelism 2 and 3 partitions",
        0,
        partial(stopped_and_grown, parallelism=2, partitions=3),
        in_ci=True,
    ),
)


def assert_resumed(live: LiveSystem, parallelism: int) -> None:
    """Both jobs run with this parallelism, each from a savepoint."""
    with FlinkCluster(live.settings.flink_url) as cluster:
        jobs = [cluster.job(Topics("market").job_name(name)) for name in JOBS]
    for job in jobs:
        assert job is not None
        url = f"{live.settings.flink_url}/jobs/{job.job_id}"
        assert httpx.get(f"{url}/checkpoints").json()["latest"]["restored"]["is_savepoint"], job.name
        vertices = httpx.get(url).json()["vertices"]
        assert {vertex["parallelism"] for vertex in vertices} == {parallelism}, job.name


def _stop_in_checkpoint(checkpoints: Path, victim: psutil.Process) -> None:
    """Stops the process where a checkpoint has begun and cannot be completed without it.

    Looks at the folders, which are made when a checkpoint begins and get their ``_metadata`` when it is
    complete: what Flink's REST API says of checkpoints may be three seconds old.
    """
    earlier = _unfinished(checkpoints)
    give_up_at = time.monotonic() + CHECKPOINT_SECONDS
    while time.monotonic() < give_up_at:
        begun = _unfinished(checkpoints) - earlier
        if begun:
            victim.suspend()
            time.sleep(SETTLE_S)
            if begun & _unfinished(checkpoints):
                return
            victim.resume()
        time.sleep(0.001)
    raise AssertionError(f"no checkpoint was caught in {CHECKPOINT_SECONDS} s")


def _unfinished(checkpoints: Path) -> set[Path]:
    """By ``<job>/<which state>/<job id>/chk-<n>``."""
    return {folder for folder in checkpoints.glob("*/*/*/chk-*") if not (folder / "_metadata").exists()}
