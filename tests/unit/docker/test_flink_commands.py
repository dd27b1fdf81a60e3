"""Flink's servers are started as Flink's scripts would start them."""

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from docker.local import flink_commands
from docker.local.flink_libraries import FLINK_HOME, link_package
from docker.local.render import render
from docker.local.settings import LocalSettings

IN_OUR_FILE = {"network", "managed", "jvm-metaspace", "numberOfTaskSlots", "jobmanager"}
"""Sizes that the configuration says itself, or that the JobManager only shows."""
RESULT = "BASH_JAVA_UTILS_EXEC_RESULT:"


@pytest.fixture
def settings(tmp_path: Path, jdk: Path) -> LocalSettings:
    """Sizes that are not the defaults."""
    (tmp_path / "lib/flink").mkdir(parents=True)
    link_package(tmp_path / "lib/flink")
    settings = LocalSettings(
        state_dir=tmp_path / "state",
        lib_dir=tmp_path / "lib",
        jobmanager_memory_mb=1000,
        taskmanager_memory_mb=2500,
    )
    render(settings, jdk)
    return settings


def by_flink(settings: LocalSettings, jdk: Path, what: str) -> list[str]:
    """What Flink's own tool says to its scripts."""
    classes = f"{FLINK_HOME}/bin/bash-java-utils.jar:{settings.folders.lib}/flink/*"
    tool = [f"{jdk}/bin/java", "-cp", classes, "org.apache.flink.runtime.util.bash.BashJavaUtils", what]
    where = ["--configDir", str(settings.folders.conf / "flink")]
    done = subprocess.run([*tool, *where], capture_output=True, text=True, timeout=120, check=True)
    lines = [line.partition(RESULT)[2] for line in done.stdout.splitlines() if RESULT in line]
    return " ".join(lines).split()


def sizes(arguments: Iterable[str]) -> dict[str, float]:
    """Every option with a number, whatever its unit."""
    found = (re.fullmatch(r"([-A-Za-z:+.]+?)=?([0-9.]+)b?", each) for each in arguments)
    return {match[1]: float(match[2]) for match in found if match}


@pytest.mark.parametrize("server", ["jobmanager", "taskmanager"])
def test_memory_is_divided_as_flink_divides_it(server: str, settings: LocalSettings, jdk: Path) -> None:
    """But for the bytes that its tenths are too much."""
    asked = {"jobmanager": "GET_JM_RESOURCE_PARAMS", "taskmanager": "GET_TM_RESOURCE_PARAMS"}[server]
    expected = sizes(by_flink(settings, jdk, asked))
    ours = sizes(getattr(flink_commands, server)(settings, "java", ("-Xlog:cds=off",)))
    said = [name for name in expected if name in ours or not IN_OUR_FILE & set(name.split("."))]
    assert len(said) > 2
    assert {name: ours.get(name) for name in said} == pytest.approx(
        {name: expected[name] for name in said}, abs=16
    )


def test_the_jvm_gets_flinks_options_and_ours(settings: LocalSettings) -> None:
    """Flink does not run on Java 17 without its own."""
    command = flink_commands.taskmanager(settings, "java", ("-XX:MaxInlineLevel=9",))
    assert command[:2] == ("java", "-XX:MaxInlineLevel=9")
    assert "--add-opens=java.base/java.lang=ALL-UNNAMED" in command
    assert f"-Dlog.file={settings.folders.logs}/flink/taskmanager.log" in command
    classes = command[command.index("-classpath") + 1].split(":")
    assert Path(classes[-1]).name.startswith("flink-dist")
    assert {Path(jar).name for jar in classes} == {
        jar.name for jar in (settings.folders.lib / "flink").glob("*.jar")
    }
