"""A live system: what the runner says of it, the death of a part, and a job that somebody cancels.

The tests build on each other, in this order: one system lives through all of it. What faults do to the data
is for tests/faults.
"""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from docker.local.parts import JOBS
from jobs.cluster import FlinkCluster, Job
from schemas.errors import UnavailableError
from schemas.topics import Topics
from tests.support.ports import free_ports
from tests.support.reading import eventually
from tests.support.servers import LiveSystem

pytestmark = pytest.mark.servers
PARTS = {"kafka", "registry", "cassandra", "jobmanager", "taskmanager", "jobs", "producer", "api"}


def running_jobs(cluster: FlinkCluster) -> dict[str, Job]:
    """The live jobs that run, by name."""
    names = {Topics("market").job_name(job) for job in JOBS}
    return {job.name: job for job in cluster.jobs() if job.name in names and job.state == "RUNNING"}


def jobs_that_run_now(live: LiveSystem) -> dict[str, Job]:
    """Like ``running_jobs``; none while the JobManager does not answer."""
    try:
        with FlinkCluster(live.settings.flink_url) as cluster:
            return running_jobs(cluster)
    except UnavailableError:
        return {}


def restored_from(live: LiveSystem, job: Job) -> str:
    """Path of the checkpoint or savepoint that a job went on from; empty where there is none, and for a
    moment after it has been submitted, in which Flink does not tell."""
    answer = httpx.get(f"{live.settings.flink_url}/jobs/{job.job_id}/checkpoints", timeout=10)
    restored = answer.json().get("latest", {}).get("restored") or {}
    return str(restored.get("external_path", ""))


def test_status_shows_every_part(live_system: LiveSystem) -> None:
    """Each part is running, with its pid and its ports."""
    rows = {line.split()[0]: line.split() for line in live_system.command("status").stdout.splitlines()[1:]}
    assert rows.keys() == PARTS
    for name, row in rows.items():
        process = live_system.process(name)
        assert row[1:3] == ["running", str(process.pid)]
    assert f"{live_system.settings.kafka_port},{live_system.settings.kafka_controller_port}" in rows["kafka"]


def test_smoke_finds_everything_working(live_system: LiveSystem) -> None:
    """A trade is followed from Kafka to REST."""
    smoke = live_system.command("smoke")
    assert "everything works" in smoke.stdout, smoke.stdout + smoke.stderr
    assert smoke.returncode == 0


def test_a_second_start_says_that_it_runs(live_system: LiveSystem) -> None:
    """And leaves the running one alone."""
    before = {name: live_system.process(name).pid for name in PARTS}
    second = live_system.command("run")
    assert (second.returncode, "already running" in second.stderr) == (1, True)
    assert {name: live_system.process(name).pid for name in PARTS} == before


def test_a_port_in_use_is_named(live_system: LiveSystem, tmp_path: Path) -> None:
    """With its setting and who uses it; and nothing is started."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        names = live_system.settings.ports
        elsewhere = {
            **{name: str(free) for name, free in zip(names, free_ports(len(names)), strict=True)},
            "REGISTRY_PORT": str(port),
            "STATE_DIR": str(tmp_path / "state"),
        }
        refused = live_system.command("run", **elsewhere)
    assert refused.returncode == 1
    assert f"port {port} (REGISTRY_PORT) is in use by" in refused.stderr
    assert f"pid {os.getpid()}" in refused.stderr
    assert not (tmp_path / "state/run/supervisord.pid").exists()


def test_a_dead_server_is_started_again(live_system: LiveSystem) -> None:
    """Kill the registry: it comes back under a new pid, and the runner says so."""
    killed = live_system.process("registry").pid
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: live_system.process("registry").pid not in (0, killed), 60, "the registry is back")
    eventually(lambda: "registry had died" in live_system.output(), 30, "the runner tells of it")


def test_a_killed_jobmanager_gets_its_jobs_back(live_system: LiveSystem) -> None:
    """Both jobs go on from their newest checkpoint."""
    with FlinkCluster(live_system.settings.flink_url) as cluster:
        before = running_jobs(cluster)
        eventually(
            lambda: all(cluster.completed_checkpoints(job.job_id) for job in before.values()),
            60,
            "each job has a checkpoint",
        )
    killed = live_system.process("jobmanager").pid
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: live_system.process("jobmanager").pid not in (0, killed), 60, "the JobManager is back")
    eventually(lambda: len(jobs_that_run_now(live_system)) == len(JOBS), 180, "both jobs run again")
    after = jobs_that_run_now(live_system)
    assert after.keys() == before.keys()
    for name, job in after.items():
        assert job.job_id != before[name].job_id
        assert before[name].job_id in restored_from(live_system, job)


def test_a_job_that_somebody_cancels_stays_down_until_it_is_submitted(live_system: LiveSystem) -> None:
    """The keeper and ``/ready`` say so. Then it goes on from its newest checkpoint."""
    with FlinkCluster(live_system.settings.flink_url) as cluster:
        cancelled = running_jobs(cluster)["market.bars"]
        eventually(lambda: cluster.completed_checkpoints(cancelled.job_id), 60, "the job has a checkpoint")
        cluster.cancel(cancelled.job_id)
    keeper_log = live_system.settings.folders.log("jobs")
    eventually(
        lambda: '"job_left_down"' in keeper_log.read_text(encoding="utf-8"), 30, "the keeper leaves it down"
    )
    assert "market.bars" not in jobs_that_run_now(live_system)
    bars = httpx.get(f"{live_system.settings.api_url}/ready", timeout=30).json()["parts"]["bars"]
    assert bars["ready"] is False
    assert "job market.bars is CANCELED: somebody has stopped it" in bars["reason"]
    submit = [sys.executable, "-m", "jobs", "submit", "--job=bars"]
    subprocess.run(submit, env=dict(live_system.environment), check=True, timeout=180)
    eventually(lambda: len(jobs_that_run_now(live_system)) == len(JOBS), 120, "both jobs run again")
    again = jobs_that_run_now(live_system)["market.bars"]
    eventually(lambda: restored_from(live_system, again), 30, "Flink tells what the job went on from")
    assert cancelled.job_id in restored_from(live_system, again)
