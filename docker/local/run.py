"""``run``: the whole system in the foreground, until Ctrl-C."""

import fcntl
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Event
from types import FrameType

from docker.console import Console
from docker.local import flink_libraries
from docker.local.errors import Interrupted
from docker.local.fetch import fetch, is_fetched
from docker.local.leftovers import end_leftovers
from docker.local.preflight import check_machine
from docker.local.settings import LocalSettings
from docker.local.supervisor import Supervisor
from docker.local.system import LocalSystem, plan_of
from schemas.errors import ConfigurationError, TickstreamError
from schemas.stopping import set_by_handler

WATCH_SECONDS = 1.0
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def prepare(
    settings: LocalSettings,
    environment: Mapping[str, str],
    console: Console,
    stopping: Event,
) -> LocalSystem:
    """Checks the machine, fetches the servers if need be, and returns the system, with nothing started yet.

    Raises ConfigurationError if it runs already, PreflightError, PartFailed or Interrupted.
    """
    folders = settings.folders
    folders.create()
    if Supervisor(folders).is_running():
        raise ConfigurationError(
            "the system is already running, without the terminal that started it: `make down` stops it"
        )
    for name in end_leftovers(folders):
        console.line(f"Ended a process that an earlier start had left behind: {name}")
    jdk = check_machine(settings, environment)
    if not is_fetched(folders):
        console.line(
            "Fetching Kafka, Cassandra, the schema registry and the Flink connector from Maven (once) ..."
        )
        fetch(folders, {**environment, "JAVA_HOME": str(jdk)}, stopping)
    flink_libraries.complete(folders, jdk)
    return LocalSystem(plan_of(settings, environment, jdk), console.line, stopping)


def run(settings: LocalSettings, environment: Mapping[str, str], console: Console) -> int:
    """Starts everything, stays until SIGINT, SIGTERM or SIGHUP, stops everything; returns the exit code."""
    stopping = Event()
    with _only_one(settings), _stops_on_signals(stopping):
        try:
            system = prepare(settings, environment, console, stopping)
        except Interrupted:
            return 130
        try:
            console.line("Starting:")
            system.up()
            console.line(_addresses(settings))
            _watch(system, console, stopping)
        except Interrupted:
            return 130
        except TickstreamError as error:
            console.error(f"\n{error}\n")
            return 1
        finally:
            console.line("Stopping:")
            system.down()
            console.line("Everything is stopped. The data is kept: the next start goes on from it.")
    return 0


def _watch(system: LocalSystem, console: Console, stopping: Event) -> None:
    """Tells what happens to the processes until ``stopping``, or until supervisord is gone."""
    before = system.processes()
    while not stopping.wait(WATCH_SECONDS):
        now = system.processes()
        if not now:
            console.error("The supervisor is gone (stopped by `make down`, or killed).")
            return
        for name, process in now.items():
            was = before.get(name, process)
            if process.given_up and not was.given_up:
                console.error(f"  {name} cannot go on and is given up: `make logs PART={name}` says why")
            elif process.pid and process.pid != was.pid:
                console.line(f"  {name} had died and is started again (pid {process.pid})")
            if process.pid or process.given_up:
                before[name] = process


@contextmanager
def _only_one(settings: LocalSettings) -> Iterator[None]:
    """Holds the state folder; raises ConfigurationError if a system of it runs already."""
    folders = settings.folders
    folders.create()
    with (folders.run / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigurationError(
                "the system is already running: `make status` shows it, `make down` stops it"
            ) from error
        lock.write(str(os.getpid()))
        lock.flush()
        yield


@contextmanager
def _stops_on_signals(stopping: Event) -> Iterator[None]:
    def on_signal(_number: int, _frame: FrameType | None) -> None:
        if stopping.is_set():
            os.write(2, b"\nStopping already: the jobs are saving their state, this may take a while.\n")
        set_by_handler(stopping)

    before = {number: signal.signal(number, on_signal) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _addresses(settings: LocalSettings) -> str:
    rows = (
        ("Live page", f"{settings.api_url}/"),
        ("API documentation", f"{settings.api_url}/docs"),
        ("Flink Web UI", settings.flink_url),
        ("Schema registry", settings.registry_url),
        ("Kafka", settings.kafka_address),
        ("Cassandra", f"127.0.0.1:{settings.cassandra_port}"),
        ("Producer metrics", settings.producer_metrics_url),
        ("Flink metrics", f"http://127.0.0.1:{settings.flink_metrics_port}/metrics"),
    )
    lines = [f"  {name:<20}{address}" for name, address in rows]
    return "\n".join(
        ["", "Tickstream is running:", *lines, "Logs: `make logs`. Ctrl-C stops everything in order.", ""]
    )
