"""stale_feed: no trade of a symbol for longer than 30 s and 10 times its own mean distance between trades.

Judged by the watermark, and only while the symbol's market is open; a silence that began before counts from
the opening. The mean distance is an exponentially weighted mean over slices (weight 1/20; a plain mean until
then). It must have seen LEAST_GAPS of them: of a symbol that has only just begun nobody knows how often it
trades. No gap counts for more than the limit at the time, so a night does not make a symbol look slow.

The alert belongs to the last trade before the silence. Severity by the limit: low 1x, medium 3x, high 10x,
critical 30x: half a minute, one and a half, five and fifteen for a busy symbol. *Resolved* by the next trade,
by the close of the market, or when somebody stops the symbol; *retracted* when late trades fill the silence
so that none was longer than the limit. While a symbol is stopped nothing is expected of it; when it is
started again, its silence counts from then.
"""

from bisect import insort
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from jobs.domain.anomalies.alert_book import AlertBook, Finding, Record, Steps, severity_of
from jobs.domain.anomalies.slice_seen import SliceSeen
from jobs.domain.anomalies.stops import FOREVER, Stops
from jobs.domain.anomalies.thresholds import SECOND_US, Thresholds
from schemas.events import Alert
from schemas.intervals import MINUTE_US
from schemas.sessions import Calendar

TYPE = "stale_feed"
STEPS: Steps = (3.0, 10.0, 30.0)
WEIGHT = 1 / 20
LEAST_GAPS = 10
OPENING_STEP = 5 * MINUTE_US
"""Markets open at whole five minutes UTC."""
OPENING_STEPS = 5 * 24 * 12
"""How far ahead an opening is looked for: five days."""


