"""Yahoo Finance, ``https://query1.finance.yahoo.com/v8/finance/chart/AAPL``: last prices and bars, without a
key and without a promise: the API is not a public one.

* ``chart.result[0]`` has ``meta`` (``symbol``, ``regularMarketPrice`` and its time in seconds,
  ``dataGranularity``), ``timestamp`` and ``indicators.quote[0]`` with ``open``, ``high``, ``low``, ``close``
  and ``volume``, one value for each timestamp; all null where nothing was traded.
* The price is a snapshot, no trade: a quote whose bid and ask are the last price, without sizes.
* The last row may be the latest price, put at the end as if it were a bar: at a time at which none begins, or
  at the close, without volume.
* What is wrong is in ``chart.error``, or in ``finance.error``: ``Not Found`` for a symbol, with status 404.
* 1m reaches 8 days back, 2m to 90m 60, 1h 730. ``BRK-B`` is ``BRK.B``. Who asks too often gets 429.

Nothing of this has been proven against recorded messages: there are none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

from producer.providers.contract import (
    Complaint,
    Frame,
    Item,
    Parsed,
    Poll,
    RateLimited,
    Signal,
    SymbolRefused,
    What,
)
from producer.providers.http import Request
from producer.providers.provider_bars import interval_of, is_final
from producer.providers.reading import UNREADABLE, mapping, number, read, shown, text, whole
from producer.providers.request_gate import RequestLimits
from producer.providers.snapshots import last_price
from producer.symbols import ProviderNames
from schemas.errors import PoisonError
from schemas.events import ProviderBar, Quote
from schemas.intervals import INTERVALS

PRICES = ("open", "high", "low", "close")
S = 1_000_000
BACK_S, REACH_S = 7200, 3 * 86_400
"""How far before what is known the bars that are asked for begin: those may still change. And how far they go
back at most, over a weekend; what is older is for a backfill."""

HALF_HOUR_S = 1800
"""Hours begin where trading begins: in New York at half past nine."""


@dataclass(frozen=True, slots=True)
class Yahoo:
    """See ``producer.providers.contract.PolledAdapter``. ``bars``: the interval of those that are asked for,
    or none."""

    url: str
    names: ProviderNames
    limits: RequestLimits
    every_s: float
    bars: str = "1m"
    name: str = "yahoo"
    kind: Literal["trades", "quotes"] = "quotes"
    key_setting: str = ""
    url_setting: str = "YAHOO_URL"
    secrets: Sequence[str] = ()
    delay_ms: int = 0

    def polls(self, symbols: Sequence[str], now_us: int, known_us: Mapping[str, int]) -> Sequence[Poll]:
        now_s = now_us // S
        what: What = "quotes" if self.bars == "none" else "quotes_and_bars"
        polls = []
        for symbol in symbols:
            begin_s = max(now_s - REACH_S, known_us.get(symbol, 0) // S - BACK_S)
            polls.append(Poll(self.chart(symbol, begin_s, now_s + 60), what, (symbol,)))
        return polls

    def chart(self, symbol: str, begin_s: int, end_s: int) -> Request:
        """The price of one of our symbols now, and its bars that begin in a time."""
        query = {
            "interval": "1d" if self.bars == "none" else self.bars,
            "period1": str(begin_s),
            "period2": str(end_s),
            "includePrePost": "true",
        }
        name = quote(self.names.theirs(symbol), safe="")
        return Request(f"{self.url.rstrip('/')}/{name}", query)

    def parse(self, frame: Frame) -> Parsed:
        return read(self.name, frame, _items, lambda item, index: self._item(item, frame, index))

    def _item(self, item: Mapping[str, Any], frame: Frame, index: int) -> Item:
        if "error" in item:
            return _error(item["error"])
        if "start" not in item:
            return self._quote(item, frame, index)
        asked_for = frame.reply is None or frame.reply.what != "quotes"
        return self._bar(item, frame) if asked_for and not _no_bar(item) else None

    def _quote(self, meta: Mapping[str, Any], frame: Frame, index: int) -> Quote:
        return last_price(
            self.names.ours(text(meta, "symbol", "invalid_symbol")),
            number(meta, "regularMarketPrice", "invalid_price"),
            whole(meta, "regularMarketTime", "implausible_time") * S,
            source=self.name,
            frame=frame,
            index=index,
        )

    def _bar(self, row: Mapping[str, Any], frame: Frame) -> ProviderBar:
        start = whole(row, "start", "implausible_time") * S
        interval = interval_of(row["interval"])
        end = start + INTERVALS[interval]
        opened, high, low, close = (number(row, name, "invalid_price") for name in PRICES)
        return ProviderBar(
            symbol=self.names.ours(text(row, "symbol", "invalid_symbol")),
            source=self.name,
            interval=interval,
            start=start,
            end=end,
            open=opened,
            high=high,
            low=low,
            close=close,
            volume=number(row, "volume", "invalid_size"),
            vwap=None,
            trades=None,
            final=is_final(end, frame.received_us, newest=row["newest"]),
            received_at=frame.received_us,
        )


def _items(document: Any) -> Sequence[Any]:
    """The price, then the bars, each with what all of them share; or an error."""
    document = mapping(document)
    chart = mapping(document.get("chart") or document.get("finance"))
    if chart.get("error") is not None:
        return ({"error": chart["error"]},)
    results = chart.get("result")
    if not isinstance(results, list) or len(results) != 1:
        raise PoisonError(UNREADABLE, f"result is {shown(results)}, not a list of one")
    result = mapping(results[0])
    meta = mapping(result.get("meta"))
    return [{key: value for key, value in meta.items() if key != "start"}, *_rows(meta, result)]


def _rows(meta: Mapping[str, Any], result: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    starts = result.get("timestamp")
    if starts is None:
        return ()  # no bars in this time
    quotes = mapping(result.get("indicators")).get("quote")
    if not isinstance(quotes, list) or len(quotes) != 1:
        raise PoisonError(UNREADABLE, f"indicators.quote is {shown(quotes)}, not a list of one")
    columns = [starts, *(mapping(quotes[0]).get(name) for name in (*PRICES, "volume"))]
    if not all(isinstance(column, list) and len(column) == len(starts) for column in columns):
        raise PoisonError(UNREADABLE, "the columns of bars are not lists of one length")
    shared = {
        "symbol": meta.get("symbol"),
        "interval": meta.get("dataGranularity"),
        "closes": _closes(meta),
    }
    last = len(starts) - 1
    return [
        {**shared, "newest": index == last, **dict(zip(("start", *PRICES, "volume"), row, strict=True))}
        for index, row in enumerate(zip(*columns, strict=True))
    ]


def _closes(meta: Mapping[str, Any]) -> Any:
    """The end of the regular session (s); None where it is not said."""
    inner: Any = meta
    for name in ("currentTradingPeriod", "regular", "end"):
        inner = inner.get(name) if isinstance(inner, dict) else None
    return inner


def _no_bar(row: Mapping[str, Any]) -> bool:
    """Whether nothing was traded, or the row is the latest price at the end of the list."""
    prices = [row[name] for name in PRICES]
    if all(price is None for price in prices):
        return True
    start = row["start"]
    if not row["newest"] or not isinstance(start, int):
        return False
    if start % min(HALF_HOUR_S, INTERVALS[interval_of(row["interval"])] // S):
        return True
    return start == row["closes"] and not row["volume"] and all(price == prices[0] for price in prices)


def _error(error: object) -> Signal:
    code = error.get("code") if isinstance(error, dict) else None
    said = error.get("description") if isinstance(error, dict) else error
    detail = f"{shown(said)} ({shown(code)})"
    if code == "Not Found":
        return SymbolRefused("", detail)
    return RateLimited(detail) if code == "Too Many Requests" else Complaint(detail)
