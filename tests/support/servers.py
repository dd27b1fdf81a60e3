"""One local system for a whole test session, on free ports and in a folder of its own.

It grows with what the tests ask for: single servers first, started in this process; the whole system as
``make run`` starts it, in a process of its own, for the end-to-end tests. Both use the same data and ports.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from threading import Event

from docker.console import Console
from docker.local.parts import SHORT_LIVED
from docker.local.run import prepare
from docker.local.settings import PROJECT, LocalSettings
from docker.local.supervisor import ProcessState, Supervisor
from docker.local.system import LocalSystem
from docker.settings_reference import settings_classes
from schemas.settings import CassandraSettings
from tests.support.ports import free_ports
from tests.support.reading import eventually

RUNNING = "Tickstream is running"
START_SECONDS = 540
STOP_SECONDS = 240


class Servers:
    """Single servers, started when they are asked for."""

    def __init__(self, folder: Path) -> None:
        self.settings = local_settings(folder)
        self._system: LocalSystem | None = None
        self._up: set[str] = set()

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a process that finds these servers."""
        return client_environment(self.settings)

    def need(self, *names: str) -> None:
        """Returns when the named parts, and what they need, are ready."""
        if self._up.issuperset(names):
            return
        if self._system is None:
            self._system = prepare(self.settings, clean_environment(), Console(), Event())
        self._system.up(names)
        self._up.update(names)

    def stop(self) -> None:
        """Stops them; their data stays."""
        if self._system is not None:
            self._system.down()


class LiveSystem:
    """The whole system, run by the real runner. ``environment`` is for other processes that talk to it."""

    def __init__(self, settings: LocalSettings, folder: Path) -> None:
        self.settings = settings
        self.environment: Mapping[str, str] = client_environment(settings)
        self.cassandra = CassandraSettings(cassandra_port=settings.cassandra_port)
        self.ledger = folder / "ledger.csv"
        self._output = folder / "run.out"
        self._runner: subprocess.Popen[bytes] | None = None

    def start(self, **changes: str) -> None:
        """Runs ``python -m docker.local run`` with settings changed, and returns when it says that it runs.
        What Kafka acknowledges goes to the ledger."""
        with self._output.open("wb") as output:
            self._runner = subprocess.Popen(
                [sys.executable, "-m", "docker.local", "run"],
                cwd=PROJECT,
                env={**local_environment(self.settings), "LEDGER_FILE": str(self.ledger), **changes},
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        eventually(
            lambda: RUNNING in self.output() or not self.is_running, START_SECONDS, "the system is running"
        )
        assert self.is_running, self.output()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Sends the signal to the runner and returns its exit code; 0 where none runs."""
        if self._runner is None:
            return 0
        self._runner.send_signal(number)
        code = self._runner.wait(timeout=STOP_SECONDS)
        self._runner = None
        return code

    @property
    def is_running(self) -> bool:
        return self._runner is not None and self._runner.poll() is None

    def output(self) -> str:
        """What the last runner has said."""
        return self._output.read_text(encoding="utf-8")

    def process(self, name: str) -> ProcessState:
        """A part as supervisord sees it."""
        return Supervisor(self.settings.folders).processes()[name]

    def command(self, *arguments: str, **changes: str) -> "subprocess.CompletedProcess[str]":
        """Runs ``python -m docker.local ARGUMENTS`` with the settings of this system."""
        return subprocess.run(
            [sys.executable, "-m", "docker.local", *arguments],
            cwd=PROJECT,
            env={**local_environment(self.settings), **changes},
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            check=False,
        )


class Stage:
    """What runs now. Two whole systems are too much for one machine: what comes ends what was before."""

    def __init__(self) -> None:
        self._now: Servers | LiveSystem | None = None

    def enter(self, system: Servers | LiveSystem) -> None:
        """The system is about to start; the one before it is stopped."""
        self.clear()
        self._now = system

    def clear(self) -> None:
        """Nothing runs any more."""
        if self._now is not None:
            self._now.stop()
        self._now = None


def clean_environment() -> dict[str, str]:
    """The environment without any setting of ours: a developer's own must not change the tests."""
    ours = {name.upper() for settings in settings_classes() for name in settings.model_fields}
    return {name: value for name, value in os.environ.items() if name not in ours}


def client_environment(settings: LocalSettings) -> dict[str, str]:
    """The environment of a process that finds the servers of a local system. A JVM that PyFlink starts in it
    lives for some seconds, most of which would go into becoming fast."""
    return {**clean_environment(), **settings.addresses(), "JVM_ARGS": " ".join(SHORT_LIVED)}


def local_settings(folder: Path) -> LocalSettings:
    """A local system on free ports, which takes the servers' programs from where ``make run`` keeps them."""
    names = [name for name in LocalSettings.model_fields if name.endswith("_port")]
    return LocalSettings.model_validate(
        {
            **dict(zip(names, free_ports(len(names)), strict=True)),
            "state_dir": folder / "state",
            "lib_dir": PROJECT / ".tickstream" / "lib",
        }
    )


def local_environment(settings: LocalSettings) -> dict[str, str]:
    """The environment in which the runner reads exactly these settings."""
    return clean_environment() | {name.upper(): str(value) for name, value in settings}
