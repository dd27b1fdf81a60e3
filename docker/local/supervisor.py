"""Supervisord, which starts our processes, starts them again when they die, and keeps their logs."""

import hashlib
import os
import shlex
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from supervisor.xmlrpc import Faults, SupervisorTransport

from docker.local.errors import PartFailed
from docker.local.parts import Part
from docker.local.settings import PROJECT, Folders
from docker.local.tail import last_lines
from docker.local.timers import unhurried

START_SECONDS = 20
MAX_SOCKET_PATH = 100
"""A Unix socket's path may be 104 bytes long on macOS, 108 on Linux."""

MISCONFIGURED = os.EX_CONFIG
"""What the producer exits with when only its user can put right what is wrong, a refused key say. It is not
started again, unlike after any other end."""

STOPPED = frozenset({"STOPPED", "EXITED", "FATAL"})
DYING = frozenset({"BACKOFF", "EXITED", "FATAL", "UNKNOWN"})

HEADER = """\
[unix_http_server]
file={socket}
chmod=0700

[supervisord]
logfile={logs}/supervisord.log
logfile_maxbytes=5MB
logfile_backups=2
pidfile={run}/supervisord.pid
nodaemon=true
silent=true

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""
# Signals go to the process alone: it stops its own children, a job's JVM for example while it still needs it.
# Only the kill after stopwaitsecs takes the whole group.
PROGRAM = """
[program:{name}]
command={command}
directory={directory}
autostart=false
autorestart=unexpected
exitcodes={misconfigured}
startsecs=2
startretries=20
stopsignal=TERM
stopwaitsecs={stop_seconds}
killasgroup=true
environment={environment}
redirect_stderr=true
stdout_logfile={log}
stdout_logfile_maxbytes=20MB
stdout_logfile_backups=2
"""


@dataclass(frozen=True, slots=True)
class ProcessState:
    """What supervisord knows of a process; ``pid`` is 0 and ``up_seconds`` 0 unless it runs. ``exit_code`` is
    that of its last end."""

    name: str
    state: str
    pid: int
    up_seconds: int
    exit_code: int = 0

    @property
    def given_up(self) -> bool:
        """Whether it is not started again."""
        return self.state == "FATAL" or (self.state == "EXITED" and self.exit_code == MISCONFIGURED)


class Supervisor:
    """The supervisord of one state folder. Safe to be used by several threads: each call connects anew."""

    def __init__(self, folders: Folders) -> None:
        self._folders = folders
        self._conf = folders.conf / "supervisord.conf"
        self._socket = _socket_path(folders)
        self._daemon: subprocess.Popen[bytes] | None = None

    def is_running(self) -> bool:
        """Whether supervisord answers."""
        try:
            with self._rpc() as supervisord:
                supervisord.getState()
        except (OSError, xmlrpc.client.ProtocolError):
            return False
        return True

    def start(self, parts: Iterable[Part], environment: Mapping[str, str]) -> None:
        """Starts supervisord with no process running yet; it lives on when we die. Raises PartFailed."""
        programs = "".join(_program(part, self._folders) for part in parts)
        header = HEADER.format(
            socket=_escaped(self._socket), logs=_escaped(self._folders.logs), run=_escaped(self._folders.run)
        )
        self._conf.write_text(header + programs, encoding="utf-8")
        self._socket.unlink(missing_ok=True)
        log = self._folders.logs / "supervisord.out"
        with log.open("wb") as output, unhurried():
            # A process group of its own: Ctrl-C in the terminal reaches us alone, and we stop everything in
            # order. No session of its own: where Linux shares the processor out by session (autogroup), what
            # nice says holds within one only, and whoever reads from the same terminal would wait for parts
            # that give way.
            self._daemon = daemon = subprocess.Popen(
                [sys.executable, "-m", "supervisor.supervisord", "-c", str(self._conf)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                cwd=PROJECT,
                process_group=0,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self.is_running():
            if daemon.poll() is not None or time.monotonic() > deadline:
                raise PartFailed(f"supervisord did not start:\n{last_lines(log, 15)}")
            time.sleep(0.1)

    def start_process(self, name: str) -> None:
        """Starts one process, or leaves it running; returns at once."""
        self._tolerating(Faults.ALREADY_STARTED, "startProcess", name)

    def stop_process(self, name: str) -> None:
        """Asks one process to stop, or leaves it stopped; returns at once."""
        self._tolerating(Faults.NOT_RUNNING, "stopProcess", name)

    def processes(self) -> dict[str, ProcessState]:
        """Every process by name; empty where supervisord does not run."""
        try:
            with self._rpc() as supervisord:
                infos = supervisord.getAllProcessInfo()
        except (OSError, xmlrpc.client.ProtocolError):
            return {}
        return {
            info["name"]: ProcessState(
                info["name"],
                info["statename"],
                info["pid"],
                info["now"] - info["start"] if info["pid"] else 0,
                info["exitstatus"],
            )
            for info in infos
        }

    def shutdown(self) -> None:
        """Ends supervisord and what still runs under it; returns when it is gone."""
        try:
            with self._rpc() as supervisord:
                daemon = psutil.Process(supervisord.getPID())
                supervisord.shutdown()
            (self._daemon or daemon).wait()
        except (OSError, xmlrpc.client.ProtocolError, psutil.NoSuchProcess):
            if self._daemon is not None:
                self._daemon.poll()  # it was killed: no zombie stays

    def _tolerating(self, fault: int, method: str, name: str) -> None:
        try:
            with self._rpc() as supervisord:
                getattr(supervisord, method)(name, False)
        except xmlrpc.client.Fault as error:
            if error.faultCode != fault:
                raise PartFailed(f"{name}: supervisord answers {error.faultString}") from error

    @contextmanager
    def _rpc(self) -> Iterator[Any]:
        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        try:
            yield xmlrpc.client.ServerProxy("http://localhost", transport=transport).supervisor
        finally:
            transport.close()


def _program(part: Part, folders: Folders) -> str:
    return PROGRAM.format(
        name=part.name,
        misconfigured=MISCONFIGURED,
        command=_escaped(shlex.join(("nice", "-n", str(part.niceness), *part.command))),
        directory=_escaped(PROJECT),
        stop_seconds=part.stop_seconds,
        environment=_escaped(",".join(f'{name}="{value}"' for name, value in part.environment.items())),
        log=_escaped(folders.log(part.name)),
    )


def _escaped(value: object) -> str:
    """Supervisord expands % in its configuration."""
    return str(value).replace("%", "%%")


def _socket_path(folders: Folders) -> Path:
    path = folders.run / "supervisor.sock"
    if len(bytes(path)) <= MAX_SOCKET_PATH:
        return path
    short = hashlib.sha256(bytes(folders.root)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"tickstream-{short}.sock"
