"""What counts as a trade and a quote: just inside and just outside each bound."""

from dataclasses import asdict, replace
from math import inf, nan, nextafter
from typing import Any

import pytest

from schemas.errors import PoisonError
from schemas.events import Candle, Correction, ProviderBar, Quote, Trade
from schemas.validation import (
    MAX_AMOUNT,
    MAX_NAME_LENGTH,
    MAX_TIME_SKEW_US,
    REASONS,
    check_candle,
    check_correction,
    check_provider_bar,
    check_quote,
    check_record_time,
    check_trade,
)

TRADE = asdict(Trade("AAPL", 10**15, 10**15, 187.25, 100.0, "t", 0, "sim"))
CANCEL = asdict(Correction("AAPL", 10**15, 10**15, "c", 0, "sim", "t"))
CORRECTION = CANCEL | {"kind": "correct", "price": 187.5, "size": 50.0}
QUOTE = asdict(Quote("AAPL", 10**15, 10**15, 187.0, 1.0, 187.5, 2.0, 0, "sim"))


def reason(check: Any, event: dict[str, Any], **changes: Any) -> str | None:
    """Why ``check`` refuses the event with these changes; None where it takes it."""
    try:
        check(event | changes)
    except PoisonError as error:
        return error.reason
    return None


def test_every_reason_is_listed_and_in_the_message() -> None:
    """The dead-letter topic carries the code, a reader finds it in the list."""
    with pytest.raises(PoisonError) as refused:
        check_trade(TRADE | {"price": nan})
    assert refused.value.reason in REASONS
    assert str(refused.value) == f"invalid_price: {refused.value.detail}"


@pytest.mark.parametrize(
    "symbol",
    [
        "AAPL",
        "V",
        "BRK.B",
        "BRK-B",
        "BTC-USD",
        "BTCUSDT",
        "7203",
        "X:BTCUSD",
        "A_B",
        "ES=F",
        "A/B",
        "^GSPC",
        "A" * 32,
    ],
)
def test_symbols_of_all_providers_are_taken(symbol: str) -> None:
    """As they are written there."""
    assert reason(check_trade, TRADE, symbol=symbol) is None
    assert reason(check_quote, QUOTE, symbol=symbol) is None


@pytest.mark.parametrize(
    "symbol", [None, "", "aapl", " AAPL", "AAPL ", "AAPL\n", ".A", "A" * 33, "A B", "Ä", 5, b"AAPL"]
)
def test_what_is_no_symbol_is_refused(symbol: object) -> None:
    """Null, empty, lower case, spaces, too long, not text."""
    assert reason(check_trade, TRADE, symbol=symbol) == "invalid_symbol"
    assert reason(check_quote, QUOTE, symbol=symbol) == "invalid_symbol"


@pytest.mark.parametrize("price", [5e-324, 1, 187.25, MAX_AMOUNT])
def test_positive_finite_prices_are_taken(price: float) -> None:
    """From the least double to the bound, whole numbers too."""
    assert reason(check_trade, TRADE, price=price, size=0.0) is None
    assert reason(check_quote, QUOTE, bid=price) is None
    assert reason(check_quote, QUOTE, ask=price) is None


@pytest.mark.parametrize("price", [0, 0.0, -0.0, -1.5, nan, inf, -inf, nextafter(MAX_AMOUNT, inf), None, "1"])
def test_other_prices_are_refused(price: object) -> None:
    """Zero, negative, not finite, too large, no number."""
    assert reason(check_trade, TRADE, price=price) == "invalid_price"
    assert reason(check_quote, QUOTE, bid=price) == "invalid_price"
    assert reason(check_quote, QUOTE, ask=price) == "invalid_price"


@pytest.mark.parametrize("size", [0, 0.0, 1e-9, 100, MAX_AMOUNT])
def test_sizes_of_zero_and_more_are_taken(size: float) -> None:
    """A venue may report a price without a size."""
    assert reason(check_trade, TRADE, price=1.0, size=size) is None
    assert reason(check_quote, QUOTE, bid_size=size) is None
    assert reason(check_quote, QUOTE, ask_size=size) is None


@pytest.mark.parametrize("size", [-1e-300, -1, nan, inf, nextafter(MAX_AMOUNT, inf), None, "1"])
def test_other_sizes_are_refused(size: object) -> None:
    """Negative, not finite, too large, no number."""
    assert reason(check_trade, TRADE, price=1.0, size=size) == "invalid_size"
    assert reason(check_quote, QUOTE, bid_size=size) == "invalid_size"
    assert reason(check_quote, QUOTE, ask_size=size) == "invalid_size"


def test_price_times_size_is_bounded_too() -> None:
    """Sums must fit 64-bit integers."""
    assert reason(check_trade, TRADE, price=1e6, size=1e7) is None
    assert reason(check_trade, TRADE, price=1e6, size=nextafter(1e7, inf)) == "invalid_size"


@pytest.mark.parametrize(
    "change", [{"trade_id": ""}, {"trade_id": None}, {"source": ""}, {"source": None}, {"sequence": -1}]
)
def test_a_trade_needs_its_identity(change: dict[str, Any]) -> None:
    """Id, source and sequence tell it from all others."""
    assert reason(check_trade, TRADE, **change) == "invalid_identity"


