"""Indicators that carry numbers on from bar to bar.

Each has a state type of its own: an immutable tuple of numbers, and ``layout`` says in struct's letters how
they are stored (q a 64-bit integer, d a double). ``step`` makes the next state out of the last one.
"""

from abc import ABC, abstractmethod
from typing import Generic, NamedTuple, TypeVar

from jobs.domain.indicators.averages import exponential, wilder
from jobs.domain.indicators.bar_values import PricedBar

S = TypeVar("S", bound=tuple[float, ...])


class RecursiveIndicator(ABC, Generic[S]):
    """An indicator whose next state is made of its last one and a bar."""

    names: tuple[str, ...]
    layout: str
    fresh: S

    @abstractmethod
    def step(self, state: S, bar: PricedBar) -> S:
        """The state after one more bar."""

    @abstractmethod
    def read(self, state: S) -> tuple[float | None, ...]:
        """The values, in the order of ``names``; None for what is not defined yet."""


class EmaState(NamedTuple):
    """``average`` is the sum of the closes until there are enough."""

    bars: int = 0
    average: float = 0.0


class Ema(RecursiveIndicator[EmaState]):
    """Exponential moving average of the close, weight 2 / (period + 1), seeded with the SMA of the first
    ``period`` closes."""

    layout = "qd"
    fresh = EmaState()

    def __init__(self, period: int) -> None:
        self.names = (f"ema_{period}",)
        self._period = period
        self._average = exponential(period)

    def step(self, state: EmaState, bar: PricedBar) -> EmaState:
        bars, average = state
        return EmaState(bars + 1, self._average.add(bars, average, bar.close))

    def read(self, state: EmaState) -> tuple[float | None]:
        return (state.average if state.bars >= self._period else None,)


class MacdState(NamedTuple):
    """``signal`` stays 0 until there is a MACD; each average is a sum until it has enough values."""

    bars: int = 0
    fast: float = 0.0
    slow: float = 0.0
    signal: float = 0.0


class Macd(RecursiveIndicator[MacdState]):
    """Moving average convergence/divergence: EMA(fast) - EMA(slow) of the close.

    Its signal is the EMA of the MACD, seeded with the mean of its first ``signal`` values; the histogram is
    MACD - signal. Gerald Appel, Technical Analysis: Power Tools for Active Investors, 2005: 12, 26, 9. The
    MACD is defined ``signal - 1`` bars before the other two.
    """

    layout = "qddd"
    fresh = MacdState()

    def __init__(self, fast: int, slow: int, signal: int) -> None:
        suffix = f"{fast}_{slow}_{signal}"
        self.names = (f"macd_{suffix}", f"macd_signal_{suffix}", f"macd_histogram_{suffix}")
        self._fast = exponential(fast)
        self._slow = exponential(slow)
        self._signal = exponential(signal)
        self._before = slow - 1
        """Bars before the first MACD."""

    def step(self, state: MacdState, bar: PricedBar) -> MacdState:
        bars, fast, slow, signal = state
        fast = self._fast.add(bars, fast, bar.close)
        slow = self._slow.add(bars, slow, bar.close)
        if bars >= self._before:
            signal = self._signal.add(bars - self._before, signal, fast - slow)
        return MacdState(bars + 1, fast, slow, signal)

    def read(self, state: MacdState) -> tuple[float | None, float | None, float | None]:
        bars, fast, slow, signal = state
        if bars <= self._before:
            return None, None, None
        macd = fast - slow
        if bars < self._before + self._signal.period:
            return macd, None, None
        return macd, signal, macd - signal


class RsiState(NamedTuple):
    """``close`` of the last bar; ``gain`` and ``loss`` are sums until there are enough changes."""

    bars: int = 0
    close: float = 0.0
    gain: float = 0.0
    loss: float = 0.0


class Rsi(RecursiveIndicator[RsiState]):
    """Relative strength index: 100 - 100 / (1 + average gain / average loss) over the changes of the close.

    Wilder, New Concepts in Technical Trading Systems, 1978: averages seeded with the simple mean of the first
    ``period`` changes. Without losses it is 100. Without either, where the formula is 0 / 0, it is 50: a
    price that stands still is neither overbought nor oversold. (TA-Lib gives 0 there, TradingView 100: both
    would raise an alert on a market in which nothing moves.)
    """

    layout = "qddd"
    fresh = RsiState()

    def __init__(self, period: int) -> None:
        self.names = (f"rsi_{period}",)
        self._period = period
        self._average = wilder(period)

    def step(self, state: RsiState, bar: PricedBar) -> RsiState:
        bars, close, gain, loss = state
        if bars == 0:
            return RsiState(1, bar.close)
        changes, change = bars - 1, bar.close - close
        gain = self._average.add(changes, gain, change if change > 0 else 0.0)
        loss = self._average.add(changes, loss, -change if change < 0 else 0.0)
        return RsiState(bars + 1, bar.close, gain, loss)

    def read(self, state: RsiState) -> tuple[float | None]:
        bars, _, gain, loss = state
        if bars <= self._period:
            return (None,)
        # The same formula without its two divisions; it cannot leave 0 to 100.
        return (100.0 * (gain / (gain + loss)) if gain or loss else 50.0,)


class AtrState(NamedTuple):
    """``close`` of the last bar; ``average`` is the sum of the true ranges until there are enough."""

    bars: int = 0
    close: float = 0.0
    average: float = 0.0


class Atr(RecursiveIndicator[AtrState]):
    """Average true range: max(high - low, abs(high - last close), abs(low - last close)), averaged.

    Wilder, New Concepts in Technical Trading Systems, 1978: seeded with the simple mean of the first
    ``period`` true ranges. The first bar, which has no last close, has no true range.
    """

    layout = "qdd"
    fresh = AtrState()

    def __init__(self, period: int) -> None:
        self.names = (f"atr_{period}",)
        self._period = period
        self._average = wilder(period)

    def step(self, state: AtrState, bar: PricedBar) -> AtrState:
        bars, close, average = state
        high, low = bar.high, bar.low
        if bars == 0:
            return AtrState(1, bar.close)
        true_range = max(high - low, abs(high - close), abs(low - close))
        return AtrState(bars + 1, bar.close, self._average.add(bars - 1, average, true_range))

    def read(self, state: AtrState) -> tuple[float | None]:
        return (state.average if state.bars > self._period else None,)


class VwapState(NamedTuple):
    """``session``: start in microseconds; the sums over its bars so far."""

    session: int = 0
    notional: float = 0.0
    volume: float = 0.0


class SessionVwap(RecursiveIndicator[VwapState]):
    """Volume-weighted average of the typical price, (high + low + close) / 3, since the session began.

    Cumulative typical price x volume / cumulative volume, as charts show it (TradingView, StockCharts). The
    sums begin anew with every session. Undefined until the session has volume. It is not the VWAP of a bar,
    which is made of its trades.
    """

    layout = "qdd"
    fresh = VwapState()
    names = ("session_vwap",)

    def step(self, state: VwapState, bar: PricedBar) -> VwapState:
        session, notional, volume = state
        if session != bar.session:
            notional = volume = 0.0
        typical = (bar.high + bar.low + bar.close) / 3
        return VwapState(bar.session, notional + typical * bar.volume, volume + bar.volume)

    def read(self, state: VwapState) -> tuple[float | None]:
        return (state.notional / state.volume if state.volume else None,)
