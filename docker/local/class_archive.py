"""Class data sharing: the classes that a JVM has loaded once, it finds prepared at its next start.

A start costs the CPU a third less, which on a small machine with all JVMs starting at once is what it waits
for (m: 31 s instead of 55). Each JVM writes its archive when it is first stopped. One that does not fit the
JVM any more (another JDK, other jars) is never asked for: its name carries what it was made from.
"""

import hashlib
import os
import shutil
from pathlib import Path

from docker.local import flink_libraries
from docker.local.fetch import poms_hash
from docker.local.settings import Folders

QUIET = "-Xlog:cds=off"


class ClassArchives:
    """The archives of all parts that have one."""

    def __init__(self, folders: Folders, jdk: Path) -> None:
        self._folder = folders.lib / "cds"
        self._new = folders.run
        release = jdk / "release"
        made_from = (
            poms_hash(),
            release.read_text(encoding="utf-8") if release.is_file() else str(jdk),
            str(flink_libraries.FLINK_HOME),
            str((flink_libraries.FLINK_HOME / "lib").stat().st_mtime_ns),
            flink_libraries.sources_hash(),
        )
        self._key = hashlib.sha256("\n".join(made_from).encode()).hexdigest()[:12]

    def flags(self, part: str) -> tuple[str, str]:
        """Options that make the JVM use its archive, or write one where there is none yet."""
        archive = self._archive(part)
        if archive.is_file():
            return f"-XX:SharedArchiveFile={archive}", QUIET
        return f"-XX:ArchiveClassesAtExit={self._written(part)}", QUIET

    def adopt(self, part: str) -> None:
        """Takes over what the part has written, if anything, after it has ended by itself: a file that a
        killed JVM has left is not complete."""
        written = self._written(part)
        if not written.is_file():
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        for outdated in self._folder.glob(f"{part}-*.jsa"):
            outdated.unlink()
        arriving = self._folder / f"{part}.{os.getpid()}"
        shutil.move(written, arriving)
        arriving.replace(self._archive(part))

    def discard(self, part: str) -> None:
        """Drops what a killed part may have left."""
        self._written(part).unlink(missing_ok=True)

    def _archive(self, part: str) -> Path:
        return self._folder / f"{part}-{self._key}.jsa"

    def _written(self, part: str) -> Path:
        return self._new / f"{part}.jsa"
