"""Which checkpoint or savepoint a job goes on from."""

import os
from pathlib import Path

import pytest

from jobs.flink_uri import as_uri
from jobs.settings import JobSettings
from jobs.snapshots import Snapshots, checkpoint_uri, local_path, savepoint_uri, state_name
from schemas.errors import ConfigurationError

STATE, STORE_STATE = "layout6.16-generation0", "layout8-generation0"


@pytest.fixture
def snapshots(tmp_path: Path) -> Snapshots:
    return of(tmp_path)


def of(folder: Path, job: str = "market.bars", generation: int = 0) -> Snapshots:
    """The snapshots of a job as the settings say."""
    settings = JobSettings(
        checkpoint_dir=f"{folder}/checkpoints", savepoint_dir=f"{folder}/savepoints", generation=generation
    )
    return Snapshots.of(settings, job)


def checkpoint(snapshots: Snapshots, job: str, number: int, at: int, *, complete: bool = True) -> Path:
    return _snapshot(snapshots.checkpoints / snapshots.state / job / f"chk-{number}", at, complete=complete)


def savepoint(snapshots: Snapshots, name: str, at: int) -> Path:
    return _snapshot(snapshots.savepoints / snapshots.state / f"savepoint-{name}", at, complete=True)


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
    """All but the folder of the job that runs now, its shared state included: also state of an older layout
    and of another generation, which lies beside it."""
    checkpoint(snapshots, "old", 5, 10)
    savepoint(snapshots, "stop", 20)
    kept = checkpoint(snapshots, "now", 1, 30)
    (kept.parent / "shared").mkdir()
    for folder in ("first/chk-3", "layout5-generation7/x/chk-1", "layout1-generation0/y/chk-1"):
        _snapshot(snapshots.checkpoints / folder, 40, complete=True)
    for folder in ("savepoint-first", "layout5-generation7/savepoint-x"):
        _snapshot(snapshots.savepoints / folder, 40, complete=True)
    snapshots.drop_all_but("now")
    assert files(snapshots.checkpoints) == {f"{STATE}/now/chk-1/_metadata", f"{STATE}/now/chk-1/state"}
    assert (kept.parent / "shared").is_dir()
    assert files(snapshots.savepoints) == set()
    assert snapshots.newest() == kept


def files(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


def test_each_job_has_folders_of_its_own(tmp_path: Path) -> None:
    """Under the configured ones, given as path or URI."""
    settings = JobSettings(checkpoint_dir=f"{tmp_path}/c", savepoint_dir=f"{tmp_path.as_uri()}/s")
    for job, state in (("market.bars", STATE), ("market.store", STORE_STATE)):
        assert Snapshots.of(settings, job) == Snapshots(tmp_path / "c" / job, tmp_path / "s" / job, state)


def test_flink_writes_where_the_newest_is_looked_for(tmp_path: Path) -> None:
    """A checkpoint by Flink is <folder>/<job id>/chk-<n>, a savepoint <folder>/savepoint-<id>."""
    settings = JobSettings(checkpoint_dir=f"{tmp_path}/c", savepoint_dir=f"{tmp_path}/s", generation=3)
    for job in ("market.bars", "market.store"):
        snapshots = Snapshots.of(settings, job)
        made = _snapshot(local_path(checkpoint_uri(settings, job)) / "a1b2" / "chk-1", 10, complete=True)
        assert snapshots.newest() == made
        made = _snapshot(local_path(savepoint_uri(settings, job)) / "savepoint-1", 20, complete=True)
        assert snapshots.newest() == made


def test_bars_of_another_generation_begin_without_state(tmp_path: Path) -> None:
    """They are rebuilt from Kafka; what was stored need not be stored again."""
    settings = JobSettings(generation=4)
    assert state_name(settings, "market.bars") == "layout6.16-generation4"
    assert state_name(settings, "market.store") == STORE_STATE
    old = checkpoint(of(tmp_path, generation=3), "a", 1, 10)
    assert of(tmp_path, generation=3).newest() == old
    assert of(tmp_path, generation=4).newest() is None


@pytest.mark.parametrize(
    "folder", ["checkpoints/market.bars/0a1b/chk-7", "savepoints/market.bars/savepoint-1"]
)
def test_state_of_an_older_version_is_refused(tmp_path: Path, folder: str) -> None:
    """Bars begun anew under the same generation would count their versions from the start, and what is stored
    would win over them. A job that was stopped has left a savepoint only."""
    left = _snapshot(tmp_path / folder, 10, complete=True)
    with pytest.raises(ConfigurationError, match=r"raise GENERATION by one") as refused:
        of(tmp_path).newest()
    assert str(left) in str(refused.value)
    assert of(tmp_path, generation=1).newest() is None
    newer = checkpoint(of(tmp_path), "c", 1, 5)
    assert of(tmp_path).newest() == newer


def test_an_unfinished_snapshot_of_an_older_version_is_no_state(tmp_path: Path) -> None:
    """Nothing was ever restored from it."""
    _snapshot(tmp_path / "checkpoints/market.bars/0a1b/chk-1", 10, complete=False)
    assert of(tmp_path).newest() is None


def test_the_store_job_begins_anew_after_an_older_version(tmp_path: Path) -> None:
    """It writes the same rows again, and a generation is only of bars."""
    _snapshot(tmp_path / "checkpoints/market.store/0a1b/chk-7", 10, complete=True)
    assert of(tmp_path, "market.store").newest() is None


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
