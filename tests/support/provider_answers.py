"""What providers that are asked answer, built from their documentation: nothing of them is recorded."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.support.provider_frames import NOW_US

S = 1_000_000
MINUTE_US = 60 * S
PRICES = (100.0, 101.0, 99.5, 100.5)
"""Open, high, low and close of each bar below; their volume is 7."""


def quote_answer(name: str, symbol: str, at_us: int = NOW_US, price: float = 100.5) -> Any:
    """The JSON of an answer with the last price of a symbol, as the provider calls it; of Yahoo without
    bars."""
    if name == "fmp":
        return [
            {"symbol": symbol, "name": "A company", "price": price, "changePercentage": 0.5, "change": 0.5,
             "volume": 46_000_000, "dayLow": 99.0, "dayHigh": 102.0, "open": 100.0, "previousClose": 100.0,
             "timestamp": at_us // S}
        ]  # fmt: skip
    if name == "yahoo":
        return yahoo_answer(symbol, at_us, price, bars=0)
    day = datetime.fromtimestamp(at_us / S, ZoneInfo("America/New_York")).date()
    return {
        "Global Quote": {
            "01. symbol": symbol, "02. open": "100.0", "03. high": "102.0", "04. low": "99.0",
            "05. price": f"{price:.4f}", "06. volume": "46000000", "07. latest trading day": day.isoformat(),
            "08. previous close": "100.0000", "09. change": "0.5000", "10. change percent": "0.5000%",
        }
    }  # fmt: skip


def bars_answer(name: str, symbol: str, at_us: int = NOW_US, bars: int = 3) -> Any:
    """The JSON of an answer with bars of one minute, the last of them the one of ``at_us``."""
    if name == "yahoo":
        return yahoo_answer(symbol, at_us, bars=bars)
    zone = ZoneInfo("US/Eastern")
    starts = [datetime.fromtimestamp(start / S, zone) for start in reversed(starts_us(at_us, bars))]
    values = dict(zip(("1. open", "2. high", "3. low", "4. close"), map(str, PRICES), strict=True))
    return {
        "Meta Data": {
            "1. Information": "Intraday (1min) open, high, low, close prices and volume",
            "2. Symbol": symbol, "3. Last Refreshed": f"{starts[0]:%Y-%m-%d %H:%M:%S}" if starts else "",
            "4. Interval": "1min", "5. Output Size": "Compact", "6. Time Zone": "US/Eastern",
        },
        "Time Series (1min)": {f"{at:%Y-%m-%d %H:%M:%S}": values | {"5. volume": "7"} for at in starts},
    }  # fmt: skip


def yahoo_answer(symbol: str, at_us: int = NOW_US, price: float = 100.5, bars: int = 3) -> Any:
    """Price and bars, which Yahoo has in one answer."""
    starts = [start // S for start in starts_us(at_us, bars)]
    columns = dict(zip(("open", "high", "low", "close"), ([value] * bars for value in PRICES), strict=True))
    close = datetime.fromtimestamp(at_us / S, UTC).replace(hour=21, minute=0, second=0, microsecond=0)
    meta = {
        "currency": "USD", "symbol": symbol, "exchangeTimezoneName": "America/New_York",
        "regularMarketPrice": price, "regularMarketTime": at_us // S, "dataGranularity": "1m",
        "currentTradingPeriod": {
            "regular": {
                "end": round(close.timestamp()), "start": round((close - timedelta(hours=6.5)).timestamp())
            }
        },
    }  # fmt: skip
    result: dict[str, Any] = {"meta": meta, "indicators": {"quote": [columns | {"volume": [7] * bars}]}}
    if bars:
        result["timestamp"] = starts
    return {"chart": {"result": [result], "error": None}}


def starts_us(at_us: int, bars: int) -> list[int]:
    last = at_us - at_us % MINUTE_US
    return [last - index * MINUTE_US for index in reversed(range(bars))]


def good_answer(name: str, path: str, query: dict[str, str], at_us: int) -> Any:
    """What the provider says to a request when all is well."""
    if name == "yahoo":
        return bars_answer(name, path.rpartition("/")[2], at_us)
    if query.get("function") == "TIME_SERIES_INTRADAY":
        return bars_answer(name, query["symbol"], at_us)
    if "symbols" in query:
        return [quote_answer(name, symbol, at_us)[0] for symbol in query["symbols"].split(",")]
    return quote_answer(name, query["symbol"], at_us)
