"""rsi_overbought, rsi_oversold: the RSI is in a zone, with hysteresis.

Overbought is entered above 70 and left below 65, oversold entered below 30 and left above 35; on final bars.
An alert belongs to the bar that entered the zone. Being in a zone lasts, so it is *resolved* by the bar that
leaves it. The severity follows the furthest RSI since the zone was entered, by how much of the way from the
threshold to 100 (or 0) it went: low, from 1/6 on medium, from 1/3 on high, from 2/3 on critical: 70, 75, 80,
90.

After a correction the later final bars come again. So the RSI of each bar that may come again is kept, and
the zone before the first of them; each time all of them are gone through anew, and what was published is
brought in line: raised, resolved, raised again, or retracted.
"""

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Any

import msgpack

from jobs.domain.anomalies.alert_book import AlertBook, Finding, Steps, severity_of
from jobs.domain.anomalies.thresholds import Thresholds
from schemas.events import Alert, Candle
from schemas.intervals import INTERVALS

OVERBOUGHT, OVERSOLD = "rsi_overbought", "rsi_oversold"
STEPS: Steps = (1 / 6, 1 / 3, 2 / 3)


@dataclass(frozen=True, slots=True)
class Stay:
    """In a zone since the bar ``entered``; ``furthest`` is the RSI. ``left`` is the bar that left it."""

    type: str
    entered: int
    furthest: float
    left: int | None = None


@dataclass(slots=True)
class _Interval:
    before: Stay | None = None
    """The zone that the first of the kept bars found."""
    starts: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)


class RsiZones:
    """The state of one symbol: the zone and the last bars of each interval, read when they are needed."""

    def __init__(self, thresholds: Thresholds) -> None:
        self._thresholds = thresholds
        self._packed = b""
        self._intervals: dict[str, _Interval] | None = None

    def on_candle(self, candle: Candle, book: AlertBook, now: int) -> list[Alert]:
        """Judges a version of a final bar."""
        if not candle.final or candle.interval not in self._thresholds.rsi_intervals:
            return []
        interval = self._all().setdefault(candle.interval, _Interval())
        self._put(interval, candle)
        stays = self._stays(interval)
        alerts = []
        if interval.starts:
            entered = {(stay.type, stay.entered) for stay in stays}
            for record in book.of(OVERBOUGHT, OVERSOLD):
                reached = record.interval == candle.interval and record.time >= interval.starts[0]
                if reached and (record.type, record.time) not in entered:
                    record.until = self._until(candle.end, candle.interval)
                    alerts += book.retract_for(record, candle, now)
        for stay in stays:
            alerts += self._publish(stay, candle, book, now)
        return alerts

    def _put(self, interval: _Interval, candle: Candle) -> None:
        """Takes up the bar's RSI, again if need be; a bar without one is none here."""
        value = candle.indicators.get(self._thresholds.rsi_indicator)
        starts, values = interval.starts, interval.values
        at = bisect_left(starts, candle.start)
        known = at < len(starts) and starts[at] == candle.start
        starts[at : at + known] = [] if value is None else [candle.start]
        values[at : at + known] = [] if value is None else [value]
        if len(starts) > self._thresholds.horizon // INTERVALS[candle.interval] + 2:
            stay = self._step(interval.before, starts.pop(0), values.pop(0))[-1]
            interval.before = stay if stay is not None and stay.left is None else None

    def _stays(self, interval: _Interval) -> list[Stay]:
        """All stays in a zone that touch the kept bars, in order of time."""
        stays: list[Stay] = []
        current = interval.before
        for start, value in zip(interval.starts, interval.values, strict=True):
            *ended, current = self._step(current, start, value)
            stays += [stay for stay in ended if stay is not None]
        return stays if current is None else [*stays, current]

    def _step(self, stay: Stay | None, start: int, value: float) -> list[Stay | None]:
        """The stay that a bar ended, if it did, and last the one it leaves us in."""
        limits = self._thresholds
        steps: list[Stay | None] = []
        if stay is not None:
            if stay.type == OVERBOUGHT:
                left, furthest = value < limits.rsi_overbought_exit, max(stay.furthest, value)
            else:
                left, furthest = value > limits.rsi_oversold_exit, min(stay.furthest, value)
            if not left:
                return [Stay(stay.type, stay.entered, furthest)]
            steps.append(Stay(stay.type, stay.entered, stay.furthest, start))
        if value > limits.rsi_overbought:
            return [*steps, Stay(OVERBOUGHT, start, value)]
        if value < limits.rsi_oversold:
            return [*steps, Stay(OVERSOLD, start, value)]
        return [*steps, None]

    def _publish(self, stay: Stay, candle: Candle, book: AlertBook, now: int) -> list[Alert]:
        record = book.find(stay.type, candle.interval, stay.entered)
        if record is None and stay.entered != candle.start:
            return []  # suppressed when it began, or it is said when its own bar comes again
        bar = (candle.start, candle.version)
        alerts = []
        if record is None or record.status != "resolved" or stay.left is None:
            alerts += book.report(self._finding(stay, candle), now, may_fall=True)
        record = record or book.find(stay.type, candle.interval, stay.entered)
        if record is not None and stay.left is not None:
            message = f"the RSI of the {candle.interval} bars has left the zone"
            until = self._until(max(stay.left, candle.end), candle.interval)
            alerts += book.resolve(record, until, message, now, bar)
        return alerts

    def _until(self, end: int, interval: str) -> int:
        """How long the bars that are kept now may change what was said at ``end``."""
        return end + 2 * INTERVALS[interval] + self._thresholds.horizon

    def _finding(self, stay: Stay, candle: Candle) -> Finding:
        limits = self._thresholds
        if stay.type == OVERBOUGHT:
            threshold, name, side = limits.rsi_overbought, "overbought", "above"
            far = (stay.furthest - threshold) / (100 - threshold)
        else:
            threshold, name, side = limits.rsi_oversold, "oversold", "below"
            far = (threshold - stay.furthest) / threshold
        return Finding(
            type=stay.type,
            interval=candle.interval,
            time=stay.entered,
            at=stay.entered,
            until=None,
            severity=severity_of(far, STEPS),
            value=stay.furthest,
            threshold=threshold,
            message=f"{name}: RSI {stay.furthest:.1f} of the {candle.interval} bars is {side} {threshold:g}",
            bar=(candle.start, candle.version),
        )

    def _all(self) -> dict[str, _Interval]:
        if self._intervals is None:
            packed: dict[str, list[Any]] = msgpack.unpackb(self._packed) if self._packed else {}
            self._intervals = {
                name: _Interval(None if before is None else Stay(*before), starts, values)
                for name, (before, starts, values) in packed.items()
            }
        return self._intervals

    def dump(self) -> bytes:
        if self._intervals:
            packed = {
                name: [
                    each.before and [each.before.type, each.before.entered, each.before.furthest],
                    each.starts,
                    each.values,
                ]
                for name, each in self._intervals.items()
            }
            self._packed = msgpack.packb(packed)
        return self._packed

    def load(self, packed: bytes) -> None:
        self._packed = packed
