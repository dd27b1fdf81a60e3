"""What the settings of the anomaly rules become, and what they refuse."""

import pytest
from pydantic import ValidationError

from jobs.anomaly_settings import AnomalySettings
from jobs.domain.anomalies import LatencyLimits, Thresholds
from schemas.symbol_classes import CLASSES


def test_the_defaults_are_those_of_the_rules() -> None:
    """For every class."""
    settings = AnomalySettings()
    assert [settings.thresholds(name) for name in CLASSES] == [Thresholds()] * 3
    assert settings.latency_limits == LatencyLimits()
    assert settings.clock_skew_us == 500_000


def test_a_class_can_have_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the environment: a default, and what differs."""
    monkeypatch.setenv("ANOMALY_PRICE_SPIKE_PERCENT", "5, crypto=8, us_equities=4.5")
    settings = AnomalySettings()
    assert [settings.thresholds(name).spike_percent for name in CLASSES] == [5.0, 8.0, 4.5]
    assert str(settings.anomaly_price_spike_percent) == "5,crypto=8,us_equities=4.5"


def test_every_threshold_is_a_setting() -> None:
    """Each its own, in microseconds where it is a time."""
    settings = AnomalySettings(
        anomaly_cooldown_seconds="1", anomaly_price_spike_percent="2", anomaly_price_spike_seconds="3",
        anomaly_volume_sigma="4", anomaly_volume_least_ratio="5", anomaly_volume_ratio="6",
        anomaly_volume_bars=7, anomaly_rsi_indicator="rsi_9", anomaly_rsi_intervals="15min,1h",
        anomaly_rsi_overbought="80", anomaly_rsi_overbought_exit="79", anomaly_rsi_oversold="8",
        anomaly_rsi_oversold_exit="9", anomaly_stale_seconds="10", anomaly_stale_factor="11",
        anomaly_price_outlier_percent="12", anomaly_crossed_percent="13",
        anomaly_latency_ms="14,trade_to_bar=15", anomaly_latency_window_seconds=16, anomaly_clock_skew_ms=17,
    )  # fmt: skip
    assert settings.thresholds("crypto", horizon_us=18) == Thresholds(
        spike_percent=2, spike_window=3_000_000, volume_sigma=4, volume_ratio=6, volume_least_ratio=5,
        volume_bars=7, rsi_indicator="rsi_9", rsi_intervals=("15m", "1h"), rsi_overbought=80,
        rsi_overbought_exit=79, rsi_oversold=8, rsi_oversold_exit=9, stale_least=10_000_000, stale_factor=11,
        outlier_percent=12, crossed_percent=13, cooldown=1_000_000, horizon=18,
    )  # fmt: skip
    assert settings.latency_limits == LatencyLimits(
        {"source_to_kafka": 14_000, "trade_to_bar": 15_000}, 16_000_000, 1_000_000
    )
    assert settings.clock_skew_us == 17_000


@pytest.mark.parametrize(
    "text", ["", "x", "0", "-1", "100", "nan", "inf", "5,stocks=3", "5,crypto", "5,crypto=0", "crypto=5"]
)
def test_what_is_no_percentage_per_class_is_refused(text: str) -> None:
    """Saying which setting it is and what is allowed."""
    with pytest.raises(ValidationError) as refused:
        AnomalySettings(anomaly_price_spike_percent=text)
    message = str(refused.value)
    assert f"ANOMALY_PRICE_SPIKE_PERCENT={text} is not understood" in message
    assert "a number above 0 and below 100" in message
    assert "continuous, crypto, us_equities" in message


def test_a_latency_is_per_path() -> None:
    """Other names are refused with those there are."""
    with pytest.raises(ValidationError, match="each path is one of source_to_kafka, trade_to_bar"):
        AnomalySettings(anomaly_latency_ms="100,crypto=5")


@pytest.mark.parametrize(
    "changes",
    [
        {"anomaly_rsi_overbought": "60"},
        {"anomaly_rsi_overbought": "70,crypto=64"},
        {"anomaly_rsi_oversold": "36"},
        {"anomaly_rsi_oversold_exit": "70"},
        {"anomaly_rsi_overbought_exit": "30"},
    ],
)
def test_zones_that_are_left_before_they_are_entered_are_refused(changes: dict[str, str]) -> None:
    """Of each class."""
    with pytest.raises(ValidationError, match="ANOMALY_RSI_OVERSOLD <= ANOMALY_RSI_OVERSOLD_EXIT <"):
        AnomalySettings(**changes)


def test_an_unknown_interval_is_refused() -> None:
    """Naming those there are."""
    with pytest.raises(
        ValidationError, match="ANOMALY_RSI_INTERVALS: unknown interval '2m': use one of 1m, 5m"
    ):
        AnomalySettings(anomaly_rsi_intervals="2m")
