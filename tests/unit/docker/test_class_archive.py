"""A JVM writes its archive once, and uses only one that was made from the same JDK and jars."""

from pathlib import Path

from docker.local.class_archive import QUIET, ClassArchives
from docker.local.settings import Folders


def jdk(folder: Path, version: str) -> Path:
    folder.mkdir()
    (folder / "release").write_text(f'JAVA_VERSION="{version}"', encoding="utf-8")
    return folder


def test_written_then_used_until_the_jdk_changes(tmp_path: Path) -> None:
    """What the JVM leaves at its end is taken over under a name that says what it was made from."""
    folders = Folders(tmp_path / "state", tmp_path / "lib")
    folders.create()
    archives = ClassArchives(folders, jdk(tmp_path / "17.0.1", "17.0.1"))
    written = folders.run / "kafka.jsa"
    assert archives.flags("kafka") == (f"-XX:ArchiveClassesAtExit={written}", QUIET)
    written.write_bytes(b"classes")
    archives.adopt("kafka")
    (archive,) = (folders.lib / "cds").glob("kafka-*.jsa")
    assert archive.read_bytes() == b"classes"
    assert archives.flags("kafka") == (f"-XX:SharedArchiveFile={archive}", QUIET)

    newer = ClassArchives(folders, jdk(tmp_path / "17.0.2", "17.0.2"))
    assert newer.flags("kafka") == (f"-XX:ArchiveClassesAtExit={written}", QUIET)
    written.write_bytes(b"newer classes")
    newer.adopt("kafka")
    assert [path.read_bytes() for path in (folders.lib / "cds").iterdir()] == [b"newer classes"]


def test_what_a_killed_jvm_left_is_dropped(tmp_path: Path) -> None:
    """It would be incomplete."""
    folders = Folders(tmp_path / "state", tmp_path / "lib")
    folders.create()
    archives = ClassArchives(folders, tmp_path)
    (folders.run / "kafka.jsa").write_bytes(b"half")
    archives.discard("kafka")
    archives.adopt("kafka")
    assert not list((folders.lib).rglob("*.jsa"))
