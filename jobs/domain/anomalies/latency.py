"""latency: a path takes longer than 100 ms, by the median of a window of 10 s on the wall clock.

One monitor per worker process, in memory: after a restart it begins anew. A path is judged for each source
apart. *Resolved* by the first window whose median is not above the threshold; a window with fewer than
LEAST_SAMPLES says nothing. Severity by the threshold: low 1x, medium 2x, high 5x, critical 10x.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median

from jobs.domain.anomalies.alert_book import AlertBook, Finding, Steps, severity_of
from jobs.domain.anomalies.thresholds import SECOND_US
from schemas.events import Alert

TYPE = "latency"
PATHS = ("source_to_kafka", "trade_to_bar")
STEPS: Steps = (2.0, 5.0, 10.0)
LEAST_SAMPLES = 5
MOST_SAMPLES = 1024
"""Kept of a window; beyond, every second one is dropped and from then on only each 2nd, 4th, .. taken."""

EVERY_SYMBOL = "*"


@dataclass(frozen=True, slots=True)
class LatencyLimits:
    """Path -> threshold, and the times of the judgement; all in microseconds."""

    thresholds: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(PATHS, 100_000))
    window: int = 10 * SECOND_US
    cooldown: int = 300 * SECOND_US


@dataclass(slots=True)
class _Samples:
    """Evenly spread samples of a window, a bounded number of them."""

    values: list[int] = field(default_factory=list)
    stride: int = 1
    seen: int = 0

    def add(self, value: int) -> None:
        if self.seen % self.stride == 0:
            self.values.append(value)
            if len(self.values) >= MOST_SAMPLES:
                del self.values[1::2]
                self.stride *= 2
        self.seen += 1


@dataclass(slots=True)
class _Path:
    book: AlertBook
    samples: _Samples = field(default_factory=_Samples)
    raised: int | None = None
    """The window in which the alert that lasts was raised."""


class LatencyMonitor:
    """Latencies of all symbols by path and source. ``worker`` becomes part of the alerts' identity, so that
    one process does not resolve what another one has."""

    def __init__(self, limits: LatencyLimits, clock: Callable[[], int], worker: str = "") -> None:
        """``clock`` gives the wall time in microseconds."""
        self._limits = limits
        self._clock = clock
        self._worker = worker
        self._window = self._window_of(clock())
        self._paths: dict[tuple[str, str], _Path] = {}

    def observe(self, path: str, source: str, latency_us: int) -> None:
        """Takes up one latency. Raises KeyError for a path that has no threshold."""
        known = self._paths.get((path, source))
        if known is None:
            self._limits.thresholds[path]
            known = self._paths[path, source] = _Path(self._new_book(path, source))
        known.samples.add(latency_us)

    def due(self) -> list[Alert]:
        """The alerts of the window that has ended, if one has. To be called often: it costs nothing until
        then. What was observed before belongs to that window."""
        now = self._clock()
        window = self._window_of(now)
        if window <= self._window:
            return []
        ended, self._window = self._window, window
        alerts = []
        for (path, source), state in self._paths.items():
            samples, state.samples = state.samples, _Samples()
            if samples.seen >= LEAST_SAMPLES:
                alerts += self._judge(path, source, state, median(samples.values), ended, now)
        return alerts

    def _judge(  # noqa: PLR0913, PLR0917 -- what identifies a window
        self, path: str, source: str, state: _Path, middle: float, window: int, now: int
    ) -> list[Alert]:
        threshold, book = self._limits.thresholds[path], state.book
        record = None if state.raised is None else book.find(TYPE, None, state.raised)
        book.forget(window)
        text = f"{path} of {source}: median {middle / 1000:.1f} ms"
        if middle <= threshold:
            state.raised = None
            alerts = [] if record is None else book.resolve(record, 0, f"{text}, below its threshold", now)
        else:
            time = window if record is None else record.time
            finding = Finding(
                type=TYPE,
                interval=None,
                time=time,
                at=window if record is None else record.at,
                until=None,
                severity=severity_of(middle / threshold, STEPS),
                value=middle / 1000,
                threshold=threshold / 1000,
                message=f"{text}, more than {threshold / 1000:g} ms",
            )
            alerts = book.report(finding, now)
            if book.find(TYPE, None, time):
                state.raised = time
        return alerts

    def _new_book(self, path: str, source: str) -> AlertBook:
        scope = ".".join(filter(None, (path, source, self._worker)))
        return AlertBook(self._limits.cooldown, EVERY_SYMBOL, scope)

    def _window_of(self, now: int) -> int:
        return now - now % self._limits.window
