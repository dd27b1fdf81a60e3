"""The rules of one symbol's quotes: crossed_quote, a bid above the ask. A locked market (bid = ask) is fine.

A slice that has some is reported, as a matter of its minute. Severity by what the latest quote shows: low
where it is not crossed any more, medium where it is, high where the bid is above the ask by more than
``crossed_percent`` of the mid price, critical from ten times that on.

State, layout 1: [1, alert book, latest quote, quotes, crossed], MessagePack, some 0.2 KB.
"""

from dataclasses import astuple
from typing import Self

import msgpack

from jobs.domain.anomalies.alert_book import SEVERITIES, AlertBook, Finding
from jobs.domain.anomalies.thresholds import Thresholds
from schemas.events import Alert, Quote, Severity
from schemas.intervals import MINUTE_US

TYPE = "crossed_quote"
LAYOUT = 1


class QuoteAnomalies:
    """State and judgement of one symbol. ``latest`` is the latest quote by (event time, sequence), ``quotes``
    and ``crossed`` count all so far."""

    def __init__(self, thresholds: Thresholds) -> None:
        self._thresholds = thresholds
        self._book = AlertBook(thresholds.cooldown)
        self.latest: Quote | None = None
        self.quotes = 0
        self.crossed = 0

    @property
    def spread(self) -> float | None:
        """Ask - bid of the latest quote; negative where it is crossed, None while there is none."""
        return None if self.latest is None else self.latest.ask - self.latest.bid

    @property
    def mid(self) -> float | None:
        """Half way between bid and ask of the latest quote; None while there is none."""
        return None if self.latest is None else (self.latest.bid + self.latest.ask) / 2

    def on_quotes(self, latest: Quote, quotes: int, crossed: int, now: int) -> list[Alert]:
        """Judges a slice of quotes, ``crossed`` of them with a bid above the ask; ``latest`` is its last
        one."""
        book = self._book
        book.symbol = latest.symbol
        self.quotes += quotes
        self.crossed += crossed
        if self.latest is None or _order(latest) >= _order(self.latest):
            self.latest = latest
        book.forget(self.latest.event_time)
        if crossed <= 0:
            return []
        minute = latest.event_time - latest.event_time % MINUTE_US
        finding = Finding(
            type=TYPE,
            interval=None,
            time=minute,
            at=latest.event_time,
            until=minute + MINUTE_US + self._thresholds.cooldown,
            severity=self._severity(latest),
            value=float(crossed),
            threshold=0.0,
            message=f"{crossed} of {quotes} quotes of {latest.source} have a bid above their ask,"
            f" the latest {latest.bid:g} / {latest.ask:g}",
        )
        return book.report(finding, now)

    def _severity(self, latest: Quote) -> Severity:
        """Compared as products, as the mid price is."""
        depth = (latest.bid - latest.ask) * 100
        limit = self._thresholds.crossed_percent * (latest.bid + latest.ask) / 2
        return SEVERITIES[(depth > 0) + (depth > limit) + (depth >= 10 * limit)] if depth > 0 else "low"

    def dump(self) -> bytes:
        """The state's bytes."""
        latest = None if self.latest is None else astuple(self.latest)
        packed: bytes = msgpack.packb([LAYOUT, self._book.dump(), latest, self.quotes, self.crossed])
        return packed

    @classmethod
    def load(cls, data: bytes | None, thresholds: Thresholds) -> Self:
        """What ``dump`` gave, or a new one for None. Raises ValueError for an unknown layout."""
        anomalies = cls(thresholds)
        if data is None:
            return anomalies
        layout, *fields = msgpack.unpackb(data)
        if layout != LAYOUT:
            raise ValueError(f"state layout {layout} cannot be read by this version (it reads {LAYOUT})")
        book, latest, anomalies.quotes, anomalies.crossed = fields
        anomalies._book.load(book)
        anomalies.latest = None if latest is None else Quote(*latest)
        return anomalies


def _order(quote: Quote) -> tuple[int, int]:
    return quote.event_time, quote.sequence