class StaleFeed:
    """The state of one symbol: its last trade, its pace, and the last silence."""

    def __init__(self, thresholds: Thresholds, calendar: Calendar) -> None:
        self._thresholds = thresholds
        self._calendar = calendar
        self.last: int | None = None
        self.mean = 0.0
        """Between two trades, us."""
        self.gaps = 0
        self.closed = False
        """The market was closed when we last looked."""
        self.counts_from = 0
        """The opening from which a silence counts."""
        self.watermark = 0
        self.timer: int | None = None
        self.times: list[int] = []
        """Of the last silence that was raised: its beginning, its end if it has one, and what late trades
        came between, thinned out: no more than two for each limit of it."""
        self.limit_then = 0
        """The limit when that silence was raised."""
        self.stops = Stops()

    @property
    def limit(self) -> int:
        """The longest silence that is nothing special, in us."""
        return max(self._thresholds.stale_least, int(self._thresholds.stale_factor * self.mean))

    def on_slice(self, part: SliceSeen, book: AlertBook, now: int) -> list[Alert]:
        """Takes up a slice; it may end a silence, or show that there was none."""
        time = part.event_time
        alerts = self._fill(time, book, now) if self.times else []
        if self.last is None or time > self.last:
            if self.last is not None:
                since = max(self.last, self.stops.last_end(time))
                gap = min((time - since) / max(part.events, 1), self.limit)
                self.gaps = min(self.gaps + 1, LEAST_GAPS + int(1 / WEIGHT))
                self.mean += (gap - self.mean) * max(WEIGHT, 1 / self.gaps)
            self.last = time
            self.stops.forget(time)
            if self.gaps >= LEAST_GAPS:
                self._wake(time + self.limit + 1)
        return alerts

    def on_stop(self, start: int, end: int, *, closed: bool) -> None:
        """Somebody has stopped the symbol from ``start`` on, until ``end`` or, where it is not ``closed``, at
        least until then. Sets the ``timer`` at which that counts."""
        self.stops.add(start, end, closed=closed)
        self._wake(max(start, self.watermark + 1))

    def on_watermark(self, watermark: int, book: AlertBook, now: int) -> list[Alert]:
        """Looks whether the symbol is silent; sets the next ``timer``."""
        self.watermark = max(self.watermark, watermark)
        if self.timer is not None and self.timer <= self.watermark:
            self.timer = None
        if self.last is None or self.gaps < LEAST_GAPS:
            return []
        if not self._calendar.is_open(self.watermark):
            if not self.closed or self.timer is None:
                self.closed = True
                self._wake(self._next_opening())
            return self._end(book, "the market has closed", now)
        if self.closed:
            self.closed = False
            self.counts_from = self.watermark
        if (until := self.stops.ends(self.watermark)) is not None:
            if until < FOREVER:
                self._wake(until)
            return self._end(book, "somebody has stopped the symbol", now)
        since = max(self.last, self.counts_from, self.stops.last_end(self.watermark))
        return self._judge(since, book, now)

    def _judge(self, since: int, book: AlertBook, now: int) -> list[Alert]:
        record = self._record(book)
        if record is not None and record.status == "raised":
            since, limit = record.time, self.limit_then
        else:
            record, limit = None, self.limit
        silent = self.watermark - since
        if silent <= limit:
            self._wake(since + limit + 1)
            return []
        alerts = book.report(self._finding(since, silent, limit), now)
        if record is None and not alerts:
            # Said too recently. If it is still silent when that is over, it is said then.
            self._wake(max(book.cools_until(TYPE, None), self.watermark + 1))
            return []
        if record is None:
            self.times, self.limit_then = [since], limit
        coming = [since + int(step * limit) + 1 for step in STEPS]
        later = [time for time in coming if time > self.watermark]
        if later:
            self._wake(later[0])
        return alerts

    def _finding(self, since: int, silent: int, limit: int) -> Finding:
        return Finding(
            type=TYPE,
            interval=None,
            time=since,
            at=self.watermark,
            until=None,
            severity=severity_of(silent / limit, STEPS),
            value=silent / SECOND_US,
            threshold=limit / SECOND_US,
            message=f"no trade for {silent / SECOND_US:.1f} s; it usually has one"
            f" every {self.mean / SECOND_US:.2f} s",
        )

    def _fill(self, time: int, book: AlertBook, now: int) -> list[Alert]:
        """A trade within the silence, or the one that ends it."""
        record = self._record(book)
        if record is None:
            self.times = []
            return []
        lasting = record.status == "raised"
        if time <= self.times[0] or (not lasting and time >= self.times[-1]):
            return []
        insort(self.times, time)
        self._thin()
        newest = self.times[-1]
        known = self.times if newest > self.watermark or not lasting else [*self.times, self.watermark]
        if all(after - before <= self.limit_then for before, after in pairwise(known)):
            self._settle(record)
            return book.retract(record, "withdrawn: late trades show that there was no silence", now)
        if lasting and (newest > self.watermark or self.watermark - newest <= self.limit_then):
            until = newest + self._thresholds.horizon
            silent = (newest - record.time) / SECOND_US
            return book.resolve(record, until, f"trades come again, {silent:.1f} s after the last one", now)
        return []

    def _settle(self, record: Record) -> None:
        record.until = self.times[-1] + self._thresholds.horizon

    def _thin(self) -> None:
        """Drops times between two others that are no limit apart: no silence hides there."""
        at = 1
        while at < len(self.times) - 1:
            if self.times[at + 1] - self.times[at - 1] <= self.limit_then:
                del self.times[at]
            else:
                at += 1

    def _end(self, book: AlertBook, why: str, now: int) -> list[Alert]:
        """Nothing is expected any more."""
        record = self._record(book)
        if record is None or record.status != "raised":
            return []
        self.times.append(max(self.watermark, self.times[-1]))
        return book.resolve(record, self.watermark + self._thresholds.horizon, why, now)

    def _record(self, book: AlertBook) -> Record | None:
        return book.find(TYPE, None, self.times[0]) if self.times else None

    def _next_opening(self) -> int:
        first = self.watermark - self.watermark % OPENING_STEP + OPENING_STEP
        times = range(first, first + OPENING_STEPS * OPENING_STEP, OPENING_STEP)
        return next((time for time in times if self._calendar.is_open(time)), times[-1])

    def _wake(self, time: int) -> None:
        """An earlier timer stays: when it fires, it finds what is due then. So a busy symbol does not set a
        timer with every slice."""
        self.timer = time if self.timer is None else min(self.timer, time)

    def dump(self) -> list[Any]:
        return [self.last, self.mean, self.gaps, self.closed, self.counts_from, self.watermark, self.timer,
                self.times, self.limit_then, *self.stops.dump()]  # fmt: skip

    def load(self, fields: Iterable[Any]) -> None:
        (self.last, self.mean, self.gaps, self.closed, self.counts_from, self.watermark, self.timer,
         self.times, self.limit_then, *stops) = fields  # fmt: skip
        if stops:  # layout 1 had none
            self.stops.load(stops)
