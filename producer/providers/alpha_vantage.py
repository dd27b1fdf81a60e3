"""Alpha Vantage, ``https://www.alphavantage.co/query``: last prices and intraday bars of stocks, with a key.

* ``function=GLOBAL_QUOTE`` is ``{"Global Quote": {"01. symbol","05. price","07. latest trading day",..}}``,
  texts for numbers, ``{}`` for a symbol that is not known. The volume is the day's, and there is **no time of
  day**: the price is one of the moment in which it is asked for, but never later than the close in New York
  of its day. A snapshot, no trade: a quote whose bid and ask are the last price, without sizes.
* ``function=TIME_SERIES_INTRADAY`` is ``"Time Series (1min)"``: bars by their start, the newest first, in the
  local time of ``"6. Time Zone"``, across daylight saving. A minute without trades is not there.
* A free key has 25 requests a day, 5 a minute. What is wrong is said with status 200: ``Note`` and
  ``Information`` (the limits, what the plan lacks, both with the key in them), ``Error Message`` (a symbol
  that is not known, a key that is none).

Nothing of this has been proven against recorded messages: there are none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Any, Literal
from zoneinfo import ZoneInfo

from producer.providers.contract import (
    Complaint,
    Frame,
    Item,
    KeyRefused,
    Parsed,
    PlanRefused,
    Poll,
    RateLimited,
    Signal,
    SymbolRefused,
)
from producer.providers.http import Request
from producer.providers.provider_bars import interval_of, is_final
from producer.providers.reading import UNREADABLE, mapping, number, read, shown, text, words
from producer.providers.request_gate import RequestLimits
from producer.providers.snapshots import last_price
from producer.symbols import ProviderNames
from schemas.errors import PoisonError
from schemas.events import ProviderBar, Quote
from schemas.intervals import INTERVALS

NEW_YORK = ZoneInfo("America/New_York")
CLOSE = time(16)
ZONES = {"US/Eastern": NEW_YORK, "America/New_York": NEW_YORK, "UTC": UTC}
INTERVAL_NAMES = {"1m": "1min", "5m": "5min", "15m": "15min", "1h": "60min"}
WORDS = ("Note", "Information", "Error Message")
OF_LIMITS = ("rate limit", "call frequency", "call volume", "sparingly")
SHORT = ("per minute", "per second")
DAILY_PAUSE_S = 3600.0
"""After the day's requests are used up: at some time the next day begins."""

_Row = tuple[str, Any]


@dataclass(frozen=True, slots=True)
class AlphaVantage:
    """See ``producer.providers.contract.PolledAdapter``. ``bars``: the interval of those that are asked for,
    or none."""

    url: str
    names: ProviderNames
    key: str = field(repr=False)
    limits: RequestLimits
    every_s: float
    bars: str = "1m"
    name: str = "alpha_vantage"
    kind: Literal["trades", "quotes"] = "quotes"
    key_setting: str = "ALPHA_VANTAGE_API_KEY"
    url_setting: str = "ALPHA_VANTAGE_URL"
    delay_ms: int = 0

    @property
    def secrets(self) -> Sequence[str]:
        return (self.key,)

    def polls(self, symbols: Sequence[str], *_: object) -> Sequence[Poll]:
        polls = []
        for symbol in symbols:
            polls.append(Poll(self.request("GLOBAL_QUOTE", symbol), "quotes", (symbol,)))
            if self.bars != "none":
                intraday = self.request(
                    "TIME_SERIES_INTRADAY", symbol, interval=INTERVAL_NAMES[self.bars], outputsize="compact"
                )
                polls.append(Poll(intraday, "bars", (symbol,)))
        return polls

    def parse(self, frame: Frame) -> Parsed:
        return read(self.name, frame, _items, lambda item, index: self._item(item, frame, index))

    def request(self, function: str, symbol: str, **more: str) -> Request:
        """Of one of its functions for one of our symbols."""
        query = {"function": function, "symbol": self.names.theirs(symbol), **more}
        return Request(self.url, query, {"apikey": self.key})

    def _item(self, item: Any, frame: Frame, index: int) -> Item:
        for word in WORDS:
            if word in item:
                return _said(item[word])
        if "start" in item:
            return self._bar(item, frame)
        return self._quote(item["quote"], frame, index)

    def _quote(self, quote: Mapping[str, Any], frame: Frame, index: int) -> Quote:
        closed = _close(text(quote, "07. latest trading day", "implausible_time"))
        return last_price(
            self.names.ours(text(quote, "01. symbol", "invalid_symbol")),
            number(quote, "05. price", "invalid_price"),
            min(frame.received_us, closed),
            source=self.name,
            frame=frame,
            index=index,
        )

    def _bar(self, row: Mapping[str, Any], frame: Frame) -> ProviderBar:
        values = mapping(row["values"])
        interval = interval_of(row["interval"])
        start = _start(row["start"], row["zone"])
        end = start + INTERVALS[interval]
        return ProviderBar(
            symbol=self.names.ours(text(row, "symbol", "invalid_symbol")),
            source=self.name,
            interval=interval,
            start=start,
            end=end,
            open=number(values, "1. open", "invalid_price"),
            high=number(values, "2. high", "invalid_price"),
            low=number(values, "3. low", "invalid_price"),
            close=number(values, "4. close", "invalid_price"),
            volume=number(values, "5. volume", "invalid_size"),
            vwap=None,
            trades=None,
            final=is_final(end, frame.received_us, newest=row["newest"]),
            received_at=frame.received_us,
        )


