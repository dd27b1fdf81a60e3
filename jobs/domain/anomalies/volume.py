"""volume_anomaly: a bar has far more volume than those before it.

Two rules over the last 20 final bars of the interval, which must all be there: more than 3 sigma (population)
above their mean, and more than 3 times their mean. A volume that only the first one finds must be at least
1.5 times the mean: in a steady market sigma is some percent of the mean, and 3 sigma happen by chance.

One alert per bar, with the higher severity of the two. By the mean, in units of ``volume_ratio``: low 1x,
medium 1.5x, high 2x, critical 3x. By sigma alone: low, from twice ``volume_sigma`` on medium and never more,
since it says how unusual a volume is and not how large.

A burst may stand out in its minute and in the five minutes around it: two bars, two alerts. ``value`` and
``threshold`` are in times the mean. Judged on live bars too, whose volume only grows, and on
every later version: when neither rule holds any more, the alert is retracted. Bars without trades are no bars
here.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import Any

import msgpack

from jobs.domain.anomalies.alert_book import SEVERITIES, AlertBook, Finding, Steps, severity_of
from jobs.domain.anomalies.thresholds import Thresholds
from schemas.events import Alert, Candle, Severity
from schemas.intervals import INTERVALS, MINUTE_US

TYPE = "volume_anomaly"
RATIO_STEPS: Steps = (1.5, 2.0, 3.0)
MEDIUM_SIGMA = 2.0
"""Times ``volume_sigma``."""


@dataclass(slots=True)
class History:
    """Volumes of the last final bars of an interval, by start."""

    starts: list[int] = field(default_factory=list)
    volumes: list[float] = field(default_factory=list)

    def before(self, start: int, count: int) -> list[float] | None:
        """The volumes of the ``count`` bars before the one that begins at ``start``; None: not so many."""
        at = bisect_left(self.starts, start)
        return self.volumes[at - count : at] if at >= count else None

    def put(self, start: int, volume: float | None, most: int) -> None:
        """Takes up a bar, again if need be; None: it has no trades left. Keeps the last ``most``."""
        at = bisect_left(self.starts, start)
        known = at < len(self.starts) and self.starts[at] == start
        self.starts[at : at + known] = [] if volume is None else [start]
        self.volumes[at : at + known] = [] if volume is None else [volume]
        if len(self.starts) > most:
            del self.starts[0], self.volumes[0]


class Volume:
    """The state of one symbol: a history of each interval, read when it is needed."""

    def __init__(self, thresholds: Thresholds) -> None:
        self._thresholds = thresholds
        self._packed: dict[str, bytes] = {}
        self._histories: dict[str, History] = {}
        self._changed: set[str] = set()

    def on_candle(self, candle: Candle, book: AlertBook, now: int) -> list[Alert]:
        """Judges a version of a bar; a final one is taken up."""
        thresholds, interval = self._thresholds, candle.interval
        history = self._history(interval)
        before = history.before(candle.start, thresholds.volume_bars)
        if candle.final:
            # Besides the window, the bars that may come again: these have a window before them too.
            again = thresholds.horizon // INTERVALS[interval] + 2
            volume = candle.volume if candle.trades else None
            history.put(candle.start, volume, thresholds.volume_bars + again)
            self._changed.add(interval)
        if before is None:
            return []
        finding = self._judge(candle, before)
        if finding is not None:
            return book.report(finding, now, may_fall=True)
        record = book.find(TYPE, interval, candle.start)
        return book.retract_for(record, candle, now) if record else []

    def _judge(self, candle: Candle, before: Sequence[float]) -> Finding | None:
        thresholds, volume, count = self._thresholds, candle.volume, len(before)
        mean = sum(before) / count
        if volume <= mean or mean <= 0:
            return None
        sigma = sqrt(sum((each - mean) ** 2 for each in before) / count)
        sigma_limit = max(mean + thresholds.volume_sigma * sigma, thresholds.volume_least_ratio * mean)
        found: list[tuple[Severity, float]] = []
        if volume > thresholds.volume_ratio * mean:
            passed = volume / (thresholds.volume_ratio * mean)
            found.append((severity_of(passed, RATIO_STEPS), thresholds.volume_ratio))
        if volume > sigma_limit:
            far = volume - mean >= MEDIUM_SIGMA * thresholds.volume_sigma * sigma
            found.append((SEVERITIES[far], sigma_limit / mean))
        if not found:
            return None
        severity, threshold = max(found, key=lambda each: SEVERITIES.index(each[0]))
        ratio = volume / mean
        message = (
            f"volume of the {candle.interval} bar is {ratio:.2f} times the mean of the {count} before it"
        )
        if sigma:
            message += f", {(volume - mean) / sigma:.1f} sigma above"
        return Finding(
            type=TYPE,
            interval=candle.interval,
            time=candle.start,
            at=candle.start,
            until=candle.end + thresholds.horizon + MINUTE_US,
            severity=severity,
            value=ratio,
            threshold=threshold,
            message=message,
            bar=(candle.start, candle.version),
        )

    def _history(self, interval: str) -> History:
        history = self._histories.get(interval)
        if history is None:
            packed = self._packed.get(interval)
            history = History() if packed is None else _unpack(packed)
            self._histories[interval] = history
        return history

    def dump(self) -> dict[str, bytes]:
        """interval -> its history; packed apart, so that a slice reads that of 1m alone."""
        for interval in self._changed:
            self._packed[interval] = _pack(self._histories[interval])
        self._changed.clear()
        return self._packed

    def load(self, packed: dict[str, bytes]) -> None:
        self._packed = packed


def _pack(history: History) -> bytes:
    # Bars begin at whole minutes: half the bytes.
    packed: bytes = msgpack.packb([[start // MINUTE_US for start in history.starts], history.volumes])
    return packed


def _unpack(packed: bytes) -> History:
    fields: tuple[list[int], list[Any]] = msgpack.unpackb(packed)
    return History([minute * MINUTE_US for minute in fields[0]], fields[1])
