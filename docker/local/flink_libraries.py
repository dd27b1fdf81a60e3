"""The one folder of jars for Flink's cluster and for those who submit to it: those of its Python package,
beside the connector and the driver that Maven has put there, and what of our jobs runs in the JVM."""

import hashlib
import os
import subprocess
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

from docker.local.errors import PartFailed
from docker.local.settings import PROJECT, Folders

FLINK_HOME = next(Path(place) for place in find_spec("pyflink").submodule_search_locations)  # type: ignore[union-attr]
SOURCES = PROJECT / "jobs/java"
JAR = "tickstream-jobs"


def complete(folders: Folders, jdk: Path) -> None:
    """Links the package's jars, and compiles ours, against them and those that Maven has put there, where its
    sources have changed. Raises PartFailed."""
    folder = folders.lib / "flink"
    link_package(folder)
    ours = folder / f"{JAR}-{sources_hash()}.jar"
    if not ours.is_file():
        _make_jar(ours, folder, jdk)
    for outdated in set(folder.glob(f"{JAR}-*.jar")) - {ours}:
        outdated.unlink()


def link_package(folder: Path) -> None:
    """Puts the jars of the package into a folder."""
    for jar in (*FLINK_HOME.glob("lib/*.jar"), *FLINK_HOME.glob("opt/flink-python-*.jar")):
        link = folder / jar.name
        if link.resolve() != jar.resolve():
            link.unlink(missing_ok=True)
            link.symlink_to(jar)


def sources_hash() -> str:
    """Changes whenever a source of our jar does."""
    digest = hashlib.sha256()
    for path in _files():
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def compile_java(sources: list[Path], libraries: Path, jdk: Path, classes: Path) -> None:
    """Compiles against the jars in ``libraries``. Raises PartFailed with what the compiler says."""
    compiler = [f"{jdk}/bin/javac", "--release", "17", "-cp", f"{libraries}/*", "-d", f"{classes}"]
    done = subprocess.run([*compiler, *map(str, sources)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise PartFailed(f"{sources[0].parent} could not be compiled:\n{done.stderr}")


def _make_jar(jar: Path, libraries: Path, jdk: Path) -> None:
    arriving = jar.with_suffix(f".{os.getpid()}")
    with TemporaryDirectory() as work:
        classes = Path(work)
        sources = [path for path in _files() if path.suffix == ".java"]
        compile_java(sources, libraries, jdk, classes)
        with ZipFile(arriving, "w") as archive:
            for file in sorted(classes.rglob("*.class")):
                archive.write(file, file.relative_to(classes))
            for file in set(_files()) - set(sources):
                archive.write(file, file.relative_to(SOURCES))
    arriving.replace(jar)  # whole, or not at all: another start may look for it


def _files() -> list[Path]:
    return sorted(path for path in SOURCES.rglob("*") if path.is_file())
