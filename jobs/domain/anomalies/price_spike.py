"""price_spike: the price moves by more than 5 % within 60 s.

Each slice's high is held against the least low of the 60 s up to and including it, its low against the
greatest high. A late slice is held against what lay before it, as far as that is still known, and against
what came after: whichever order they come in, two prices make one movement. One that is older than the
window is not judged.

A movement in the same direction that ends within the window of an alert is the same movement: it can raise
the severity (by the threshold: low 1x, medium 1.5x, high 2x, critical 3x), and it is no second alert.

**Retraction.** The alert keeps the two prices of its greatest movement. When a 1m bar that held one of them
comes again with a lower high (a higher low), that is the most that can have been there: if too little is
left, the alert is retracted, and the window is corrected too. Raised again when a bar has it again.
"""

from dataclasses import dataclass

from jobs.domain.anomalies.alert_book import AlertBook, Finding, Record, Steps, severity_of
from jobs.domain.anomalies.price_window import Point, PriceWindow
from jobs.domain.anomalies.slice_seen import SliceSeen
from jobs.domain.anomalies.thresholds import SECOND_US, Thresholds
from schemas.events import Alert, Candle
from schemas.intervals import MINUTE_US

TYPE = "price_spike"
STEPS: Steps = (1.5, 2.0, 3.0)
INTERVAL = "1m"


@dataclass(frozen=True, slots=True)
class Move:
    """From one price to another, by event time (us)."""

    begin: Point
    end: Point

    @property
    def percent(self) -> float:
        """Of the price it began with; negative for a fall. To nine digits: 105 is not more than 5 % above
        100, though 105 / 100 - 1 > 0.05 for a computer."""
        return round((self.end[1] / self.begin[1] - 1) * 100, 9)

    def passes(self, percent: float) -> bool:
        """Whether it goes further than this, up or down."""
        return abs(self.percent) > percent


class PriceSpike:
    """The state of one symbol: the extremes of the window."""

    def __init__(self, thresholds: Thresholds) -> None:
        self._thresholds = thresholds
        self.window = PriceWindow(thresholds.spike_window)

    def on_slice(self, part: SliceSeen, candle: Candle | None, book: AlertBook, now: int) -> list[Alert]:
        """Judges a slice and takes it up; ``candle`` is the version of the 1m bar that it made."""
        if part.high is None or part.low is None:
            return []
        moves = self._moves(part.event_time, part.high, part.low)
        self.window.add(part.event_time, part.high, part.low)
        passing = [move for move in moves if move.passes(self._thresholds.spike_percent)]
        if not passing:
            return []
        return self._report(max(passing, key=lambda move: abs(move.percent)), candle, book, now)

    def on_candle(self, candle: Candle, book: AlertBook, now: int) -> list[Alert]:
        """Judges again what was seen in a 1m bar, by a version of it that may be a correction."""
        self.window.correct(candle.start, candle.end, candle.high, candle.low)
        alerts = []
        for record in book.of(TYPE):
            if (
                candle.start <= record.evidence[0] < candle.end
                or candle.start <= record.evidence[2] < candle.end
            ):
                alerts += self._judge_again(record, candle, book, now)
        return alerts

    def _moves(self, time: int, high: float, low: float) -> list[Move]:
        window = self.window
        since = time - window.length
        least = min(((time, low), window.least(since, time) or (time, low)), key=lambda point: point[1])
        greatest = max(
            ((time, high), window.greatest(since, time) or (time, high)), key=lambda point: point[1]
        )
        moves = [Move(least, (time, high)), Move(greatest, (time, low))]
        if window.newest - window.length <= time < window.newest:
            if later := window.greatest(time + 1, window.newest):
                moves.append(Move((time, low), later))
            if later := window.least(time + 1, window.newest):
                moves.append(Move((time, high), later))
        return moves

    def _report(self, move: Move, candle: Candle | None, book: AlertBook, now: int) -> list[Alert]:
        (begin, _), (end, _) = move.begin, move.end
        time = end - end % MINUTE_US
        record = self._same_movement(move, book)
        version = candle.version if candle is not None and candle.start == time else None
        threshold = self._thresholds.spike_percent
        alerts = book.report(
            Finding(
                type=TYPE,
                interval=INTERVAL,
                time=time if record is None else record.time,
                at=end if record is None else record.at,
                until=max(begin, end) + MINUTE_US + self._thresholds.horizon,
                severity=severity_of(abs(move.percent) / threshold, STEPS),
                value=move.percent,
                threshold=threshold,
                message=self._message(move),
                bar=(time, version),
            ),
            now,
        )
        record = record or book.find(TYPE, INTERVAL, time)
        if record is not None and (alerts or abs(move.percent) > abs(self._evidence(record).percent)):
            record.evidence = [*move.begin, *move.end, move.begin[1], move.end[1]]
        return alerts

    def _same_movement(self, move: Move, book: AlertBook) -> Record | None:
        for record in book.of(TYPE):
            near = abs(move.end[0] - record.at) <= self._thresholds.spike_window
            if near and record.status == "raised" and (record.value > 0) == (move.percent > 0):
                return record
        return None

    def _judge_again(self, record: Record, candle: Candle, book: AlertBook, now: int) -> list[Alert]:
        begin, begin_price, end, end_price, most_begin, most_end = record.evidence
        rise = end_price > begin_price
        if candle.start <= begin < candle.end:
            most_begin = _most(begin_price, candle, high=not rise)
        if candle.start <= end < candle.end:
            most_end = _most(end_price, candle, high=rise)
        record.evidence[4:] = [most_begin, most_end]
        left = None
        if most_begin is not None and most_end is not None:
            left = Move((begin, most_begin), (end, most_end))
            if not left.passes(self._thresholds.spike_percent) or (left.percent > 0) != rise:
                left = None
        if left is None:
            return book.retract_for(record, candle, now)
        if record.status != "retracted":
            return []
        threshold = self._thresholds.spike_percent
        return book.report(
            Finding(
                type=TYPE,
                interval=INTERVAL,
                time=record.time,
                at=record.at,
                until=record.until,
                severity=severity_of(abs(left.percent) / threshold, STEPS),
                value=left.percent,
                threshold=threshold,
                message=self._message(left),
                bar=(candle.start, candle.version),
            ),
            now,
        )

    @staticmethod
    def _evidence(record: Record) -> Move:
        begin, begin_price, end, end_price, *_ = record.evidence
        return Move((begin, begin_price), (end, end_price))

    @staticmethod
    def _message(move: Move) -> str:
        (begin, begin_price), (end, end_price) = move.begin, move.end
        verb = "rose" if end_price > begin_price else "fell"
        return (
            f"price {verb} by {abs(move.percent):.2f} % within {(end - begin) / SECOND_US:.1f} s,"
            f" from {begin_price:g} to {end_price:g}"
        )


def _most(price: float, candle: Candle, *, high: bool) -> float | None:
    """The most extreme price up to ``price`` that the bar may have held."""
    if high:
        return None if candle.high is None else min(price, candle.high)
    return None if candle.low is None else max(price, candle.low)
