"""Bars of a provider: whatever the order in which they come, each ends with the indicators of the bars before
it."""

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from random import Random

import pytest

from jobs.domain import provider_bars
from jobs.domain.context import Market
from jobs.domain.indicator_cache import IndicatorCache
from jobs.domain.indicators import DEFAULT, BarValues, Indicators
from jobs.domain.provider_bars import BARS_LEFT, MOST_BARS, ProviderSeries
from jobs.domain.quality import QualityRules
from schemas.events import ProviderBar
from schemas.intervals import MINUTE_US
from schemas.sessions import UtcCalendar
from tests.unit.jobs.builders import DAY_US, START_US

INDICATORS = "sma:3,ema:4,rsi:3,vwap"
MARKET = Market(UtcCalendar(), Indicators(INDICATORS), QualityRules())
Feed = Callable[[Iterable[ProviderBar]], dict[int, ProviderBar]]


def a_bar(minute: int, close: float = 0.0, *, received: int = 0, final: bool = True) -> ProviderBar:
    """A bar whose values follow from its minute, received ``received`` us after it was over."""
    start = START_US + minute * MINUTE_US
    close = close or 100 + math.sin(minute)
    return ProviderBar(
        "AAPL", "yahoo", "1m", start, start + MINUTE_US, close - 0.25, close + 1, close - 1, close,
        10.0 + minute % 7, None, minute % 3 or None, final, start + MINUTE_US + received,
    )  # fmt: skip


def expected(bars: Iterable[ProviderBar], market: Market = MARKET) -> dict[int, ProviderBar]:
    """Start -> the bar as it must be in the end: with the indicators of the domain over the whole series."""
    indicators, state, received = market.indicators, market.indicators.fresh(), 0
    found = {}
    for number, bar in enumerate(sorted(bars, key=lambda bar: bar.start), start=1):
        values = BarValues(bar.high, bar.low, bar.close, bar.volume, bar.start - bar.start % DAY_US)
        received = max(received, bar.received_at)
        shown = indicators.values(state, values)
        indicators.advance(state, values)
        found[bar.start] = replace(bar, version=received + number, indicators=shown)
    return found


def feed(
    bars: Iterable[ProviderBar], market: Market = MARKET, *, due_every: int = 1
) -> tuple[dict[int, ProviderBar], int]:
    """Start -> the greatest version that was published, and how many were; the state goes through its bytes
    with every bar, and what is due is published after every ``due_every``."""
    cache, data, newest, count = IndicatorCache(), None, dict[int, ProviderBar](), 0

    def publish(published: list[ProviderBar]) -> None:
        nonlocal count
        for each in published:
            count += 1
            if each.start not in newest or newest[each.start].version <= each.version:
                newest[each.start] = each

    for number, bar in enumerate(bars, start=1):
        series = provider_bars.load("AAPL", "yahoo", "1m", data)
        publish(series.add(bar, market, cache))
        if number % due_every == 0:
            publish(series.publish_due(market, cache, 10_000))
        data = provider_bars.dump(series)
    series = provider_bars.load("AAPL", "yahoo", "1m", data)
    publish(series.publish_due(market, cache, 10_000))
    return newest, count


def test_bars_in_their_order_have_the_indicators_of_the_domain() -> None:
    """Each is published once; session VWAP begins anew with the day."""
    bars = [a_bar(minute) for minute in range(1430, 1450)]
    assert feed(bars) == (expected(bars), len(bars))
    assert feed(bars)[0][bars[11].start].indicators["session_vwap"] != bars[11].close


def test_a_live_bar_has_provisional_values_each_time_it_changes() -> None:
    """Its newest values count, and the final ones at last."""
    bars = [*(a_bar(minute) for minute in range(5)), a_bar(5, 200.0, final=False, received=-30_000_000)]
    assert feed(bars)[0] == expected(bars)
    final = a_bar(5, 300.0)
    assert feed([*bars, final]) == (expected([*bars[:5], final]), 7)


@pytest.mark.parametrize("due_every", [1, 7, 1000])
def test_the_order_in_which_they_come_changes_nothing_in_the_end(due_every: int) -> None:
    """Backwards, shuffled, with revisions among them; of each bar what was received last."""
    bars = [a_bar(minute) for minute in range(60)]
    revised = [a_bar(minute, 50.0 + minute, received=9_000_000_000) for minute in (0, 17, 59)]
    ends = [next((new for new in revised if new.start == bar.start), bar) for bar in bars]
    shuffled = [*bars, *revised, *bars[::3]]
    Random(7).shuffle(shuffled)
    for order in (bars[::-1] + revised, shuffled):
        assert feed(order, due_every=due_every)[0] == expected(ends)


