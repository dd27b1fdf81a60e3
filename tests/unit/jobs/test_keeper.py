"""The keeper: what it submits, when it waits, and how it stops the jobs."""

from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest
import structlog

from jobs import keeper as keeper_module
from jobs.cluster import Job, StopFailedError
from jobs.keeper import Keeper
from jobs.settings import JobSettings
from jobs.snapshots import state_name
from schemas.errors import UnavailableError

BARS, STORE = "market.bars", "market.store"


class FakeCluster:
    """A cluster that runs what is submitted, unless told otherwise."""

    def __init__(self) -> None:
        self.submissions: list[list[str]] = []
        self.available = True
        self.fails_at_once = False
        self.savepoint_fails = False
        self.cancel_fails = False
        self.checkpoints = 0
        self.stopped: list[tuple[str, str]] = []
        self.cancelled: list[str] = []
        self._jobs: dict[str, Job] = {}

    def submit(self, jobs: list[str]) -> None:
        self.submissions.append(jobs)
        state = "FAILED" if self.fails_at_once else "RUNNING"
        for job in jobs:
            name = f"market.{job}"
            self._jobs[name] = Job(f"{name}-{len(self.submissions)}", name, state, len(self.submissions))

    def set_state(self, name: str, state: str) -> None:
        self._jobs[name] = Job(self._jobs[name].job_id, name, state, 0)

    def forget(self) -> None:
        self._jobs.clear()

    def job(self, name: str) -> Job | None:
        if not self.available:
            raise UnavailableError("nobody there")
        return self._jobs.get(name)

    def completed_checkpoints(self, _: str) -> int:
        return self.checkpoints

    def failures(self, _: str) -> list[str]:
        return ["it broke"]

    def stop(self, job_id: str, savepoint_dir: str) -> str:
        if self.savepoint_fails:
            raise StopFailedError("not all tasks are running")
        self.stopped.append((job_id, savepoint_dir))
        return f"{savepoint_dir}/savepoint-1"

    def cancel(self, job_id: str) -> None:
        if self.cancel_fails:
            raise StopFailedError("still there")
        self.cancelled.append(job_id)


class Second(Event):
    """The keeper's clock and its signal to stop: each wait is a second in which the next thing happens."""

    def __init__(self, happenings: dict[int, Callable[[], None]], stop_at: int) -> None:
        super().__init__()
        self.now = 0.0
        self._happenings = happenings
        self._stop_at = stop_at

    def wait(self, timeout: float | None = None) -> bool:
        self.now += timeout or 0.0
        self._happenings.get(round(self.now), lambda: None)()
        if self.now >= self._stop_at:
            self.set()
        return self.is_set()

    def monotonic(self) -> float:
        return self.now + 1_000.0


class KeeperOfFake(Keeper):
    """Submits to the fake cluster instead of in a process of its own."""

    def _submit(self, jobs: list[str]) -> None:
        assert isinstance(self.cluster, FakeCluster)
        self.cluster.submit(jobs)


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


Run = Callable[..., None]


