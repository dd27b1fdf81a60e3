"""A JDK 17 is found wherever it usually is, also beside a newer default."""

from pathlib import Path

import pytest

from docker.local.java import find_jdk, java_version


@pytest.fixture(autouse=True)
def usual_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("docker.local.java.USUAL_PLACES", (f"{tmp_path}/jvm/*17*",))


def install(home: Path, version: str) -> Path:
    """A JDK as far as we look at it."""
    (home / "bin").mkdir(parents=True)
    for name in ("java", "javac"):
        program = home / "bin" / name
        program.write_text("#!/bin/sh\n", encoding="utf-8")
        program.chmod(0o755)
    (home / "release").write_text(f'IMPLEMENTOR="Somebody"\nJAVA_VERSION="{version}"\n', encoding="utf-8")
    return home


def test_java_home_is_taken_first(tmp_path: Path) -> None:
    """What a person has set wins."""
    chosen, other = install(tmp_path / "chosen", "17.0.15"), install(tmp_path / "jvm/java-17", "17.0.1")
    assert find_jdk({"JAVA_HOME": str(chosen), "PATH": str(other / "bin")}) == chosen


def test_the_one_on_the_path_is_taken_through_links(tmp_path: Path) -> None:
    """/usr/bin/java is a link to a link on most systems."""
    home = install(tmp_path / "somewhere", "17")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/java").symlink_to(home / "bin/java")
    assert find_jdk({"PATH": str(tmp_path / "bin")}) == home


def test_a_newer_default_is_passed_over(tmp_path: Path) -> None:
    """JAVA_HOME and PATH point to 25; 17 stands in its usual place."""
    newer = install(tmp_path / "jdk-25", "25.0.1")
    home = install(tmp_path / "jvm/temurin-17-jdk", "17.0.9")
    assert find_jdk({"JAVA_HOME": str(newer), "PATH": str(newer / "bin")}) == home


def test_one_without_a_compiler_is_passed_over(tmp_path: Path) -> None:
    """A JRE runs servers, and cannot make our jar."""
    runtime, home = install(tmp_path / "jre", "17.0.9"), install(tmp_path / "jvm/java-17", "17.0.9")
    (runtime / "bin/javac").unlink()
    assert find_jdk({"JAVA_HOME": str(runtime), "PATH": str(runtime / "bin")}) == home


def test_no_17_anywhere_is_none(tmp_path: Path) -> None:
    """A folder with 17 in its name is not enough."""
    install(tmp_path / "jvm/jdk-17-really-21", "21.0.2")
    assert find_jdk({"PATH": ""}) is None


def test_a_java_without_a_release_file_is_asked(tmp_path: Path) -> None:
    """Old packages have none."""
    home = install(tmp_path / "old", "17")
    (home / "release").unlink()
    (home / "bin/java").write_text("#!/bin/sh\necho 'openjdk version \"1.8.0_392\"' >&2\n", encoding="utf-8")
    assert java_version(home) == 8