def test_what_says_the_same_again_changes_nothing() -> None:
    """A poll that brings the whole day each time; nor does what was received before."""
    bars = [a_bar(minute) for minute in range(10)]
    again = [replace(bar, received_at=bar.received_at + 60_000_000) for bar in bars]
    older = replace(bars[4], close=1.0, received_at=bars[4].received_at - 1)
    assert feed([*bars, *again, older]) == (expected(bars), 10)


def test_a_hole_that_is_filled_publishes_what_follows_once() -> None:
    """Not once for each bar that fills it."""
    bars = [a_bar(minute) for minute in range(30)]
    late = [replace(bar, received_at=bars[-1].received_at + 5) for bar in bars[10:20]]
    found, count = feed([*bars[:10], *bars[20:], *late], due_every=1000)
    assert found == expected([*bars[:10], *late, *bars[20:]])
    assert count == 30 + 10  # the ten bars behind the hole


def test_only_so_many_are_published_anew() -> None:
    """Those further on stay as they were."""
    series, cache = ProviderSeries("AAPL", "yahoo", "1m"), IndicatorCache()
    for minute in range(10):
        series.add(a_bar(minute), MARKET, cache)
    [changed] = series.add(a_bar(2, 70.0, received=9_000_000), MARKET, cache)
    assert changed.close == 70.0
    assert series.is_due
    starts = [bar.start for bar in series.publish_due(MARKET, cache, 4)]
    assert starts == [a_bar(minute).start for minute in range(3, 7)]
    assert not series.is_due
    assert series.publish_due(MARKET, cache, 4) == []


def test_a_long_series_goes_on_with_the_state_of_the_bars_that_are_dropped() -> None:
    """The default indicators, the longest over 200 bars; state stays bounded."""
    market = replace(MARKET, indicators=Indicators(DEFAULT))
    bars = [a_bar(minute) for minute in range(2 * MOST_BARS + 50)]
    assert feed(bars, market) == (expected(bars, market), len(bars))
    series, cache = ProviderSeries("AAPL", "yahoo", "1m"), IndicatorCache()
    for bar in bars:
        series.add(bar, market, cache)
    assert BARS_LEFT <= len(series.bars) <= MOST_BARS
    assert len(provider_bars.dump(series)) < 95 * MOST_BARS + 2_000


def test_what_is_due_is_published_before_it_is_dropped() -> None:
    """A whole day before the bars that are there, oldest first, and what is due never published between."""
    bars = [a_bar(minute) for minute in range(MOST_BARS + 120)]
    late = [replace(bar, received_at=bars[-1].received_at + 5) for bar in bars[:-60]]
    order = [*bars[-60:], *late]
    assert feed(order, due_every=10_000)[0] == expected([*late, *bars[-60:]])


def test_a_bar_from_before_those_that_are_held_is_handed_on_without_indicators() -> None:
    """With a version that a bar of the series in its place would exceed."""
    bars = [a_bar(minute) for minute in range(0, 2 * MOST_BARS, 2)]
    hole = a_bar(1)
    found, count = feed([*bars, a_bar(2 * MOST_BARS), hole])
    assert count == MOST_BARS + 2
    assert found.pop(hole.start) == replace(hole, version=hole.received_at)
    assert found == expected([*bars, a_bar(2 * MOST_BARS)])


def test_a_history_from_before_dropped_bars_is_no_part_of_a_series() -> None:
    """While nothing is dropped everything is; afterwards what is not before its first bar."""
    series, cache = ProviderSeries("AAPL", "yahoo", "1m"), IndicatorCache()
    for minute in (5, 3, *range(6, MOST_BARS + 4)):
        assert series.takes(0)
        series.add(a_bar(minute), MARKET, cache)
    series.add(a_bar(MOST_BARS + 4), MARKET, cache)
    read = provider_bars.load("AAPL", "yahoo", "1m", provider_bars.dump(series))
    assert [read.takes(a_bar(minute).start) for minute in (2, 3, 4, MOST_BARS)] == [False, True, True, True]


def test_indicators_of_another_setting_begin_anew() -> None:
    """As with bars of ours; the bars that are held count."""
    series, cache = ProviderSeries("AAPL", "yahoo", "1m"), IndicatorCache()
    for minute in range(MOST_BARS + 1):
        series.add(a_bar(minute), MARKET, cache)
    other = replace(MARKET, indicators=Indicators("sma:3"))
    [bar] = series.add(a_bar(MOST_BARS + 1), other, cache)
    assert bar.indicators == {
        "sma_3": pytest.approx(sum(a_bar(MOST_BARS + n).close for n in (-1, 0, 1)) / 3, rel=1e-15)
    }


def test_state_of_another_layout_is_refused() -> None:
    """Rather than read as what it is not."""
    with pytest.raises(ValueError, match="layout 9"):
        provider_bars.load("AAPL", "yahoo", "1m", b"\x92\x09\x90")
