"""What the machine must have before anything is started; every lack is named with what to do about it."""

import errno
import shutil
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil

from docker.local.errors import PreflightError
from docker.local.java import VERSION, find_jdk
from docker.local.settings import HOST, LocalSettings

PYTHON = (3, 11)
DISK_MB = 3 * 1024


def check_machine(settings: LocalSettings, environment: Mapping[str, str]) -> Path:
    """Returns JAVA_HOME of the JDK to use; raises PreflightError with everything that is missing."""
    problems = []
    if sys.version_info[:2] != PYTHON:
        problems.append(
            f"Python 3.11 is needed, this is {sys.version.split()[0]}: run `make clean-all`, then"
            f" `make run PYTHON=/path/to/python3.11`"
        )
    jdk = find_jdk(environment)
    if jdk is None:
        problems.append(
            f"no JDK {VERSION} found: install one (Debian, Ubuntu: openjdk-17-jdk-headless; macOS: brew"
            f" install openjdk@17) or point JAVA_HOME to it"
        )
    if shutil.which("mvn", path=environment.get("PATH")) is None:
        problems.append(
            "Maven (mvn) is not on the PATH: install it (Debian, Ubuntu: maven; macOS: brew install maven)"
        )
    problems += port_problems(settings.ports)
    problems += memory_problems(settings, psutil.virtual_memory().available // 2**20)
    problems += disk_problems(settings.folders.root)
    if problems or jdk is None:
        raise PreflightError(problems)
    return jdk


def port_problems(ports: Mapping[str, int]) -> list[str]:
    """One line for each port that is taken, or asked for twice."""
    problems = []
    asked: dict[int, str] = {}
    for name, port in ports.items():
        if port in asked:
            problems.append(
                f"port {port} is asked for twice, by {asked[port]} and {name}: change one in .env"
            )
        asked.setdefault(port, name)
        if not _is_free(port):
            problems.append(
                f"port {port} ({name}) is in use{_owner(port)}: stop what uses it, or set {name} to another"
                f" port in .env"
            )
    return problems


def memory_problems(settings: LocalSettings, available_mb: int) -> list[str]:
    """One line if the system would not fit into what is free now."""
    if available_mb >= settings.memory_mb:
        return []
    return [
        f"too little memory: {settings.memory_mb} MB are needed, {available_mb} MB are available: close other"
        f" programs, or lower CASSANDRA_HEAP_MB, KAFKA_HEAP_MB or TASKMANAGER_MEMORY_MB in .env"
    ]


def disk_problems(folder: Path) -> list[str]:
    """One line if the state folder's disk is nearly full."""
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free_mb = shutil.disk_usage(existing).free // 2**20
    if free_mb >= DISK_MB:
        return []
    return [
        f"too little disk space at {existing}: {DISK_MB} MB are needed, {free_mb} MB are free: make room, or"
        f" set STATE_DIR to a folder on another disk"
    ]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


def _owner(port: int) -> str:
    """`` by NAME (pid N)`` where the system lets us know."""
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.pid and port in connection.laddr:
                return f" by {psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error:
        pass
    return ""
