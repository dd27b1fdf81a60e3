"""What a trade and a quote must be to count: applied before Kafka by the producer, and again by the jobs.

Reasons are stable codes; the dead-letter topic carries them.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

from schemas.errors import PoisonError
from schemas.events import Alert, Candle, Gap, ProviderBar
from schemas.intervals import INTERVALS, MINUTE_US

REASONS: Mapping[str, str] = {
    "not_avro": "the value is not Avro in the Confluent wire format",
    "unknown_schema": "the registry does not know the schema id",
    "wrong_schema": "the schema id belongs to another type of record",
    "invalid_symbol": "the symbol is missing or not one that we take",
    "unknown_symbol": "the symbol is none of those that were asked for",
    "invalid_identity": "trade id, source or sequence is missing, too long or out of range",
    "invalid_price": "a price is not a positive finite number, or implausibly large",
    "invalid_size": "a size is not a finite number of 0 or more, or implausibly large",
    "implausible_time": "the event time is not near the record timestamp, or not in the past",
    "too_late": "the trade or correction came after the horizon within which bars are corrected",
    "invalid_correction": "a correction without the trade it is about, or without its new price and size",
    "unmatched_correction": "a correction whose trade did not come within the horizon",
    "unreadable_row": "a line of a recording could not be parsed",
    "unreadable_frame": "a message of a provider, or an item of one, is not what the provider documents",
}

SYMBOL = re.compile(r"[A-Z0-9^][A-Z0-9.\-/_:^=]{0,31}")
"""Upper case; BRK.B, BRK-B, BTC-USD, BTCUSDT and ^GSPC are all taken as they are."""

MAX_NAME_LENGTH = 256
"""Bound of trade id and source, in characters. They are part of a row's key, and Cassandra refuses every
write whose key is above 64 KiB."""

MAX_AMOUNT = 1e13
"""Bound of size and of price x size. Sums of 900,000 such trades still fit the jobs' 64-bit integers."""

MAX_TIME_SKEW_US = 60_000_000
"""How far an event time may be from its record's timestamp."""

EARLIEST_US = 0
LATEST_US = 253_402_300_800_000_000
"""The end of the year 9999; later bars have no bucket."""

HOUR_US = INTERVALS["1h"]

MAX_WRITE_TIME = 2**63 - 1
"""Bound of a bar's start + version, the timestamp under which its row is written."""


def check_trade(trade: Mapping[str, Any]) -> None:
    """Raises PoisonError for a trade (fields by name) that no bar may see."""
    _check_symbol(trade["symbol"])
    _check_identity(trade)
    price, size = trade["price"], trade["size"]
    _check_price("price", price)
    _check_size("size", size)
    if price * size > MAX_AMOUNT:
        raise PoisonError("invalid_size", f"price x size is {price * size!r}, above {MAX_AMOUNT:g}")
    _check_name("trade_id", trade["trade_id"])


def check_correction(correction: Mapping[str, Any]) -> None:
    """Raises PoisonError for a correction (fields by name) that cannot be applied to any trade."""
    _check_symbol(correction["symbol"])
    _check_identity(correction)
    _check_name("correction_id", correction["correction_id"])
    _check_name("trade_id", correction["trade_id"])
    kind, price, size = correction["kind"], correction["price"], correction["size"]
    if kind not in ("cancel", "correct"):
        raise PoisonError("invalid_correction", f"kind is {kind!r:.100}, neither cancel nor correct")
    if kind == "cancel":
        return
    if price is None or size is None:
        raise PoisonError("invalid_correction", "a correction needs the new price and size")
    _check_price("price", price)
    _check_size("size", size)
    if price * size > MAX_AMOUNT:
        raise PoisonError("invalid_size", f"price x size is {price * size!r}, above {MAX_AMOUNT:g}")


def check_quote(quote: Mapping[str, Any]) -> None:
    """Raises PoisonError for a quote that must not be used. A crossed quote is valid: it says something."""
    _check_symbol(quote["symbol"])
    _check_identity(quote)
    for side in ("bid", "ask"):
        _check_price(side, quote[side])
        _check_size(f"{side}_size", quote[f"{side}_size"])


def check_candle(candle: Candle) -> None:
    """Raises PoisonError for a candle that has no place in the tables."""
    _check_symbol(candle.symbol)
    if (
        candle.interval not in INTERVALS
        or candle.start % MINUTE_US
        or candle.end <= candle.start
        or not EARLIEST_US <= candle.start < LATEST_US
        or not 0 <= candle.version <= MAX_WRITE_TIME - candle.start
    ):
        raise PoisonError(
            "invalid_identity",
            f"no bar {candle.interval} starts at {candle.start} us with version {candle.version}",
        )


