"""One symbol's anomalies driven by hand; its state passes through bytes at every step, as in Flink."""

from jobs.domain.anomalies import SliceSeen, SymbolAnomalies, Thresholds
from schemas.events import Alert, Candle
from schemas.intervals import INTERVALS, MINUTE_US
from schemas.sessions import Calendar

START_US = 1_723_161_600_000_000
"""2024-08-09 00:00 UTC: a bar of every interval starts here."""
NOW_US = 1_800_000_000_000_000
SECOND_US = 1_000_000
SYMBOL = "AAPL"

Brief = tuple[str, int, str, str]
"""(type, revision, status, severity)"""


def us(seconds: float) -> int:
    """Microseconds since 1970 of a time in seconds after START_US."""
    return START_US + round(seconds * SECOND_US)


def brief(alerts: list[Alert]) -> list[Brief]:
    return [(alert.type, alert.revision, alert.status, alert.severity) for alert in alerts]


def a_slice(at: float, high: float | None, low: float | None, skewed: int = 0, events: int = 1) -> SliceSeen:
    return SliceSeen(SYMBOL, "sim", us(at), high, low, skewed, events)


def a_candle(
    minute: int = 0,
    interval: str = "1m",
    *,
    version: int = 2,
    final: bool = False,
    trades: int = 10,
    prices: tuple[float, float, float, float] | None = (100.0, 100.0, 100.0, 100.0),
    vwap: float | None = 100.0,
    volume: float = 10.0,
    rsi: float | None = None,
) -> Candle:
    """The bar ``minute`` minutes after START_US; ``prices`` are open, high, low and close."""
    start = START_US + minute * MINUTE_US
    return Candle(
        SYMBOL, interval, start, start + INTERVALS[interval], *(prices or (None,) * 4), volume=volume,
        notional=volume * 100, vwap=vwap, trades=trades, final=final, version=version + final,
        indicators={} if rsi is None else {"rsi_14": rsi},
    )  # fmt: skip


class Driver:
    """Keeps the state as bytes and remembers what was published."""

    def __init__(self, thresholds: Thresholds | None = None, calendar: Calendar | None = None) -> None:
        self.thresholds = thresholds or Thresholds()
        self.calendar = calendar
        self.state: bytes | None = None
        self.published: list[Alert] = []

    def load(self) -> SymbolAnomalies:
        return SymbolAnomalies.load(self.state, self.thresholds, self.calendar)

    def _save(self, anomalies: SymbolAnomalies, alerts: list[Alert]) -> list[Alert]:
        self.state = anomalies.dump()
        self.published += alerts
        return alerts

    def trade(
        self, at: float, price: float | None = 100.0, low: float | None = None, *, skewed: int = 0,
        events: int = 1, candle: Candle | None = None,
    ) -> list[Alert]:  # fmt: skip
        """A slice at ``at`` seconds; ``price`` is its high, and its low where no ``low`` is given."""
        anomalies = self.load()
        part = a_slice(at, price, price if low is None else low, skewed, events)
        return self._save(anomalies, anomalies.on_slice(part, candle, NOW_US))

    def bar(self, candle: Candle) -> list[Alert]:
        anomalies = self.load()
        return self._save(anomalies, anomalies.on_candle(candle, NOW_US))

    def stop(self, start: float, end: float, *, closed: bool) -> None:
        """The ledger tells of a stop, in seconds."""
        anomalies = self.load()
        anomalies.on_stop(us(start), us(end), closed=closed)
        self._save(anomalies, [])

    def advance(self, at: float) -> list[Alert]:
        """Brings the watermark to ``at`` seconds, firing the timers that it passes, each at its time."""
        alerts = []
        while (timer := self.load().next_timer()) is not None and timer <= us(at):
            anomalies = self.load()
            alerts += self._save(anomalies, anomalies.on_watermark(timer, NOW_US))
        return alerts
