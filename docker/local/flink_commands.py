"""Flink's servers as commands of their own.

Flink's scripts start two more JVMs each time, one to read the configuration and one to divide the memory:
seconds of each start, and of each recovery from a TaskManager that was killed. What they come to is the same
each time, and said here, with docker/flink/config.yaml for what is the same on every machine; a test holds it
against what Flink's own tool makes of it.
"""

from pathlib import Path
from typing import Any

import yaml

from docker.local.settings import PROJECT, LocalSettings

FRAMEWORK_MB = 128
"""Of the heap, and as much outside of it: Flink's default for its own needs."""
OVERHEAD_SHARE, OVERHEAD_MB = 0.1, (192, 1024)
"""Of a JVM, beside its heap and what else is counted: Flink's defaults."""
MIB = 1024 * 1024


def jobmanager(settings: LocalSettings, java: str, options: tuple[str, ...]) -> tuple[str, ...]:
    """``options`` are the JVM's, besides memory, logs and what the configuration names."""
    config = _config()
    memory, total = config["jobmanager"]["memory"], settings.jobmanager_memory_mb
    metaspace = _mb(memory["jvm-metaspace"]["size"])
    heap = (total - metaspace - FRAMEWORK_MB) * MIB - _overhead(total)
    return (
        java,
        *options,
        *_memory(heap, metaspace),
        *_opts(config, "jobmanager"),
        *_logs(settings, "jobmanager"),
        *_classes(settings),
        "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint",
        *_arguments(settings, {"metrics.reporter.prom.port": settings.flink_metrics_port}),
    )


def taskmanager(settings: LocalSettings, java: str, options: tuple[str, ...]) -> tuple[str, ...]:
    """The same."""
    config = _config()
    memory, slots = config["taskmanager"]["memory"], config["taskmanager"]["numberOfTaskSlots"]
    total, metaspace = settings.taskmanager_memory_mb, _mb(memory["jvm-metaspace"]["size"])
    direct, managed = FRAMEWORK_MB + _mb(memory["network"]["max"]), _mb(memory["managed"]["size"])
    overhead = _overhead(total)
    heap = (total - metaspace - managed - direct) * MIB - overhead
    return (
        java,
        *options,
        *_memory(heap, metaspace),
        f"-XX:MaxDirectMemorySize={direct * MIB}",
        *_opts(config, "taskmanager"),
        *_logs(settings, "taskmanager"),
        *_classes(settings),
        "org.apache.flink.runtime.taskexecutor.TaskManagerRunner",
        *_arguments(
            settings,
            {
                "metrics.reporter.prom.port": settings.taskmanager_metrics_port,
                # What it does not compute itself.
                "taskmanager.cpu.cores": float(slots),
                "taskmanager.memory.framework.heap.size": f"{FRAMEWORK_MB * MIB}b",
                "taskmanager.memory.framework.off-heap.size": f"{FRAMEWORK_MB * MIB}b",
                "taskmanager.memory.task.heap.size": f"{heap - FRAMEWORK_MB * MIB}b",
                "taskmanager.memory.task.off-heap.size": "0b",
                "taskmanager.memory.jvm-overhead.min": f"{overhead}b",
                "taskmanager.memory.jvm-overhead.max": f"{overhead}b",
            },
        ),
    )


def _config() -> dict[str, Any]:
    text = (PROJECT / "docker/flink/config.yaml").read_text(encoding="utf-8")
    config: dict[str, Any] = yaml.safe_load(text)
    return config


def _mb(size: str) -> int:
    return int(size.removesuffix("m"))


def _overhead(total_mb: int) -> int:
    """In bytes."""
    least, most = OVERHEAD_MB
    return int(min(max(total_mb * OVERHEAD_SHARE, least), most) * MIB)


def _memory(heap: int, metaspace_mb: int) -> tuple[str, ...]:
    return f"-Xmx{heap}", f"-Xms{heap}", f"-XX:MaxMetaspaceSize={metaspace_mb * MIB}"


def _opts(config: dict[str, Any], server: str) -> tuple[str, ...]:
    opts = config["env"]["java"]["opts"]
    return "-XX:+IgnoreUnrecognizedVMOptions", *opts["all"].split(), *opts.get(server, "").split()


def _logs(settings: LocalSettings, server: str) -> tuple[str, ...]:
    """What the Web UI shows, and where a JVM that crashes says why; else that is left in the folder where the
    system was started."""
    folders = settings.folders
    return (
        f"-XX:ErrorFile={folders.logs}/{server}-crash-%p.txt",
        f"-Dlog.file={folders.logs / 'flink' / server}.log",
        f"-Dlog4j.configurationFile={(folders.conf / 'flink/log4j-console.properties').as_uri()}",
    )


def _classes(settings: LocalSettings) -> tuple[str, str]:
    """In Flink's order: by name, its largest jar last."""
    jars = sorted((settings.folders.lib / "flink").glob("*.jar"), key=_place)
    return "-classpath", ":".join(map(str, jars))


def _place(jar: Path) -> tuple[bool, str]:
    return jar.name.startswith("flink-dist"), jar.name


def _arguments(settings: LocalSettings, changes: dict[str, object]) -> tuple[str, ...]:
    dynamic = [part for key, value in changes.items() for part in ("-D", f"{key}={value}")]
    return "--configDir", str(settings.folders.conf / "flink"), *dynamic