def check_alert(alert: Alert) -> None:
    """Raises PoisonError for an alert that has no place in the tables."""
    for name in ("symbol", "alert_id"):
        _check_name(name, getattr(alert, name))
    if not EARLIEST_US <= alert.event_time < LATEST_US or alert.revision < 0:
        raise PoisonError(
            "invalid_identity", f"no alert has event time {alert.event_time} us and revision {alert.revision}"
        )


def check_gap(gap: Gap) -> None:
    """Raises PoisonError for a gap that has no place in the table, or that a reader would not find there:
    none may reach over a full hour of UTC."""
    _check_symbol(gap.symbol)
    _check_name("gap_id", gap.gap_id)
    if not EARLIEST_US <= gap.start < LATEST_US or not gap.start <= gap.end <= gap_limit(gap.start):
        raise PoisonError("invalid_identity", f"no gap is from {gap.start} us to {gap.end} us")


def check_provider_bar(bar: ProviderBar) -> None:
    """Raises PoisonError for a bar of a provider that nobody should see. Open and close may lie outside of
    high and low: some providers append their latest price to a bar."""
    _check_symbol(bar.symbol)
    _check_name("source", bar.source)
    if (
        bar.interval not in INTERVALS
        or bar.start % MINUTE_US
        or not EARLIEST_US <= bar.start < min(bar.end, LATEST_US)
        or not EARLIEST_US <= bar.received_at < LATEST_US
        or not 0 <= bar.version <= MAX_WRITE_TIME
    ):
        raise PoisonError(
            "invalid_identity",
            f"no bar {bar.interval} is from {bar.start} us to {bar.end} us, received at {bar.received_at} us"
            f" with version {bar.version}",
        )
    for name in ("open", "high", "low", "close"):
        _check_price(name, getattr(bar, name))
    if bar.low > bar.high:
        raise PoisonError("invalid_price", f"low {bar.low!r} is above high {bar.high!r}")
    if bar.vwap is not None:
        _check_price("vwap", bar.vwap)
    _check_size("volume", bar.volume)
    if bar.trades is not None and bar.trades < 0:
        raise PoisonError("invalid_size", f"trades is {bar.trades}")


def gap_limit(start_us: int) -> int:
    """The latest end of a gap that starts there: the next full hour of UTC."""
    return start_us - start_us % HOUR_US + HOUR_US


def check_record_time(event_time_us: int, record_timestamp_ms: int) -> None:
    """Raises PoisonError where the event time in the payload is far from the record's timestamp.

    Compares two values of the record, never the wall clock, so that a replay decides the same.
    """
    if event_time_us < EARLIEST_US or abs(event_time_us - record_timestamp_ms * 1000) > MAX_TIME_SKEW_US:
        raise PoisonError(
            "implausible_time",
            f"event time {event_time_us} us, record timestamp {record_timestamp_ms} ms:"
            f" more than {MAX_TIME_SKEW_US // 1_000_000} s apart",
        )


def _check_symbol(symbol: Any) -> None:
    if not isinstance(symbol, str) or not SYMBOL.fullmatch(symbol):
        raise PoisonError("invalid_symbol", f"symbol is {symbol!r:.100}")


def _check_identity(event: Mapping[str, Any]) -> None:
    _check_name("source", event["source"])
    if event["sequence"] < 0:
        raise PoisonError("invalid_identity", f"sequence is {event['sequence']}")


def _check_name(name: str, text: Any) -> None:
    if not text:
        raise PoisonError("invalid_identity", f"{name} is empty")
    if len(text) > MAX_NAME_LENGTH:
        raise PoisonError("invalid_identity", f"{name} has {len(text)} characters, above {MAX_NAME_LENGTH}")


def _check_price(name: str, price: Any) -> None:
    if not isinstance(price, float | int) or not math.isfinite(price) or not 0 < price <= MAX_AMOUNT:
        raise PoisonError("invalid_price", f"{name} is {price!r}")


def _check_size(name: str, size: Any) -> None:
    if not isinstance(size, float | int) or not math.isfinite(size) or not 0 <= size <= MAX_AMOUNT:
        raise PoisonError("invalid_size", f"{name} is {size!r}")
