"""The servers' programs are fetched once for the poms as they are, and a failure says why."""

from pathlib import Path
from threading import Event

import pytest

from docker.local.errors import Interrupted, PartFailed
from docker.local.fetch import fetch, is_fetched
from docker.local.settings import Folders


def maven(folder: Path, script: str) -> dict[str, str]:
    """An environment whose ``mvn`` is the given shell script."""
    program = folder / "bin/mvn"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)
    return {"PATH": f"{program.parent}:/usr/bin:/bin"}


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path / "state", tmp_path / "lib")


def test_fetched_once_until_a_pom_changes(
    tmp_path: Path, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Maven is told where to put them; afterwards there is nothing to do."""
    environment = maven(
        tmp_path, f'mkdir -p "{folders.lib}/kafka"; echo "$@" > "{folders.lib}/kafka/arguments"'
    )
    assert not is_fetched(folders)
    fetch(folders, environment, Event())
    assert is_fetched(folders)
    assert f"-Dlib={folders.lib}" in (folders.lib / "kafka/arguments").read_text(encoding="utf-8").split()
    monkeypatch.setattr("docker.local.fetch.poms_hash", lambda: "another version")
    assert not is_fetched(folders)


def test_what_an_earlier_version_left_is_gone(tmp_path: Path, folders: Folders) -> None:
    """Two versions of a jar on one classpath would be worse than none."""
    old = folders.lib / "kafka/kafka-clients-0.8.jar"
    old.parent.mkdir(parents=True)
    old.touch()
    fetch(folders, maven(tmp_path, "true"), Event())
    assert not old.exists()


def test_a_failure_shows_mavens_last_words(tmp_path: Path, folders: Folders) -> None:
    """And is not taken for done."""
    environment = maven(tmp_path, "echo one; echo '[ERROR] no route to the repository'; exit 1")
    with pytest.raises(PartFailed, match="no route to the repository"):
        fetch(folders, environment, Event())
    assert not is_fetched(folders)


def test_ctrl_c_ends_maven_and_its_children(tmp_path: Path, folders: Folders) -> None:
    """At once, whatever Maven would still do."""
    stopping = Event()
    stopping.set()
    with pytest.raises(Interrupted):
        fetch(folders, maven(tmp_path, "sleep 600"), stopping)
    assert not is_fetched(folders)
