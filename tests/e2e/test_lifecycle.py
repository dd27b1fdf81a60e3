"""The whole system's life: start, death of a part, Ctrl-C under load, start again; nothing lost or doubled.

The tests build on each other, in this order: one system lives through all of it.
"""

import csv
import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest

from docker.local.parts import JOBS
from jobs.cluster import FlinkCluster, Job
from schemas.cassandra_session import connect
from schemas.errors import UnavailableError
from schemas.intervals import MINUTE_US
from schemas.topics import Topics
from tests.support.reading import eventually, stored_bars, stored_trades
from tests.support.servers import LiveSystem, free_ports

pytestmark = pytest.mark.servers
PARTS = {"kafka", "registry", "cassandra", "jobmanager", "taskmanager", "jobs", "producer", "api"}
ADDITIVE = 1e-12
"""Relative: a sum of the same numbers in another order."""
SETTLED_US = 10_000_000
"""After the end of a minute all of its trades have been acknowledged."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A line of the ledger."""

    symbol: str
    source: str
    trade_id: str
    event_time: int
    price: float
    size: float

    @property
    def minute(self) -> int:
        return self.event_time - self.event_time % MINUTE_US


def read_ledger(live: LiveSystem) -> dict[tuple[str, str, str], Acknowledged]:
    """Every acknowledged trade by its identity, as it was first reported; one that was sent twice counts
    once."""
    trades = [
        Acknowledged(symbol, source, trade_id, int(event_time), float(price), float(size))
        for symbol, source, trade_id, event_time, _, price, size, kind, _ in ledger_lines(live)
        if kind == "trade"
    ]
    return {(trade.symbol, trade.source, trade.trade_id): trade for trade in trades}


def ledger_lines(live: LiveSystem) -> Iterator[list[str]]:
    """The complete lines of the ledger: the producer may be in the middle of one."""
    text = live.ledger.read_text(encoding="utf-8")
    return csv.reader(text[: text.rfind("\n") + 1].splitlines())


def corrected(
    live: LiveSystem, trades: Mapping[tuple[str, str, str], Acknowledged]
) -> dict[tuple[str, str, str], Acknowledged]:
    """The trades as the corrections of the ledger leave them; the simulator corrects each once at most."""
    left = dict(trades)
    for symbol, source, trade_id, _, _, price, size, kind, _ in ledger_lines(live):
        key = (symbol, source, trade_id)
        if kind == "cancel":
            left.pop(key, None)
        elif kind == "correct" and key in left:
            left[key] = replace(left[key], price=float(price), size=float(size))
    return left


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
    """Path of the checkpoint or savepoint that a job went on from."""
    answer = httpx.get(f"{live.settings.flink_url}/jobs/{job.job_id}/checkpoints", timeout=10)
    return str(answer.json()["latest"]["restored"]["external_path"])


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
    """The keeper and ``/ready`` say so. Then it goes on from its newest checkpoint, and the next test finds
    what was traded meanwhile."""
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
    assert cancelled.job_id in restored_from(live_system, jobs_that_run_now(live_system)["market.bars"])


def test_nothing_is_lost_by_ctrl_c_under_load(live_system: LiveSystem) -> None:
    """SIGINT at 1,000 trades/s, then a restart: what Kafka acknowledged is in bronze and silver once, and the
    final bars are made of exactly that. The killed JobManager before it is covered, too."""
    started = len(read_ledger(live_system))
    time.sleep(5)
    under_load = len(read_ledger(live_system))
    assert under_load > started
    assert live_system.stop(signal.SIGINT) == 0
    assert set(live_system.command("status").stdout.split()) & {"running", "starting"} == set()
    stopped = read_ledger(live_system)

    # No more late trades from here on: what is expected of the minutes before stands still.
    live_system.start(SIMULATOR_SCENARIOS="none")
    eventually(lambda: len(read_ledger(live_system)) > len(stopped), 60, "the producer goes on")
    last = max(trade.minute for trade in stopped.values()) + MINUTE_US
    eventually(lambda: time.time() * 1_000_000 > last + SETTLED_US, 90, "the last minute is over")
    expected = {key: trade for key, trade in read_ledger(live_system).items() if trade.event_time < last}
    bars = expected_bars(corrected(live_system, expected))
    symbols = {trade.symbol for trade in expected.values()}
    session = connect(live_system.cassandra)
    try:

        def final_bars() -> dict[tuple[str, int], tuple[int, float]]:
            return {
                (symbol, start): (bar[7], bar[4])
                for (symbol, interval, start), bar in stored_bars(session, symbols).items()
                if interval == "1m" and bar[8] and start < last
            }

        eventually(
            lambda: (
                {key: trades for key, (trades, _) in final_bars().items()}
                == {key: trades for key, (trades, _) in bars.items()}
            ),
            180,
            "every bar of the ledger is final, with as many trades as the ledger has",
        )
        for table in ("trades_bronze", "trades_silver"):
            rows = [row for row in stored_trades(session, table, symbols) if row.event_time < last]
            assert {(row.symbol, row.source, row.trade_id) for row in rows} == expected.keys()
            assert len(rows) == len(expected)
        silver = {(row.symbol, row.source, row.trade_id): row for row in rows}
        assert {key: (row.event_time, row.price, row.size) for key, row in silver.items()} == {
            key: (trade.event_time, trade.price, trade.size) for key, trade in expected.items()
        }
        assert final_bars() == {
            key: (trades, pytest.approx(volume, rel=ADDITIVE)) for key, (trades, volume) in bars.items()
        }
    finally:
        session.cluster.shutdown()


def expected_bars(
    trades: Mapping[tuple[str, str, str], Acknowledged],
) -> dict[tuple[str, int], tuple[int, float]]:
    """``(symbol, minute)`` -> (trades, volume) of its 1m bar."""
    sizes: dict[tuple[str, int], list[float]] = defaultdict(list)
    for trade in trades.values():
        sizes[trade.symbol, trade.minute].append(trade.size)
    return {key: (len(values), math.fsum(values)) for key, values in sizes.items()}
