"""What a run under faults has shown, as figures: JSON for machines and a table for people."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from docker.local.settings import PROJECT
from tests.support.faults_watch import CURRENT_S, Sample

FOLDER = PROJECT / ".tickstream" / "faults"
HOLDS = "holds"


@dataclass(frozen=True, slots=True)
class Suffered:
    """One fault as it went. Times are seconds since 1970; the others seconds. ``bars_back_s`` and
    ``ready_back_s`` count from the end of the fault; None where it did not come to that."""

    name: str
    what: str
    broken_at: float
    mended_at: float
    bars_back_s: float | None
    ready_back_s: float | None
    not_current_s: float
    not_ready_s: float
    most_behind_s: float
    not_ready: tuple[str, ...]
    started_again: tuple[str, ...]


@dataclass(slots=True)
class Report:
    """Grows with the run."""

    rate: float = 0.0
    symbols: int = 0
    load: float = 0.0
    """Load average of the machine over the last 15 minutes of the run: processes that want to run."""
    started_at: float = 0.0
    ended_at: float = 0.0
    acknowledged: int = 0
    in_flight_at_kill: int = 0
    stored: int = 0
    final_bars: int = 0
    late_records_dropped: float | None = None
    bars_availability: float | None = None
    ready_availability: float | None = None
    faults: list[Suffered] = field(default_factory=list)
    checks: dict[str, str] = field(default_factory=dict)

    @property
    def completeness(self) -> float | None:
        """Share of the acknowledged trades that is stored."""
        return self.stored / self.acknowledged if self.acknowledged else None

    def availability(self, samples: Sequence[Sample]) -> None:
        """Takes the shares of the time in which bars were current, and in which everything was ready."""
        if len(samples) > 1:
            seconds = samples[-1].at - samples[0].at
            self.bars_availability = 1 - _seconds(samples, lambda sample: not sample.current) / seconds
            self.ready_availability = 1 - _seconds(samples, lambda sample: not sample.ready) / seconds

    def write(self) -> Path:
        """Writes both files, and returns the table's."""
        FOLDER.mkdir(parents=True, exist_ok=True)
        values = {**asdict(self), "completeness": self.completeness}
        (FOLDER / "last.json").write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
        table = FOLDER / "last.md"
        table.write_text(self._markdown(), encoding="utf-8")
        return table

    def _markdown(self) -> str:
        minutes = (self.ended_at - self.started_at) / 60
        lines = [
            "# Through every fault",
            "",
            f"{datetime.fromtimestamp(self.ended_at, UTC):%Y-%m-%d %H:%M} UTC: {minutes:.1f} minutes at"
            f" {self.rate:,.0f} trades/s of {self.symbols} symbols, {len(self.faults)} faults;"
            f" {os.cpu_count()} cores, load {self.load:.1f}.",
            "",
            "| figure | value |",
            "|---|---|",
            f"| trades and corrections acknowledged by Kafka | {self.acknowledged:,} |",
            f"| of these, acknowledgements that the killed producer did not live to hear |"
            f" {self.in_flight_at_kill:,} |",
            f"| of all these, stored in bronze and in silver | {self.stored:,} |",
            f"| completeness (stored / acknowledged) | {_share(self.completeness)} |",
            f"| final bars compared | {self.final_bars:,} |",
            f"| numLateRecordsDropped | {_number(self.late_records_dropped)} |",
            f"| time in which every symbol's bars were at most {CURRENT_S:g} s behind |"
            f" {_share(self.bars_availability)} |",
            f"| time in which /ready said that every part is ready | {_share(self.ready_availability)} |",
            "",
            "Times in seconds; *back* counts from the end of the fault.",
            "",
            "| fault | lasted | bars not current | most behind | bars back | ready back | not ready then |",
            "|---|---|---|---|---|---|---|",
            *(_row(fault) for fault in self.faults),
            "",
            "| what must hold | |",
            "|---|---|",
            *(f"| {check} | {outcome} |" for check, outcome in self.checks.items()),
            "",
        ]
        return "\n".join(lines)


def suffered(
    name: str,
    what: str,
    times: tuple[float, float],
    samples: Sequence[Sample],
    started_again: Sequence[str],
) -> Suffered:
    """A fault's figures. ``times``: when it began and when it ended; ``samples``: from its begin until the
    system was back."""
    broken_at, mended_at = times
    current = _first_of_the_end(samples, lambda sample: sample.current)
    ready = _first_of_the_end(samples, lambda sample: sample.ready)
    return Suffered(
        name=name,
        what=what,
        broken_at=broken_at,
        mended_at=mended_at,
        bars_back_s=None if current is None else max(0.0, current - mended_at),
        ready_back_s=None if ready is None else max(0.0, ready - mended_at),
        not_current_s=_seconds(samples, lambda sample: not sample.current),
        not_ready_s=_seconds(samples, lambda sample: not sample.ready),
        most_behind_s=max((sample.behind_s for sample in samples), default=0.0),
        not_ready=tuple(sorted({part for sample in samples for part in sample.not_ready})),
        started_again=tuple(started_again),
    )


def _seconds(samples: Sequence[Sample], which: Callable[[Sample], bool]) -> float:
    """How long the samples were so; each stands for the time until the next one."""
    return sum(after.at - sample.at for sample, after in pairwise(samples) if which(sample))


def _first_of_the_end(samples: Sequence[Sample], good: Callable[[Sample], bool]) -> float | None:
    """When the samples became good and stayed so."""
    at = None
    for sample in reversed(samples):
        if not good(sample):
            break
        at = sample.at
    return at


def _row(fault: Suffered) -> str:
    cells = (
        fault.what,
        f"{fault.mended_at - fault.broken_at:.0f}",
        f"{fault.not_current_s:.0f}",
        f"{fault.most_behind_s:.1f}",
        _number(fault.bars_back_s),
        _number(fault.ready_back_s),
        ", ".join(fault.not_ready) or "-",
    )
    return f"| {' | '.join(cells)} |"


def _share(share: float | None) -> str:
    return "not reached" if share is None else f"{share:.4%}"


def _number(number: float | None) -> str:
    return "not reached" if number is None else f"{number:.0f}"
