"""Indicators: whatever the bars and whatever the state went through, the same bars give the same bits."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.domain.indicators import DEFAULT, BarValues, Indicators, State

SHORT = "sma:3,sma:7,ema:4,rsi:3,macd:2:4:3,bollinger:5:2,vwap,atr:3"
"""Everything is defined after a few bars."""
SETS = {text: Indicators(text) for text in (SHORT, DEFAULT, "rsi:1,atr:1,ema:1,sma:1,macd:1:2:1", "vwap", "")}

prices = st.floats(1e-6, 1e6) | st.integers(1, 5).map(float)
volumes = st.floats(0, 1e9) | st.just(0.0)
sessions = st.integers(0, 2)


def _priced(drawn: tuple[list[float], float, int]) -> BarValues:
    (low, close, high), volume, session = sorted(drawn[0]), drawn[1], drawn[2]
    return BarValues(high, low, close, volume, session)


priced_bars = st.tuples(st.lists(prices, min_size=3, max_size=3), volumes, sessions).map(_priced)
unpriced_bars = st.builds(BarValues, st.none(), st.none(), st.none(), volumes, sessions)
bars = priced_bars | unpriced_bars
bar_lists = st.lists(bars, max_size=40)
sets = st.sampled_from(list(SETS.values()))


def advanced(indicators: Indicators, sequence: list[BarValues]) -> State:
    state = indicators.fresh()
    for bar in sequence:
        indicators.advance(state, bar)
    return state


def bits(values: dict[str, float]) -> dict[str, str]:
    """The values so that equal means equal to the last bit, the sign of a zero included."""
    return {name: value.hex() for name, value in values.items()}


@given(sets, bar_lists, st.data())
def test_a_state_that_was_stored_or_copied_goes_on_bit_by_bit(
    indicators: Indicators, sequence: list[BarValues], data: Any
) -> None:
    """After each bar the state is left alone, copied, or dumped and loaded."""
    plain, moved = indicators.fresh(), indicators.fresh()
    for bar in sequence:
        assert bits(indicators.values(moved, bar)) == bits(indicators.values(plain, bar))
        indicators.advance(plain, bar)
        indicators.advance(moved, bar)
        way = data.draw(st.sampled_from(["stay", "copy", "load"]))
        if way == "copy":
            moved = indicators.copy(moved)
        elif way == "load":
            stored = indicators.dump(moved)
            assert indicators.belongs(stored)
            moved = indicators.load(stored)
        assert moved == plain
        assert indicators.dump(moved) == indicators.dump(plain)


@given(sets, bar_lists, bars, bars)
def test_values_are_those_that_advance_then_makes(
    indicators: Indicators, sequence: list[BarValues], bar: BarValues, unused: BarValues
) -> None:
    """Provisional values of other bars leave no trace; a bar without prices shows what was committed."""
    state = advanced(indicators, sequence)
    before = indicators.dump(state)
    indicators.values(state, unused)
    values = indicators.values(state, bar)
    assert indicators.dump(state) == before
    indicators.advance(state, bar)
    committed = indicators.values(state, BarValues(None, None, None, 0.0, bar.session))
    assert bits(committed) == bits(values)


@given(sets, bar_lists, st.lists(unpriced_bars, min_size=1, max_size=3), priced_bars)
def test_a_bar_without_prices_changes_nothing(
    indicators: Indicators, sequence: list[BarValues], unpriced: list[BarValues], bar: BarValues
) -> None:
    """The state, and every value after it, are as if it had not been."""
    state = advanced(indicators, sequence)
    before = indicators.dump(state)
    expected = indicators.values(state, bar)
    for empty in unpriced:
        indicators.advance(state, empty)
    assert indicators.dump(state) == before
    assert bits(indicators.values(state, bar)) == bits(expected)
    without = [bar for bar in sequence if bar.close is not None]
    assert indicators.dump(advanced(indicators, without)) == before


@given(sets, bar_lists, bar_lists)
def test_copies_are_independent(
    indicators: Indicators, sequence: list[BarValues], more: list[BarValues]
) -> None:
    """What happens to a copy does not happen to the state, and the other way round."""
    state = advanced(indicators, sequence)
    copy, before = indicators.copy(state), indicators.dump(state)
    for bar in more:
        indicators.advance(copy, bar)
    assert indicators.dump(state) == before
    copy = indicators.copy(state)
    for bar in more:
        indicators.advance(state, bar)
    assert indicators.dump(copy) == before
    assert indicators.dump(state) == indicators.dump(advanced(indicators, sequence + more))


@given(st.lists(priced_bars, min_size=8, max_size=40))
def test_values_stay_within_their_bounds(sequence: list[BarValues]) -> None:
    """RSI from 0 to 100, bands around their middle, ranges not negative, averages among their prices."""
    values = SETS[SHORT].values(advanced(SETS[SHORT], sequence[:-1]), sequence[-1])
    assert values.keys() - {"session_vwap"} == set(SETS[SHORT].names) - {"session_vwap"}
    closes = [bar.close for bar in sequence if bar.close is not None]
    rounding = 1 + 1e-12
    assert 0 <= values["rsi_3"] <= 100
    assert values["bollinger_lower_5_2"] <= values["bollinger_middle_5_2"] <= values["bollinger_upper_5_2"]
    assert values["atr_3"] >= 0
    for name, among in {"sma_3": closes[-3:], "sma_7": closes[-7:], "ema_4": closes}.items():
        assert min(among) / rounding <= values[name] <= max(among) * rounding
    histogram = values["macd_2_4_3"] - values["macd_signal_2_4_3"]
    assert values["macd_histogram_2_4_3"] == histogram


@given(st.lists(priced_bars, min_size=1, max_size=20))
def test_session_vwap_is_that_of_the_bars_since_the_session_began(sequence: list[BarValues]) -> None:
    """Against all of them at once; absent exactly when they have no volume."""
    values = SETS["vwap"].values(advanced(SETS["vwap"], sequence[:-1]), sequence[-1])
    mine = []
    for bar in reversed(sequence):
        if bar.session != sequence[-1].session:
            break
        assert bar.high is not None
        assert bar.low is not None
        assert bar.close is not None
        mine.append(((bar.high + bar.low + bar.close) / 3, bar.volume))
    volume = sum(size for _, size in mine)
    if volume:
        naive = sum(price * size for price, size in mine) / volume
        assert values == {"session_vwap": pytest.approx(naive, rel=1e-9)}
    else:
        assert values == {}


@given(st.lists(priced_bars, max_size=40), st.lists(priced_bars, min_size=7, max_size=7))
def test_windows_forget_what_has_left_them(past: list[BarValues], window: list[BarValues]) -> None:
    """To the last bit, whatever came before: no running sum that could drift."""
    windows = Indicators("sma:3,sma:7,bollinger:5:2")
    after, alone = advanced(windows, past + window[:-1]), advanced(windows, window[:-1])
    assert bits(windows.values(after, window[-1])) == bits(windows.values(alone, window[-1]))
