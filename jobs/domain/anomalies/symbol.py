"""All rules of one symbol's trades and bars, with their state as bytes.

Layout 2: [2, greatest event time, alert book, price window, volume histories, RSI zones, stale feed],
MessagePack of numbers, text and bytes. Layout 1, in which the stale feed knew of no stops, is read, too. With
the default settings 36 bytes when it is new, 2.9 KB with full histories of all intervals, less than 8 KB in
the worst market. To load it, judge a slice with its live bar and save it takes 25 us.
"""

from typing import Self

import msgpack

from jobs.domain.anomalies.alert_book import AlertBook
from jobs.domain.anomalies.clock_skew import ClockSkew
from jobs.domain.anomalies.price_outlier import PriceOutlier
from jobs.domain.anomalies.price_spike import PriceSpike
from jobs.domain.anomalies.rsi_zones import RsiZones
from jobs.domain.anomalies.slice_seen import SliceSeen
from jobs.domain.anomalies.stale_feed import StaleFeed
from jobs.domain.anomalies.thresholds import Thresholds
from jobs.domain.anomalies.volume import Volume
from schemas.events import Alert, Candle
from schemas.sessions import Calendar, UtcCalendar

LAYOUT = 2
READABLE = (1, LAYOUT)


class SymbolAnomalies:
    """State and judgement of one symbol.

    Hand it every slice that its bars accepted, every version of every bar in order of publication, and the
    watermark when ``next_timer`` is due. ``now`` is our clock (us): it becomes ``updated_at`` of the alerts
    and decides nothing.
    """

    def __init__(self, thresholds: Thresholds, calendar: Calendar | None = None) -> None:
        """``calendar`` says when the symbol's market is open; None: always."""
        self._greatest = 0
        self._book = AlertBook(thresholds.cooldown)
        self._spike = PriceSpike(thresholds)
        self._skew = ClockSkew(thresholds)
        self._volume = Volume(thresholds)
        self._rsi = RsiZones(thresholds)
        self._outlier = PriceOutlier(thresholds)
        self._stale = StaleFeed(thresholds, calendar or UtcCalendar())

    def on_slice(self, part: SliceSeen, candle: Candle | None, now: int) -> list[Alert]:
        """Judges a slice; ``candle`` is the version of the 1m bar that it made, if it made one."""
        book, time = self._book, part.event_time
        book.symbol = part.symbol
        self._greatest = max(self._greatest, time)
        book.forget(self._greatest)
        alerts = self._stale.on_slice(part, book, now)
        alerts += self._spike.on_slice(part, candle, book, now)
        alerts += self._skew.on_slice(part, candle, book, now)
        return alerts

    def on_candle(self, candle: Candle, now: int) -> list[Alert]:
        """Judges a version of a bar, live or final."""
        book = self._book
        book.symbol = candle.symbol
        self._greatest = max(self._greatest, candle.start)
        book.forget(self._greatest)
        alerts = self._volume.on_candle(candle, book, now)
        if candle.interval == "1m":
            alerts += self._spike.on_candle(candle, book, now)
            alerts += self._outlier.on_candle(candle, book, now)
        alerts += self._rsi.on_candle(candle, book, now)
        return alerts

    def on_stop(self, start: int, end: int, *, closed: bool) -> None:
        """Takes in that somebody has stopped the symbol, see ``StaleFeed``; ``next_timer`` may change."""
        self._stale.on_stop(start, end, closed=closed)

    def on_watermark(self, watermark_us: int, now: int) -> list[Alert]:
        """Judges what goes by the watermark (us)."""
        return self._stale.on_watermark(watermark_us, self._book, now)

    def next_timer(self) -> int | None:
        """The event time (us) at which ``on_watermark`` must be called next; None: not before the next slice.

        It changes rarely; only when it does a timer must be registered. A call for a timer that has been
        replaced does no harm."""
        return self._stale.timer

    def dump(self) -> bytes:
        """The state's bytes."""
        packed: bytes = msgpack.packb(
            [
                LAYOUT,
                self._greatest,
                self._book.dump(),
                self._spike.window.dump(),
                self._volume.dump(),
                self._rsi.dump(),
                self._stale.dump(),
            ]
        )
        return packed

    @classmethod
    def load(cls, data: bytes | None, thresholds: Thresholds, calendar: Calendar | None = None) -> Self:
        """What ``dump`` gave, or a new one for None. Raises ValueError for an unknown layout."""
        anomalies = cls(thresholds, calendar)
        if data is None:
            return anomalies
        layout, *fields = msgpack.unpackb(data)
        if layout not in READABLE:
            raise ValueError(f"state layout {layout} cannot be read by this version (it reads {LAYOUT})")
        anomalies._greatest, book, window, volume, rsi, stale = fields
        anomalies._book.load(book)
        anomalies._spike.window.load(window)
        anomalies._volume.load(volume)
        anomalies._rsi.load(rsi)
        anomalies._stale.load(stale)
        return anomalies
