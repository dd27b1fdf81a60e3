"""One live system through every fault, under load; then everything compared with what Kafka acknowledged.

The tests build on each other, in this order. `.tickstream/faults/last.md` tells how it went, `last.json` for
machines, whether or not all of it held. `make test` takes some of the faults, `make test-faults` all of them.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from docker.local.supervisor import STOPPED, Supervisor
from schemas.events import Candle
from schemas.settings import CassandraSettings
from tests.support.faults import FAULTS, Fault, Target
from tests.support.faults_check import (
    BarKey,
    bronze_rows,
    correction_rows,
    difference,
    differing_bars,
    exact_bars,
    in_flight,
    log_records,
    silver_rows,
    stored_final_bars,
    wrong_bars,
    wrong_rows,
)
from tests.support.faults_finish import close_all_bars, drain, stop_producer, topic_settings, undisturbed
from tests.support.faults_ledger import Key, Noted, corrected, corrections_of, read_ledger, trades_of, unique
from tests.support.faults_report import HOLDS, Report, suffered
from tests.support.faults_watch import Watch
from tests.support.reading import dead_letters, eventually, last_candles, session_of
from tests.support.servers import LiveSystem, Stage, local_settings

pytestmark = [pytest.mark.servers, pytest.mark.timeout(2400)]

SYMBOLS = tuple(f"SIM{number:02d}" for number in range(20))
TRADES_PER_SECOND = float(os.environ.get("FAULTS_TRADES_PER_SECOND", "100"))
"""Of `make test`: on any machine that leaves room to catch up. `make test-faults` asks for 1,000."""
SETTINGS = {
    "SYMBOLS": ",".join(SYMBOLS),
    "TRADES_PER_SECOND": f"{TRADES_PER_SECOND:g}",
    "SIMULATOR_SEED": "4",
    # All that comes late, twice or is taken back, as often as can be; no silence, which would look like a
    # fault.
    "SIMULATOR_SCENARIOS": "price_spike,volume_burst,late_trade,duplicate,correction",
    "SIMULATOR_SCENARIO_MINUTES": "3",
    # Larger batches: what is asked is whether all is right, on machines that can barely carry the load.
    "BUNDLE_TIME_MS": "100",
    "WATERMARK_INTERVAL_MS": "100",
    # The end of the run waits for eight of them.
    "CHECKPOINT_INTERVAL_MS": "2000",
}
NEW_JOBS = {"jobmanager", "savepoint"}
"""Faults after which Flink knows the jobs by new ids."""
FIRST_CALM_SECONDS = 300
BACK_SECONDS = 600
"""Patience for a machine that does other things, too; the report says how long it took."""
ORPHAN_SECONDS = 60
IN_FLIGHT_SECONDS = 2.0
"""So old a trade may be that the killed producer had sent and not heard of."""


@dataclass(slots=True)
class Run:
    """The system, what watches it, and what has come of it so far."""

    target: Target
    watch: Watch
    report: Report
    producer_kills: list[float] = field(default_factory=list)
    truth: dict[Key, Noted] = field(default_factory=dict)
    bars: dict[BarKey, Candle] = field(default_factory=dict)

    @property
    def live(self) -> LiveSystem:
        return self.target.live

    @property
    def cassandra(self) -> CassandraSettings:
        return self.live.cassandra

    @contextmanager
    def check(self, what: str) -> Iterator[None]:
        """Puts into the report whether the block got to its end."""
        self.report.checks[what] = "DOES NOT HOLD"
        yield
        self.report.checks[what] = HOLDS


@pytest.fixture(scope="module")
def run(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """The system under load with 20 symbols, watched once a second."""
    folder = tmp_path_factory.mktemp("faults")
    live = LiveSystem(local_settings(folder), folder)
    stage.enter(live)
    live.start(**SETTINGS)
    watch = Watch(live, SYMBOLS)
    run = Run(Target(live, SETTINGS), watch, Report(rate=TRADES_PER_SECOND, symbols=len(SYMBOLS)))
    watch.start()
    try:
        eventually(watch.is_back, FIRST_CALM_SECONDS, "the system is ready and its bars are current")
        run.report.started_at = time.time()
        yield run
    finally:
        watch.stop()
        run.report.ended_at = run.report.ended_at or time.time()
        run.report.write()
        stage.clear()


@pytest.mark.parametrize(
    "fault",
    [pytest.param(fault, marks=() if fault.in_ci else pytest.mark.exhaustive) for fault in FAULTS],
    ids=str,
)
def test_the_system_gets_over_it(run: Run, fault: Fault) -> None:
    """By itself: ready again, and its bars current; what does not need the broken part goes on meanwhile."""
    parts_before = run.target.started_again()
    first = len(run.watch.samples)
    with run.check(f"{fault.name}: the system is back by itself"):
        run.watch.look_at_dropped()
        begun = time.time()
        with fault.breaking(run.target):
            broken_at = time.time()
            if fault.name == "producer":
                run.producer_kills.append(broken_at)
            time.sleep(fault.seconds)
            covered = run.watch.covered() / 1e6
        mended_at = time.time()
        try:
            eventually(
                lambda: run.watch.is_back(since=mended_at),
                BACK_SECONDS,
                "the system is ready and its bars are current",
            )
        finally:
            again = run.target.started_again()
            new = again[len(parts_before) :] if again[: len(parts_before)] == parts_before else again
            samples = [sample for sample in run.watch.samples[first:] if sample.at >= begun]
            run.report.faults.append(suffered(fault.name, fault.what, (broken_at, mended_at), samples, new))
    if fault.name == "taskmanager":
        with run.check("taskmanager: its Python workers end, too"):
            eventually(lambda: not run.target.orphans(), ORPHAN_SECONDS, "no worker is without TaskManager")
    if fault.bars_go_on:
        with run.check(f"{fault.name}: bars go on meanwhile"):
            assert covered > broken_at + fault.seconds / 2


def test_the_log_is_closed_and_read_to_its_end(run: Run) -> None:
    """The producer stops, the jobs read and store what is left, the day ends, and all bars are final."""
    with run.check("everything is read and stored, and every part runs"):
        run.report.ended_at = time.time()
        run.report.load = os.getloadavg()[2]
        run.report.availability([s for s in run.watch.samples if s.at >= run.report.started_at])
        run.watch.look_at_dropped()
        stop_producer(run.live)
        drain(run.live)
        close_all_bars(run.live)
        drain(run.live)
        run.watch.look_at_dropped()
        run.watch.stop()
        processes = Supervisor(run.live.settings.folders).processes()
        assert [name for name, process in processes.items() if process.state in STOPPED] == ["producer"]


def test_the_log_holds_what_was_acknowledged(run: Run) -> None:
    """And nothing else but what was under way when the producer was killed; a trade is there twice only where
    it was sent twice."""
    with run.check("Kafka holds what it has acknowledged"):
        ledger, log = read_ledger(run.live.ledger), log_records(topic_settings(run.live))
        unheard = in_flight(log, ledger, run.producer_kills, IN_FLIGHT_SECONDS)
        assert difference([*ledger, *unheard.values()], log) == {}
        run.truth = unique(log)
        run.report.acknowledged = len(run.truth)
        run.report.in_flight_at_kill = len(unheard)
        assert {trade.symbol for trade in run.truth.values()} == set(SYMBOLS)
        assert {event.kind for event in log} == {"trade", "cancel", "correct"}


def test_bronze_and_silver_hold_exactly_that(run: Run) -> None:
    """Every trade once, with its values, and nothing else; nothing is refused."""
    with session_of(run.cassandra) as session, run.check("bronze and silver hold exactly that, each once"):
        silver, corrections = list(silver_rows(session)), list(correction_rows(session))
        run.report.stored = len({event.key for event in (*silver, *corrections)} & run.truth.keys())
        assert difference(trades_of(run.truth.values()), silver) == {}
        assert difference(corrections_of(run.truth.values()), corrections) == {}
        assert difference(run.truth.values(), bronze_rows(session, topic_settings(run.live))) == {}
        assert dead_letters(topic_settings(run.live)) == []


def test_the_bars_are_made_of_exactly_that(run: Run) -> None:
    """The last version of every bar, of all intervals, is that of an exact computation; the gold tables have
    it, too."""
    with run.check("every final bar equals an exact computation"):
        run.bars = last_candles(topic_settings(run.live))
        assert [key for key, bar in run.bars.items() if not bar.final] == []
        run.report.final_bars = len(run.bars)
        assert wrong_bars(run.bars, exact_bars(corrected(run.truth.values()))) == []
    with session_of(run.cassandra) as session, run.check("the gold tables hold the last versions"):
        assert wrong_rows(stored_final_bars(session, set(SYMBOLS)), run.bars) == []


def test_the_bars_are_those_of_an_undisturbed_run(run: Run, tmp_path: Path) -> None:
    """The same log through a fresh job to which nothing happens: number for number."""
    with run.check("every final bar equals that of an undisturbed run"):
        with undisturbed(run.live, run.live.environment, tmp_path) as topics:
            calm = last_candles(topics)
        assert differing_bars(run.bars, calm) == []


def test_no_window_dropped_anything(run: Run) -> None:
    """Every bars job that ever ran says so of all its subtasks."""
    with run.check("numLateRecordsDropped is 0"):
        dropped = run.watch.late_records_dropped
        ended = [fault.name for fault in run.report.faults if fault.name in NEW_JOBS]
        assert len(dropped) > len(ended), f"a job before and one after each of {ended}"
        run.report.late_records_dropped = sum(dropped.values())
        assert set(dropped.values()) == {0.0}


def test_the_run_is_reported(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """All is stored, and all that must hold holds."""
    table = run.report.write()
    with capsys.disabled():
        print(f"\n\n{table.read_text(encoding='utf-8')}\n{table}")  # noqa: T201 -- the result of the run
    assert run.report.completeness == 1
    assert set(run.report.checks.values()) == {HOLDS}