@pytest.fixture
def run(cluster: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a keeper for some seconds in which things happen: ``run(stop_at, second=what, ..)``."""
    settings = JobSettings(checkpoint_dir=f"{tmp_path}/c", savepoint_dir=f"{tmp_path}/s")

    def run(stop_at: int, happenings: dict[int, Callable[[], None]] | None = None) -> None:
        second = Second(happenings or {}, stop_at)
        monkeypatch.setattr(keeper_module, "time", second)
        KeeperOfFake(settings, cluster, ("bars", "store"), stopping=second).run()  # type: ignore[arg-type]

    return run


def test_what_is_missing_is_submitted_once(cluster: FakeCluster, run: Run) -> None:
    """Both together, and then left alone."""
    run(10)
    assert cluster.submissions == [["bars", "store"]]


def test_what_runs_already_is_not_submitted_again(cluster: FakeCluster, run: Run) -> None:
    """Jobs outlive their keeper when it is killed."""
    cluster.submit(["store"])
    run(10)
    assert cluster.submissions == [["store"], ["bars"]]


def test_a_job_on_its_way_is_not_submitted_again(cluster: FakeCluster, run: Run) -> None:
    """Flink restarts a failing job by itself."""
    run(20, {5: lambda: cluster.set_state(BARS, "RESTARTING"), 8: lambda: cluster.set_state(BARS, "FAILING")})
    assert cluster.submissions == [["bars", "store"]]


def test_jobs_that_the_cluster_has_forgotten_come_back_at_once(cluster: FakeCluster, run: Run) -> None:
    """A killed JobManager comes back with none."""
    run(100, {90: cluster.forget})
    assert cluster.submissions == [["bars", "store"], ["bars", "store"]]


def test_only_the_job_that_is_gone_is_submitted(cluster: FakeCluster, run: Run) -> None:
    """The other one goes on."""
    run(100, {90: lambda: cluster.set_state(STORE, "FAILED")})
    assert cluster.submissions == [["bars", "store"], ["store"]]


@pytest.fixture
def left_down(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, object]]:
    """The jobs that are said to stay down, each with its state."""
    told: list[tuple[object, object]] = []

    def note(event: str, **fields: object) -> None:
        if event == "job_left_down":
            told.append((fields["job"], fields["state"]))

    monkeypatch.setattr(keeper_module.log, "warning", note)
    return told


@pytest.mark.parametrize("state", ["CANCELED", "FINISHED"])
def test_a_job_that_somebody_stops_stays_down(
    cluster: FakeCluster, run: Run, left_down: list[tuple[object, object]], state: str
) -> None:
    """Cancelled, or stopped with a savepoint: it was meant, and is said once. The other one goes on."""
    run(200, {90: lambda: cluster.set_state(BARS, state)})
    assert cluster.submissions == [["bars", "store"]]
    assert left_down == [(BARS, state)]


def test_it_stays_down_when_the_cluster_forgets_it(cluster: FakeCluster, run: Run) -> None:
    """A JobManager that dies gets back what ran, and no more."""
    run(200, {90: lambda: cluster.set_state(BARS, "CANCELED"), 150: cluster.forget})
    assert cluster.submissions == [["bars", "store"], ["store"]]


def test_it_is_kept_running_again_once_it_was_submitted(
    cluster: FakeCluster, run: Run, left_down: list[tuple[object, object]]
) -> None:
    """By whomever. The next cancel is told again."""
    happenings: dict[int, Callable[[], None]] = {
        90: lambda: cluster.set_state(BARS, "CANCELED"),
        100: lambda: cluster.submit(["bars"]),
        110: cluster.forget,
        190: lambda: cluster.set_state(BARS, "CANCELED"),
    }
    run(300, happenings)
    assert cluster.submissions == [["bars", "store"], ["bars"], ["bars", "store"]]
    assert left_down == [(BARS, "CANCELED"), (BARS, "CANCELED")]


def test_it_is_kept_running_again_even_if_it_fails_at_once(cluster: FakeCluster, run: Run) -> None:
    """Who submits it wants it to run, and the keeper may never see it alive."""

    def submit_in_vain() -> None:
        cluster.submit(["bars"])
        cluster.set_state(BARS, "FAILED")

    run(200, {90: lambda: cluster.set_state(BARS, "CANCELED"), 100: submit_in_vain})
    assert cluster.submissions == [["bars", "store"], ["bars"], ["bars"]]


@pytest.mark.parametrize("state", ["CANCELED", "FINISHED", "FAILED"])
def test_a_new_keeper_submits_what_was_stopped_before_it_came(
    cluster: FakeCluster, run: Run, state: str
) -> None:
    """Every stop of the keeper itself leaves such jobs behind."""
    cluster.submit(["bars"])
    cluster.set_state(BARS, state)
    run(10)
    assert cluster.submissions == [["bars"], ["bars", "store"]]


@pytest.fixture
def submitted_at(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When something was submitted, in seconds since the keeper started."""
    times: list[float] = []
    submit = cluster.submit

    def note(jobs: list[str]) -> None:
        times.append(keeper_module.time.monotonic() - 1_000.0)
        submit(jobs)

    monkeypatch.setattr(cluster, "submit", note)
    return times


def test_a_job_that_fails_at_once_is_tried_ever_more_seldom(
    cluster: FakeCluster, run: Run, submitted_at: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to half a minute apart; each time it is said why."""
    told: list[tuple[str, dict[str, object]]] = []
    monkeypatch.setattr(keeper_module.log, "error", lambda event, **fields: told.append((event, fields)))
    cluster.fails_at_once = True
    run(130)
    assert submitted_at == [0, 1, 3, 7, 15, 31, 61, 91, 121]
    assert told[0] == ("job_is_gone", {"job": BARS, "state": "FAILED", "why": ["it broke"]})


def test_a_job_that_has_lived_well_starts_with_short_pauses_again(
    cluster: FakeCluster, run: Run, submitted_at: list[float]
) -> None:
    """Whatever it took to bring it up before."""

    def recover() -> None:
        cluster.fails_at_once = False

    def fail() -> None:
        cluster.fails_at_once = True
        cluster.set_state(BARS, "FAILED")

    cluster.fails_at_once = True
    run(205, {10: recover, 200: fail})
    assert submitted_at == [0, 1, 3, 7, 15, 200, 201, 203]


def test_a_cluster_that_is_away_is_waited_for(cluster: FakeCluster, run: Run) -> None:
    """Nothing is submitted meanwhile, and nothing is lost."""
    cluster.available = False

    def back() -> None:
        cluster.available = True

    run(10, {5: back})
    assert cluster.submissions == [["bars", "store"]]


def test_jobs_are_stopped_with_a_savepoint(cluster: FakeCluster, run: Run, tmp_path: Path) -> None:
    """Each in a folder of its own, where the next start finds it."""
    run(3)
    assert sorted(cluster.stopped) == [
        (f"{BARS}-1", f"{tmp_path.as_uri()}/s/{BARS}/{state_name(JobSettings(), BARS)}"),
        (f"{STORE}-1", f"{tmp_path.as_uri()}/s/{STORE}/{state_name(JobSettings(), STORE)}"),
    ]
    assert cluster.cancelled == []


def test_what_is_said_of_a_stop_names_the_part(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """As every line of the log does; the threads that stop the jobs know nothing of it by themselves."""
    parts: list[object] = []
    monkeypatch.setattr(
        keeper_module.log, "info", lambda *_, **__: parts.append(structlog.contextvars.get_contextvars())
    )
    with structlog.contextvars.bound_contextvars(part="jobs"):
        run(3)
    assert parts == [{"part": "jobs"}, {"part": "jobs"}]


def test_jobs_can_be_stopped_without_keeping_them(cluster: FakeCluster, tmp_path: Path) -> None:
    """``python -m jobs stop``: those that were asked for, and no other."""
    cluster.submit(["bars", "store"])
    settings = JobSettings(checkpoint_dir=f"{tmp_path}/c", savepoint_dir=f"{tmp_path}/s")
    Keeper(settings, cluster, ("store",)).stop_jobs()  # type: ignore[arg-type]
    assert [job for job, _ in cluster.stopped] == [f"{STORE}-1"]


def test_a_job_whose_savepoint_fails_is_cancelled(cluster: FakeCluster, run: Run) -> None:
    """It goes on from its newest checkpoint next time."""
    cluster.savepoint_fails = True
    run(3)
    assert sorted(cluster.cancelled) == [f"{BARS}-1", f"{STORE}-1"]


def test_a_job_that_cannot_be_cancelled_is_told(
    cluster: FakeCluster, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is left running, which must not look like a clean end."""
    told: list[str] = []
    monkeypatch.setattr(keeper_module.log, "warning", lambda event, **_: told.append(event))
    cluster.savepoint_fails = cluster.cancel_fails = True
    run(3)
    assert told.count("job_left") == 2


def test_what_is_gone_or_away_need_not_be_stopped(cluster: FakeCluster, run: Run) -> None:
    """The end is never held up."""
    run(3, {3: lambda: cluster.set_state(BARS, "CANCELED")})
    assert [job for job, _ in cluster.stopped] == [f"{STORE}-1"]

    def leave() -> None:
        cluster.available = False

    run(3, {3: leave})
    assert [job for job, _ in cluster.stopped] == [f"{STORE}-1"]


def test_old_snapshots_go_once_the_job_has_its_own(cluster: FakeCluster, run: Run, tmp_path: Path) -> None:
    """And not before: until then the old one is all there is."""
    old = tmp_path / "c" / BARS / "old" / "chk-1"
    own = tmp_path / "c" / BARS / f"{BARS}-1" / "chk-1"
    seen = []

    def complete() -> None:
        seen.append(old.exists())
        own.mkdir(parents=True)
        cluster.checkpoints = 1

    old.mkdir(parents=True)
    run(10, {5: complete})
    assert (seen, old.exists(), own.exists()) == ([True], False, True)


Submit = Callable[[str, Event], tuple[list[str], list[str]]]


@pytest.fixture
def submit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Submit:
    """Lets a keeper submit the bars job with this script for a Python; returns its arguments and the errors
    that are logged."""

    def submit(script: str, stopping: Event) -> tuple[list[str], list[str]]:
        python, arguments, errors = tmp_path / "python", tmp_path / "arguments", list[str]()
        python.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {arguments}\n{script}\n')
        python.chmod(0o755)
        monkeypatch.setattr(keeper_module.sys, "executable", str(python))
        monkeypatch.setattr(keeper_module.log, "error", lambda event, **_: errors.append(event))
        keeper = Keeper(JobSettings(), FakeCluster(), ("bars",), stopping)  # type: ignore[arg-type]
        keeper._submit(["bars"])
        return arguments.read_text().splitlines(), errors

    return submit


def test_jobs_are_submitted_by_a_process_of_its_own(submit: Submit) -> None:
    """The same program, so that it has the same settings."""
    assert submit("exit 0", Event()) == (["-m", "jobs", "submit", "--job=bars"], [])


def test_a_submission_that_fails_is_told(submit: Submit) -> None:
    """The next try comes by itself."""
    assert submit("exit 1", Event())[1] == ["submission_failed"]


class OnceThere(Event):
    """Set as soon as somebody who waits for it sees the file."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file

    def wait(self, timeout: float | None = None) -> bool:
        if self._file.exists():
            self.set()
        return super().wait(timeout)


def test_a_submission_is_ended_by_the_signal_to_stop(submit: Submit, tmp_path: Path) -> None:
    """It would be in the way; and that is no failure."""
    assert submit("exec sleep 60", OnceThere(tmp_path / "arguments"))[1] == []
