"""Server configuration for this machine: the files that the images read too, then what differs here."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values

from docker.local.flink_libraries import FLINK_HOME
from docker.local.settings import HOST, PROJECT, Folders, LocalSettings
from docker.local.web_jars import make_web_jars

SHARED = PROJECT / "docker"
FLINK_LOGGING = ("log4j-console.properties", "log4j-cli.properties", "log4j.properties")
SYSTEM_MARK = "TICKSTREAM_SYSTEM"
"""In the environment of every process of the local system, and inherited by all that those start: the state
folder. So whatever is left of a system can be told from every other process of the machine."""


def render(settings: LocalSettings, jdk: Path) -> None:
    """Writes all configuration files into ``conf``, replacing those of the last start. Raises PartFailed."""
    folders = settings.folders
    folders.create()
    _write(folders, "kafka.properties", _with(SHARED / "kafka/server.properties", _kafka(settings), "{}={}"))
    flink = folders.conf / "flink"
    flink.mkdir(exist_ok=True)
    overrides = {key: json.dumps(value) for key, value in _flink(settings).items()}
    _write(folders, "flink/config.yaml", _with(SHARED / "flink/config.yaml", overrides, "{}: {}"))
    quiet = (SHARED / "flink/log4j-quiet.properties").read_text(encoding="utf-8")
    for name in FLINK_LOGGING:
        shipped = (FLINK_HOME / "conf" / name).read_text(encoding="utf-8")
        _write(folders, f"flink/{name}", shipped + quiet)
    (folders.run / "tmp").mkdir(exist_ok=True)
    if settings.flink_web_submit:
        make_web_jars(_web_uploads(folders), folders.lib / "flink", jdk)


def server_environment(settings: LocalSettings, environment: Mapping[str, str], jdk: Path) -> dict[str, str]:
    """The environment of all processes of the local system: the caller's, and what finds the servers."""
    folders = settings.folders
    registry = {key: value or "" for key, value in dotenv_values(SHARED / "registry/registry.env").items()}
    return {
        **environment,
        **settings.addresses(),
        **registry,
        "APICURIO_KAFKASQL_BOOTSTRAP_SERVERS": settings.kafka_address,
        "QUARKUS_HTTP_HOST": HOST,
        "QUARKUS_HTTP_PORT": str(settings.registry_port),
        "FLINK_CONF_DIR": str(folders.conf / "flink"),
        "FLINK_LOG_DIR": str(folders.logs / "flink"),
        "FLINK_PLUGINS_DIR": str(FLINK_HOME / "plugins"),
        "FLINK_OPT_DIR": str(FLINK_HOME / "opt"),
        "FLINK_IDENT_STRING": "tickstream",
        "JAVA_HOME": str(jdk),
        "PATH": os.pathsep.join([str(jdk / "bin"), environment.get("PATH", os.defpath)]),
        SYSTEM_MARK: str(folders.root),
    }


def _kafka(settings: LocalSettings) -> dict[str, str]:
    controller = f"{HOST}:{settings.kafka_controller_port}"
    return {
        "controller.quorum.voters": f"1@{controller}",
        "listeners": f"PLAINTEXT://{settings.kafka_address},CONTROLLER://{controller}",
        "advertised.listeners": f"PLAINTEXT://{settings.kafka_address}",
        "log.dirs": str(settings.folders.data / "kafka"),
    }


def _flink(settings: LocalSettings) -> dict[str, str | int | bool]:
    submission: dict[str, str | int | bool] = {
        "web.submit.enable": True,
        "web.upload.dir": str(_web_uploads(settings.folders)),
        # Else a program that exits, such as PythonDriver without arguments, takes the JobManager with it.
        "cluster.intercept-user-system-exit": "THROW",
    }
    return {
        **(submission if settings.flink_web_submit else {}),
        "jobmanager.rpc.address": HOST,
        "jobmanager.rpc.port": settings.flink_rpc_port,
        "jobmanager.bind-host": HOST,
        "jobmanager.memory.process.size": f"{settings.jobmanager_memory_mb}m",
        "taskmanager.host": HOST,
        "taskmanager.bind-host": HOST,
        "taskmanager.memory.process.size": f"{settings.taskmanager_memory_mb}m",
        # Known by name, one that is started again takes its own place at once instead of after a timeout.
        "taskmanager.resource-id": "taskmanager",
        "rest.address": HOST,
        "rest.bind-address": HOST,
        "rest.port": settings.flink_ui_port,
        "io.tmp.dirs": str(settings.folders.run / "tmp"),
        "python.executable": sys.executable,
        "python.client.executable": sys.executable,
    }


def _web_uploads(folders: Folders) -> Path:
    return folders.run / "web"


def _with(shared: Path, overrides: Mapping[str, str], line: str) -> str:
    """The shared file without the top-level keys that are overridden, then the overrides."""
    kept = [
        text
        for text in shared.read_text(encoding="utf-8").splitlines()
        if not any(text.startswith(line.format(key, "").rstrip()) for key in overrides)
    ]
    added = [line.format(key, value) for key, value in overrides.items()]
    return "\n".join([*kept, "", "# This machine:", *added, ""])


def _write(folders: Folders, name: str, text: str) -> None:
    (folders.conf / name).write_text(text, encoding="utf-8")