def _items(document: Any) -> Sequence[Any]:
    """A quote, bars each with what all of them share, or something that is said."""
    document = mapping(document)
    if any(word in document for word in WORDS):
        return (document,)
    for name, value in document.items():
        if name.startswith("Global Quote"):  # "Global Quote - DATA DELAYED BY 15 MINUTES"
            return [{"quote": mapping(value)}] if value else ()
        if name.startswith("Time Series"):
            return _rows(mapping(document.get("Meta Data")), mapping(value))
    raise PoisonError(UNREADABLE, "neither a quote nor bars")


def _rows(meta: Mapping[str, Any], series: Mapping[str, Any]) -> Sequence[Any]:
    newest = max(series, default="")
    shared = {
        "symbol": _of(meta, "Symbol"),
        "interval": _of(meta, "Interval"),
        "zone": _of(meta, "Time Zone"),
    }
    return [
        {**shared, "start": start, "values": values, "newest": start == newest}
        for start, values in series.items()
    ]


def _of(meta: Mapping[str, Any], name: str) -> Any:
    """A value whose name is numbered, differently from function to function."""
    return next((value for key, value in meta.items() if key.endswith(name)), None)


def _start(text_: str, zone: Any) -> int:
    known = ZONES.get(zone) if isinstance(zone, str) else None
    if known is None:
        raise PoisonError("implausible_time", f"the time zone is {shown(zone)}")
    try:
        local = datetime.fromisoformat(text_)
    except ValueError:
        raise PoisonError("implausible_time", f"a bar begins at {shown(text_)}") from None
    return round(local.replace(tzinfo=known).timestamp() * 1_000_000)


def _close(day: str) -> int:
    """The close in New York (us)."""
    try:
        closes = datetime.combine(date.fromisoformat(day), CLOSE, NEW_YORK)
    except ValueError:
        raise PoisonError("implausible_time", f"the latest trading day is {shown(day)}") from None
    return round(closes.timestamp() * 1_000_000)


def _said(said: object) -> Signal:
    told, detail = words(said), shown(said)
    if any(word in told for word in OF_LIMITS):
        daily = "per day" in told and not any(word in told for word in SHORT)
        return RateLimited(detail, DAILY_PAUSE_S if daily else None)
    if "premium" in told:
        return PlanRefused(detail)
    if "apikey" in told or "api key" in told:
        return KeyRefused(detail)
    return SymbolRefused("", detail) if "invalid api call" in told else Complaint(detail)
