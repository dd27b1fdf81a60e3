"""The comparison of a provider's bars with ours, against numbers worked out by hand."""

from datetime import UTC, datetime, timedelta

import pytest

from api import comparison
from api.comparison_models import BarCounts, Delay, PriceAgreement, VolumeAgreement
from api.models import Candle
from api.times import to_micros

NINE = datetime(2026, 3, 17, 9, tzinfo=UTC)


def a_bar(
    minute: int, close: float | None, *, volume: float = 0.0, final: bool = True, late: float = 0.0
) -> Candle:
    """A bar that opens, peaks and closes at one price; received ``late`` seconds after its end."""
    start = NINE + timedelta(minutes=minute)
    end = start + timedelta(minutes=1)
    return Candle(
        symbol="A", interval="1m", start=start, end=end, open=close, high=close, low=close, close=close,
        volume=volume, notional=None, vwap=None, trades=None, final=final, version=1, sources=[],
        late_trades=None, updated_at=end + timedelta(seconds=late), quality=None, observed=None,
    )  # fmt: skip


def test_only_bars_that_are_final_on_both_sides_are_compared() -> None:
    """A live one counts on neither side."""
    ours = [a_bar(0, 1.0), a_bar(1, 1.0), a_bar(2, 1.0, final=False), a_bar(3, 1.0)]
    theirs = [a_bar(1, 2.0), a_bar(2, 2.0), a_bar(3, 2.0, final=False), a_bar(4, 2.0)]
    assert comparison.pairs(ours, theirs) == [(ours[1], theirs[0])]
    assert comparison.counts(ours, theirs) == BarCounts(both=1, only_ours=2, only_theirs=2)


def test_prices_agree_as_far_as_their_relative_differences() -> None:
    """Of 200: 0, 0.0001 (5e-7, equal), 0.1 (5e-4, close) and 2 (1e-2, neither), above or below alike."""
    ours = [a_bar(minute, 200.0) for minute in range(4)]
    theirs = [a_bar(n, close) for n, close in enumerate((200.0, 199.9999, 200.1, 198.0))]
    found = comparison.prices(comparison.pairs(ours, theirs))
    expected = PriceAgreement(
        max_difference=0.01, mean_difference=(5e-7 + 5e-4 + 1e-2) / 4, equal_share=0.5, close_share=0.75
    )
    for price in ("open", "high", "low", "close"):
        agreement = found[price]
        assert agreement is not None
        assert agreement.model_dump() == pytest.approx(expected.model_dump(), rel=1e-6)


def test_each_price_is_compared_by_itself() -> None:
    """A high that differs says nothing of the close."""
    our = a_bar(0, 100.0)
    found = comparison.prices([(our, our.model_copy(update={"high": 110.0}))])
    assert {name: value and value.max_difference for name, value in found.items()} == {
        "open": 0.0, "high": pytest.approx(0.1), "low": 0.0, "close": 0.0
    }  # fmt: skip


def test_a_price_that_ours_does_not_have_is_not_compared() -> None:
    """No trade has set one; without any pair nothing is said."""
    pairs = [(a_bar(0, None), a_bar(0, 5.0)), (a_bar(1, 4.0), a_bar(1, 5.0))]
    close = comparison.prices(pairs)["close"]
    assert close == PriceAgreement(
        max_difference=0.25, mean_difference=0.25, equal_share=0.0, close_share=0.0
    )
    assert set(comparison.prices(pairs[:1]).values()) == {None}
    assert set(comparison.prices([]).values()) == {None}


def test_the_volume_ratio_is_theirs_to_ours() -> None:
    """Over the compared bars; unknown where ours is 0."""
    pairs = [
        (a_bar(0, 1.0, volume=2.0), a_bar(0, 1.0, volume=30.0)),
        (a_bar(1, 1.0, volume=3.0), a_bar(1, 1.0)),
    ]
    assert comparison.volume(pairs) == VolumeAgreement(ours=5.0, theirs=30.0, ratio=6.0)
    nothing = [(a_bar(0, 1.0), a_bar(0, 1.0, volume=7.0))]
    assert comparison.volume(nothing) == VolumeAgreement(ours=0.0, theirs=7.0, ratio=None)
    assert comparison.volume([]) == VolumeAgreement(ours=0, theirs=0, ratio=None)


def test_the_delay_is_from_the_end_of_a_final_bar_to_its_receipt() -> None:
    """Median and greatest of 2, 3, 10 and 1 s; the live bar has no delay, but is the newest one."""
    theirs = [
        *(a_bar(minute, 1.0, late=late) for minute, late in enumerate((2.0, 3.0, 10.0, 1.0))),
        a_bar(4, 1.0, final=False, late=-30.0),
    ]
    now = to_micros(NINE + timedelta(minutes=7, seconds=1.5))
    assert comparison.delay(theirs, now) == Delay(
        newest_bar=theirs[4].start, newest_bar_age_seconds=121.5, p50_seconds=2.5, max_seconds=10.0
    )
    growing = to_micros(theirs[4].start)
    assert comparison.delay(theirs, growing).newest_bar_age_seconds == 0.0
    assert comparison.delay([], now) == Delay(
        newest_bar=None, newest_bar_age_seconds=None, p50_seconds=None, max_seconds=None
    )
