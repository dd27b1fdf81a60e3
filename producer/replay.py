"""Recordings as a source: several files, merged by time, as fast as possible or at a chosen speed.

Within a recording rows stay in the order in which they are: it may be out of order where the market was, and
the jobs must see it. Several are merged by their running time, the greatest event time so far.
"""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from operator import itemgetter

import structlog

from producer.clock import Clock
from producer.recorded_file import RecordedFile, RecordedRow
from producer.recordings import Recordings
from producer.settings import ReplaySettings
from producer.sources import Batch, Rejected
from producer.validation import AHEAD_US
from schemas.errors import ConfigurationError
from schemas.events import Correction, ProviderBar, Quote, Trade

log = structlog.get_logger()

BATCH_ROWS = 500
DAY_US = 86_400_000_000
CLOSING_US = DAY_US // 4
"""The closing heartbeat is this far past the UTC day of the last event: a day of New York ends at 04:00 or
05:00 UTC, and every bar that has begun must become final."""

MAX_SPEED_HEARTBEAT_US = 1_000_000
PROGRESS_US = 5_000_000
WAIT_S = 0.05


class Replay:
    """Recorded files as a source; see ``producer.sources.Source``.

    Event time is the recording's. The clock of the heartbeats is the greatest event time so far, less
    ``replay_disorder_ms``; the closing one lies past every bar that has begun.
    """

    def __init__(
        self, settings: ReplaySettings, heartbeat_us: int, clock: Clock, *, tells: bool = True
    ) -> None:
        """``heartbeat_us``: wall time between heartbeats (us) when the replay follows a speed. ``tells``:
        whether the log says how far it is."""
        self._settings = settings
        self._tells = tells
        self._heartbeat_us = heartbeat_us
        self._clock = clock

    @property
    def name(self) -> str:
        return "replay"

    @property
    def live(self) -> bool:
        return False

    @property
    def heartbeat_us(self) -> int:
        speed = self._settings.speed
        return MAX_SPEED_HEARTBEAT_US if speed is None else max(1, int(self._heartbeat_us * speed))

    def batches(self) -> Iterator[Batch]:
        if not self._settings.replay_files:
            raise ConfigurationError("SOURCE=replay needs REPLAY_FILES: the recordings, separated by commas")
        latest_us = self._clock.now_us() + AHEAD_US
        with closing(Recordings(self._settings, latest_us)) as recordings:
            rows = recordings.streams()
            merged = rows[0] if len(rows) == 1 else heapq.merge(*rows, key=itemgetter(0))
            progress = _Progress(recordings.files, self._clock)
            greatest_us = 0
            for batch, running_us in self._batched(merged):
                greatest_us = running_us
                events = (batch.trades, batch.corrections, batch.quotes, batch.bars, batch.rejected)
                if self._tells:
                    progress.update(sum(len(of_kind) for of_kind in events))
                yield batch
            if self._tells:
                progress.finished()
        closing_us = greatest_us - greatest_us % DAY_US + DAY_US + CLOSING_US if greatest_us else 0
        yield Batch(closing_us, closing=True)

    def _batched(self, rows: Iterable[RecordedRow]) -> Iterator[tuple[Batch, int]]:
        """Batches, each with the greatest event time so far; while the speed asks for waiting, empty ones."""
        pace = _Pace(self._settings.speed, self._clock)
        disorder_us = self._settings.replay_disorder_ms * 1000
        running_us = 0
        gathered = _Gathered()
        for row in rows:
            row_us = row.running_us
            while row_us and (reached_us := pace.reached(row_us)) < row_us:
                yield gathered.batch(max(running_us, reached_us) - disorder_us), running_us
                gathered = _Gathered()
                pace.wait(row_us - reached_us)
            if gathered.rows == BATCH_ROWS or not gathered.takes(row):
                yield gathered.batch(max(0, running_us - disorder_us)), running_us
                gathered = _Gathered()
            running_us = row_us
            gathered.add(row)
        yield gathered.batch(max(0, running_us - disorder_us)), running_us


class _Gathered:
    """The rows of one batch: of files that say themselves what their trades update, or of others. Trades
    without conditions go with either, so that files which differ in this seldom make small batches."""

    def __init__(self) -> None:
        self.rows = 0
        self._trades: list[Trade] = []
        self._corrections: list[Correction] = []
        self._quotes: list[Quote] = []
        self._bars: list[ProviderBar] = []
        self._rejected: list[Rejected] = []
        self._decided: bool | None = None

    def takes(self, row: RecordedRow) -> bool:
        return self._decided is None or self._decided == row.decided or not _has_conditions(row)

    def add(self, row: RecordedRow) -> None:
        event = row.event
        self.rows += 1
        if isinstance(event, Trade):
            self._trades.append(event)
        elif isinstance(event, Quote):
            self._quotes.append(event)
        elif isinstance(event, Correction):
            self._corrections.append(event)
        elif isinstance(event, ProviderBar):
            self._bars.append(event)
        else:
            self._rejected.append(event)
        if self._decided is None and _has_conditions(row):
            self._decided = row.decided

    def batch(self, clock_us: int) -> Batch:
        return Batch(
            clock_us,
            self._trades,
            self._quotes,
            self._rejected,
            corrections=self._corrections,
            decided=bool(self._decided),
            bars=self._bars,
        )


def _has_conditions(row: RecordedRow) -> bool:
    return isinstance(row.event, Trade | Correction) and bool(row.event.conditions)


class _Pace:
    """Event time as the speed has it: so many times as fast as the clock; None: as fast as possible."""

    def __init__(self, speed: float | None, clock: Clock) -> None:
        self._speed = speed
        self._clock = clock
        self._began: tuple[int, int] | None = None  # clock and event time of the first event

    def reached(self, event_us: int) -> int:
        """The event time (us) that the replay has come to, given the next event."""
        if self._speed is None:
            return event_us
        now_us = self._clock.now_us()
        if self._began is None:
            self._began = now_us, event_us
        clock_us, first_us = self._began
        return first_us + int((now_us - clock_us) * self._speed)

    def wait(self, event_us: int) -> None:
        """Waits until so much more event time has been reached, or for a moment if that is long."""
        self._clock.sleep(min(WAIT_S, event_us / 1e6 / (self._speed or 1.0)))


class _Progress:
    """Says how far a replay is, every five seconds."""

    def __init__(self, files: Sequence[RecordedFile], clock: Clock) -> None:
        self._files = files
        self._size = sum(file.size for file in files) or 1
        self._clock = clock
        self._start_us = self._logged_us = clock.now_us()
        self._rows = 0

    def update(self, rows: int) -> None:
        """``rows``: how many more have been read."""
        self._rows += rows
        now_us = self._clock.now_us()
        if now_us - self._logged_us >= PROGRESS_US:
            self._logged_us = now_us
            read = sum(file.position for file in self._files)
            log.info("replay_progress", percent=round(100 * read / self._size, 1), **self._rate(now_us))

    def finished(self) -> None:
        now_us = self._clock.now_us()
        seconds = round((now_us - self._start_us) / 1e6, 1)
        log.info("replay_read", files=len(self._files), seconds=seconds, **self._rate(now_us))

    def _rate(self, now_us: int) -> dict[str, int]:
        seconds = max(1e-6, (now_us - self._start_us) / 1e6)
        return {"rows": self._rows, "rows_per_s": round(self._rows / seconds)}
