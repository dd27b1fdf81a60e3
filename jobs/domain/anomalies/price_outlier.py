"""price_outlier: the high or low of a bar stands more than 10 % away from its open, close and VWAP.

Judged on final 1m bars only: while a bar is live its close is whatever came last, and a price that stands out
in a minute stands out in the hour too, which would be one cause and six alerts. Severity by the threshold:
low 1x, medium 1.5x, high 2x, critical 3x. Retracted when a later version no longer has it.
"""

from jobs.domain.anomalies.alert_book import AlertBook, Finding, Steps, severity_of
from jobs.domain.anomalies.thresholds import Thresholds
from jobs.domain.quality import QualityRules, outliers
from schemas.events import Alert, Candle
from schemas.intervals import MINUTE_US

TYPE = "price_outlier"
STEPS: Steps = (1.5, 2.0, 3.0)
INTERVAL = "1m"


class PriceOutlier:
    """Needs no state of its own."""

    def __init__(self, thresholds: Thresholds) -> None:
        self._thresholds = thresholds
        self._rules = QualityRules(thresholds.outlier_percent)

    def on_candle(self, candle: Candle, book: AlertBook, now: int) -> list[Alert]:
        """Judges a version of a bar."""
        if not candle.final or candle.interval != INTERVAL:
            return []
        above, below = outliers(candle.open, candle.high, candle.low, candle.close, candle.vwap, self._rules)
        if not above and not below:
            record = book.find(TYPE, INTERVAL, candle.start)
            return book.retract_for(record, candle, now) if record else []
        percent = max(above, below)
        what, where = ("high", "above") if above >= below else ("low", "below")
        price = candle.high if above >= below else candle.low
        threshold = self._thresholds.outlier_percent
        finding = Finding(
            type=TYPE,
            interval=INTERVAL,
            time=candle.start,
            at=candle.start,
            until=candle.end + self._thresholds.horizon + MINUTE_US,
            severity=severity_of(percent / threshold, STEPS),
            value=percent if above >= below else -percent,
            threshold=threshold,
            message=f"{what} {price:g} is {percent:.2f} % {where} open, close and VWAP of its 1m bar",
            bar=(candle.start, candle.version),
        )
        return book.report(finding, now, may_fall=True)
