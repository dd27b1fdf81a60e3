"""Which checkpoint or savepoint a job goes on from."""

import os
from pathlib import Path

import pytest

from jobs.flink_uri import as_uri
from jobs.settings import JobSettings
from jobs.snapshots import Snapshots, local_path


@pytest.fixture
def snapshots(tmp_path: Path) -> Snapshots:
    return Snapshots(tmp_path / "checkpoints", tmp_path / "savepoints")


def checkpoint(snapshots: Snapshots, job: str, number: int, at: int, *, complete: bool = True) -> Path:
    return _snapshot(snapshots.checkpoints / job / f"chk-{number}", at, complete=complete)


def savepoint(snapshots: Snapshots, name: str, at: int) -> Path:
    return _snapshot(snapshots.savepoints / f"savepoint-{name}", at, complete=True)


def _snapshot(folder: Path, at: int, *, complete: bool) -> Path:
    folder.mkdir(parents=True)
    for name in ("state", *(["_metadata"] if complete else [])):
        (folder / name).write_bytes(b"x")
        os.utime(folder / name, (at, at))
    return folder


def test_there_is_none_at_the_first_start(snapshots: Snapshots) -> None:
    """The folders do not even exist."""
    assert snapshots.newest() is None
    snapshots.drop_all_but("a")


def test_the_newest_wins_whatever_its_kind_and_number(snapshots: Snapshots) -> None:
    """A later run numbers its checkpoints anew; a savepoint may be older or newer than they are."""
    checkpoint(snapshots, "old", 900, 10)
    savepoint(snapshots, "stop", 20)
    newest = checkpoint(snapshots, "new", 1, 30)
    assert snapshots.newest() == newest
    newest = savepoint(snapshots, "again", 40)
    assert snapshots.newest() == newest


def test_an_unfinished_one_is_ignored(snapshots: Snapshots) -> None:
    """The metadata is written last."""
    complete = checkpoint(snapshots, "a", 1, 10)
    checkpoint(snapshots, "a", 2, 20, complete=False)
    assert snapshots.newest() == complete


def test_what_earlier_runs_left_can_be_dropped(snapshots: Snapshots) -> None:
    """All but the folder of the job that runs now, its shared state included."""
    checkpoint(snapshots, "old", 5, 10)
    savepoint(snapshots, "stop", 20)
    kept = checkpoint(snapshots, "now", 1, 30)
    (snapshots.checkpoints / "now" / "shared").mkdir()
    snapshots.drop_all_but("now")
    assert list(snapshots.checkpoints.iterdir()) == [snapshots.checkpoints / "now"]
    assert (snapshots.checkpoints / "now" / "shared").is_dir()
    assert list(snapshots.savepoints.iterdir()) == []
    assert snapshots.newest() == kept


def test_each_job_has_folders_of_its_own(tmp_path: Path) -> None:
    """Under the configured ones, given as path or URI."""
    settings = JobSettings(checkpoint_dir=f"{tmp_path}/c", savepoint_dir=f"{tmp_path.as_uri()}/s")
    snapshots = Snapshots.of(settings, "market.bars")
    assert snapshots == Snapshots(tmp_path / "c" / "market.bars", tmp_path / "s" / "market.bars")


def test_a_folder_elsewhere_holds_nothing_for_us() -> None:
    """Its owner, the Kubernetes operator, restarts the jobs."""
    settings = JobSettings(checkpoint_dir="s3://bucket/checkpoints", savepoint_dir="hdfs://host/savepoints")
    assert Snapshots.of(settings, "market.bars").newest() is None


def test_folders_as_flink_names_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There and back, with characters that a URI escapes; a relative path is of the current folder."""
    folder = tmp_path / "with space"
    assert as_uri(str(folder)) == f"{tmp_path.as_uri()}/with%20space"
    assert local_path(as_uri(str(folder))) == folder
    assert as_uri("s3://bucket/folder/") == "s3://bucket/folder"
    monkeypatch.chdir(tmp_path)
    assert as_uri("here") == f"{tmp_path.as_uri()}/here"
