"""Flink finds all its jars in one folder, and what of the jobs is Java is compiled once."""

from pathlib import Path
from zipfile import ZipFile

import pytest

from docker.local import flink_libraries
from docker.local.errors import PartFailed
from docker.local.flink_libraries import FLINK_HOME, SOURCES, complete
from docker.local.settings import Folders


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    (tmp_path / "lib/flink").mkdir(parents=True)
    return Folders(tmp_path / "state", tmp_path / "lib")


def ours(folders: Folders) -> Path:
    [jar] = (folders.lib / "flink").glob("tickstream-*")
    return jar


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Some that need no jar but Flink's."""
    sources = tmp_path / "java"
    (sources / "META-INF/services").mkdir(parents=True)
    (sources / "META-INF/services/Format").write_text("One", encoding="utf-8")
    (sources / "One.java").write_text("final class One {}", encoding="utf-8")
    monkeypatch.setattr(flink_libraries, "SOURCES", sources)
    return sources


@pytest.mark.usefixtures("sources")
def test_cluster_and_client_share_a_folder(folders: Folders, jdk: Path) -> None:
    """An outdated link is replaced; our jar has the classes, and what tells Flink of them."""
    outdated = folders.lib / "flink" / next(FLINK_HOME.glob("lib/flink-dist-*.jar")).name
    outdated.symlink_to("/nowhere.jar")
    complete(folders, jdk)
    jars = list((folders.lib / "flink").iterdir())
    names = {jar.name.rsplit("-", 1)[0] for jar in jars}
    assert {"flink-dist", "flink-python", "flink-table-runtime", "tickstream-jobs"} <= names
    assert all(jar.is_file() for jar in jars)
    with ZipFile(ours(folders)) as jar:
        assert set(jar.namelist()) == {"META-INF/services/Format", "One.class"}


def test_flink_is_told_of_a_class_that_there_is() -> None:
    """The format of the bars' source."""
    [service] = SOURCES.glob("META-INF/services/*")
    factory = service.read_text(encoding="utf-8").strip()
    assert (SOURCES / f"{factory.replace('.', '/')}.java").is_file()


def test_our_jar_is_made_again_only_when_a_source_changes(folders: Folders, jdk: Path, sources: Path) -> None:
    """And takes the place of the one before."""
    source = sources / "One.java"
    complete(folders, jdk)
    first = ours(folders)
    complete(folders, Path("/nonexistent"))
    assert ours(folders) == first
    source.write_text("final class Two {}", encoding="utf-8")
    complete(folders, jdk)
    with ZipFile(ours(folders)) as jar:
        assert jar.namelist() == ["Two.class", "META-INF/services/Format"]
    source.write_text("final class Two {", encoding="utf-8")
    with pytest.raises(PartFailed, match="reached end of file"):
        complete(folders, jdk)


def test_the_image_compiles_the_same_sources() -> None:
    """By the same name, which whoever submits looks for."""
    dockerfile = (SOURCES.parents[1] / "docker/flink/Dockerfile").read_text(encoding="utf-8")
    assert "COPY jobs/java /java" in dockerfile
    assert {path.relative_to(SOURCES).parts[0] for path in SOURCES.rglob("*") if path.is_file()} == {
        "META-INF",
        "tickstream",
    }
    assert "/java/tickstream/*.java" in dockerfile
    assert "/java/META-INF" in dockerfile
    assert f"/{flink_libraries.JAR}-image.jar /opt/flink-lib/" in dockerfile
