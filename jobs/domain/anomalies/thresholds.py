"""The thresholds of one class of symbols."""

from dataclasses import dataclass

SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Thresholds:
    """All thresholds of one class of symbols. Times are microseconds; a rule fires beyond, never at, its
    threshold."""

    spike_percent: float = 5.0
    spike_window: int = 60 * SECOND_US
    volume_sigma: float = 3.0
    volume_ratio: float = 3.0
    """Times the mean of the bars before."""
    volume_least_ratio: float = 1.5
    """A volume beyond ``volume_sigma`` counts from this many times the mean on: in a steady market sigma is a
    few percent of the mean, and three of them are what chance brings every day."""
    volume_bars: int = 20
    rsi_indicator: str = "rsi_14"
    rsi_intervals: tuple[str, ...] = ("5m", "15m", "1h", "4h", "1d")
    """Not 1m by default: the RSI of a random walk of minutes leaves 30..70 all the time."""
    rsi_overbought: float = 70.0
    rsi_overbought_exit: float = 65.0
    rsi_oversold: float = 30.0
    rsi_oversold_exit: float = 35.0
    stale_least: int = 30 * SECOND_US
    stale_factor: float = 10.0
    """Times the symbol's own mean distance between trades."""
    outlier_percent: float = 10.0
    crossed_percent: float = 0.1
    """Bid above ask by more than this much of the mid price: more than a quote that overtook another."""
    cooldown: int = 300 * SECOND_US
    horizon: int = 300 * SECOND_US
    """How long after its end a bar may come again."""