@pytest.mark.parametrize("correction", [CANCEL, CORRECTION], ids=["cancel", "correct"])
def test_a_correction_needs_its_identity_and_that_of_its_trade(correction: dict[str, Any]) -> None:
    """Ids of both, within their bounds, source, sequence and symbol."""
    assert reason(check_correction, correction) is None
    assert reason(check_correction, correction, correction_id="x" * MAX_NAME_LENGTH) is None
    for change in (
        {"correction_id": ""}, {"correction_id": None}, {"correction_id": "x" * (MAX_NAME_LENGTH + 1)},
        {"trade_id": ""}, {"trade_id": None}, {"trade_id": "x" * (MAX_NAME_LENGTH + 1)},
        {"source": ""}, {"sequence": -1},
    ):  # fmt: skip
        assert reason(check_correction, correction, **change) == "invalid_identity", change
    assert reason(check_correction, correction, symbol="aapl") == "invalid_symbol"


@pytest.mark.parametrize("kind", ["", "CANCEL", "bust", None, 1])
def test_a_correction_cancels_or_corrects(kind: object) -> None:
    """Nothing else: an unknown kind must not be taken for either."""
    assert reason(check_correction, CORRECTION, kind=kind) == "invalid_correction"


def test_a_correction_says_the_new_price_and_size() -> None:
    """Both of them, with the bounds of a trade's."""
    assert reason(check_correction, CORRECTION, price=None) == "invalid_correction"
    assert reason(check_correction, CORRECTION, size=None) == "invalid_correction"
    assert reason(check_correction, CORRECTION, size=0.0) is None
    for price in (0.0, -1.0, nan, inf, "1"):
        assert reason(check_correction, CORRECTION, price=price) == "invalid_price"
    for size in (-1.0, nan, inf, "1"):
        assert reason(check_correction, CORRECTION, size=size) == "invalid_size"
    assert reason(check_correction, CORRECTION, price=1e6, size=1e7) is None
    assert reason(check_correction, CORRECTION, price=1e6, size=nextafter(1e7, inf)) == "invalid_size"


def test_what_a_cancel_says_of_price_and_size_is_not_looked_at() -> None:
    """Some providers repeat the trade's own, whatever they were."""
    assert reason(check_correction, CANCEL, price=nan, size=-1.0) is None


def test_a_quote_needs_source_and_sequence_and_may_be_crossed() -> None:
    """A bid above the ask says something about the market."""
    assert reason(check_quote, QUOTE, source="") == "invalid_identity"
    assert reason(check_quote, QUOTE, sequence=-1) == "invalid_identity"
    assert reason(check_quote, QUOTE, sequence=0, bid=188.0, ask=187.0) is None


def test_event_time_and_record_timestamp_must_agree() -> None:
    """Up to and including the bound, before and after."""
    record_ms = 1_723_204_800_000

    def times(check_us: int) -> str | None:
        return reason(lambda _: check_record_time(check_us, record_ms), {})

    assert times(record_ms * 1000) is None
    assert times(record_ms * 1000 + MAX_TIME_SKEW_US) is None
    assert times(record_ms * 1000 - MAX_TIME_SKEW_US) is None
    assert times(record_ms * 1000 + MAX_TIME_SKEW_US + 1) == "implausible_time"
    assert times(record_ms * 1000 - MAX_TIME_SKEW_US - 1) == "implausible_time"


def test_a_time_before_1970_is_refused_whatever_the_record_says() -> None:
    """1970 itself is taken where the record's timestamp agrees."""
    check_record_time(0, 0)
    with pytest.raises(PoisonError, match="implausible_time"):
        check_record_time(-1, 0)


def a_candle(
    symbol: str = "AAPL", interval: str = "5m", start: int = 300_000_000, version: int = 0
) -> Candle:
    return Candle(symbol, interval, start, start + 1, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1, False, version)


def test_a_bar_needs_a_symbol_an_interval_a_start_on_a_minute_an_end_and_a_version() -> None:
    """What the tables could not hold, or would hold in a place where nobody looks. Sessions begin at any
    minute: not every 4h bar starts on the grid of the day."""
    check_candle(a_candle())
    check_candle(a_candle(interval="4h", start=240_000_000))
    for refused in (
        a_candle(interval="2m"),
        a_candle(start=300_000_001),
        replace(a_candle(), end=300_000_000),
        a_candle(version=-1),
    ):
        with pytest.raises(PoisonError, match="invalid_identity"):
            check_candle(refused)
    with pytest.raises(PoisonError, match="invalid_symbol"):
        check_candle(a_candle(symbol="aapl"))


PROVIDER_BAR = ProviderBar(
    "AAPL", "yahoo", "1d", 300_000_000, 300_000_001, 1.0, 2.0, 0.5, 1.5, 0.0, None, None, False, 9
)


def test_a_provider_bar_may_close_outside_of_its_range_but_not_be_nonsense() -> None:
    """Some providers append their latest price to a bar."""
    for good in (PROVIDER_BAR, replace(PROVIDER_BAR, close=3.0, vwap=1.25, trades=0, version=9)):
        check_provider_bar(good)
    for changes, reason in (
        ({"symbol": "aapl"}, "invalid_symbol"),
        ({"source": ""}, "invalid_identity"),
        ({"interval": "2m"}, "invalid_identity"),
        ({"start": 300_000_001, "end": 400_000_000}, "invalid_identity"),
        ({"end": 300_000_000}, "invalid_identity"),
        ({"received_at": -1}, "invalid_identity"),
        ({"version": -1}, "invalid_identity"),
        ({"open": nan}, "invalid_price"),
        ({"close": 0.0}, "invalid_price"),
        ({"low": 2.5}, "invalid_price"),
        ({"vwap": -1.0}, "invalid_price"),
        ({"volume": inf}, "invalid_size"),
        ({"trades": -1}, "invalid_size"),
    ):
        with pytest.raises(PoisonError) as refused:
            check_provider_bar(replace(PROVIDER_BAR, **changes))
        assert refused.value.reason == reason, changes
