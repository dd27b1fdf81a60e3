"""clock_skew: trades whose event time is ahead of their receipt by more than the tolerance.

They are counted upstream, where both times are at hand; a slice that has some is reported, as a matter of its
1m bar. Severity by how many of one slice: low, from 10 on medium, from 100 on high, from 1,000 on critical.
"""

from jobs.domain.anomalies.alert_book import AlertBook, Finding, Steps, severity_of
from jobs.domain.anomalies.slice_seen import SliceSeen
from jobs.domain.anomalies.thresholds import Thresholds
from schemas.events import Alert, Candle
from schemas.intervals import MINUTE_US

TYPE = "clock_skew"
STEPS: Steps = (10, 100, 1000)
INTERVAL = "1m"


class ClockSkew:
    """Needs no state of its own."""

    def __init__(self, thresholds: Thresholds) -> None:
        self._thresholds = thresholds

    def on_slice(self, part: SliceSeen, candle: Candle | None, book: AlertBook, now: int) -> list[Alert]:
        """Judges a slice; ``candle`` is the version of the 1m bar that it made."""
        if part.skewed <= 0:
            return []
        start = part.event_time - part.event_time % MINUTE_US
        finding = Finding(
            type=TYPE,
            interval=INTERVAL,
            time=start,
            at=part.event_time,
            until=start + 2 * MINUTE_US + self._thresholds.horizon,
            severity=severity_of(part.skewed, STEPS),
            value=float(part.skewed),
            threshold=0.0,
            message=f"{part.skewed} trades of {part.source} are dated ahead of their receipt",
            bar=(start, candle.version if candle is not None and candle.start == start else None),
        )
        return book.report(finding, now)
