"""The servers' programs from Maven, by the poms beside this package; done again only when a pom changes."""

import hashlib
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from threading import Event

from docker.local.errors import Interrupted, PartFailed
from docker.local.settings import PROJECT, Folders
from docker.local.tail import last_lines

POM = PROJECT / "docker" / "pom.xml"


def is_fetched(folders: Folders) -> bool:
    """Whether the programs of exactly these poms are there."""
    stamp = _stamp(folders)
    return stamp.is_file() and stamp.read_text(encoding="utf-8") == poms_hash()


def fetch(folders: Folders, environment: Mapping[str, str], stopping: Event) -> None:
    """Fetches the programs into ``folders.lib``; raises PartFailed with its last words, or Interrupted."""
    _stamp(folders).unlink(missing_ok=True)
    for module in (*modules(), "cds"):
        shutil.rmtree(folders.lib / module, ignore_errors=True)
    folders.create()
    log = folders.log("maven")
    with log.open("wb") as output:
        # A session of its own: Ctrl-C reaches us alone, and we end it.
        maven = subprocess.Popen(
            ["mvn", "-B", "-ntp", "-f", str(POM), f"-Dlib={folders.lib}", "generate-resources"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            start_new_session=True,
        )
        while maven.poll() is None:
            if stopping.wait(0.1):
                os.killpg(maven.pid, signal.SIGTERM)
                maven.wait()
                raise Interrupted("stopped while the servers were being fetched")
    if maven.returncode:
        raise PartFailed(
            f"Maven could not fetch the servers: check the network and Maven's settings, then run it again.\n"
            f"{last_lines(log, 15)}\nAll of it: {log}"
        )
    _stamp(folders).write_text(poms_hash(), encoding="utf-8")


def modules() -> list[str]:
    """The servers that have a pom; each has its folder under ``lib``."""
    return sorted(path.parent.name for path in POM.parent.glob("*/pom.xml"))


def poms_hash() -> str:
    """Changes whenever a pom does."""
    digest = hashlib.sha256()
    for path in sorted([POM, *POM.parent.glob("*/pom.xml")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _stamp(folders: Folders) -> Path:
    return folders.lib / "fetched"
