"""volume_anomaly: two rules, one alert for each bar."""

from dataclasses import replace

import pytest

from jobs.domain.anomalies import Thresholds
from schemas.events import Candle
from tests.unit.jobs.anomalies.driver import Driver, a_candle, brief, us

STEADY = [10.0] * 20
UNSTEADY = [2.0, 18.0] * 10
"""A mean of 10 and a standard deviation of 8."""


def after(volumes: list[float], thresholds: Thresholds | None = None) -> Driver:
    """The state after final 1m bars of these volumes."""
    driver = Driver(thresholds)
    for minute, volume in enumerate(volumes):
        assert driver.bar(a_candle(minute, final=True, volume=volume)) == []
    return driver


def live(volume: float, minute: int = 20, version: int = 2) -> Candle:
    return a_candle(minute, version=version, volume=volume)


def final(volume: float, minute: int = 20, version: int = 2, trades: int = 10) -> Candle:
    return a_candle(minute, version=version, volume=volume, final=True, trades=trades)


@pytest.mark.parametrize(
    ("before", "volume", "severity"),
    [
        (STEADY, 15.0, None),  # beyond 3 sigma, but not more than 1.5 times the mean
        (STEADY, 15.01, "medium"),
        (UNSTEADY, 30.0, None),  # 3 times the mean, less than 3 sigma above
        (UNSTEADY, 30.01, "low"),
        ([10.0, 14.0] * 10, 18.0, None),  # mean 12, sigma 2: exactly 3 sigma and 1.5 times the mean
        ([10.0, 14.0] * 10, 18.01, "low"),
        ([10.0, 14.0] * 10, 23.99, "low"),
        ([10.0, 14.0] * 10, 24.0, "medium"),  # 6 sigma
        ([10.0, 14.0] * 10, 36.01, "medium"),  # by both rules: the higher one
        (UNSTEADY, 44.99, "low"),
        (UNSTEADY, 45.0, "medium"),
        (UNSTEADY, 60.0, "high"),
        (UNSTEADY, 89.99, "high"),
        (UNSTEADY, 90.0, "critical"),
        (UNSTEADY, 1.0, None),
    ],
)
def test_thresholds_and_severities(before: list[float], volume: float, severity: str | None) -> None:
    """More than 3 sigma and 1.5 times, or more than 3 times the mean; on live bars and on final ones."""
    expected = [] if severity is None else [("volume_anomaly", 1, "raised", severity)]
    assert brief(after(before).bar(live(volume))) == expected
    assert brief(after(before).bar(final(volume))) == expected


def test_the_alert_says_what_happened() -> None:
    """In times the mean."""
    (alert,) = after(UNSTEADY).bar(live(42.0, version=300))
    assert alert.alert_id == f"volume_anomaly:AAPL:1m:{us(1200)}"
    assert (alert.event_time, alert.bar_start, alert.bar_version) == (us(1200), us(1200), 300)
    assert (alert.value, alert.threshold, alert.interval) == (4.2, 3.0, "1m")
    assert alert.message == "volume of the 1m bar is 4.20 times the mean of the 20 before it, 4.0 sigma above"


def test_a_threshold_found_by_sigma_is_in_times_the_mean_too() -> None:
    """Of [10, 14] the mean is 12 and 3 sigma above it 18."""
    assert after([10.0, 14.0] * 10).bar(live(20.0))[0].threshold == 1.5


def test_without_a_full_window_nothing_is_judged() -> None:
    """Nineteen bars are not enough."""
    assert after(STEADY[1:]).bar(final(1000.0, 19)) == []
    assert after(STEADY).bar(final(1000.0, 20)) != []


def test_a_market_without_volume_is_not_judged() -> None:
    """Nothing is a multiple of nothing."""
    assert after([0.0] * 20).bar(live(5.0)) == []


def test_one_bar_is_one_alert() -> None:
    """Version after version: a new revision only where the severity is another."""
    driver = after(UNSTEADY)
    alerts = [driver.bar(live(volume, version=n)) for n, volume in enumerate([31, 35, 46, 50, 61])]
    assert [brief(each) for each in alerts] == [
        [("volume_anomaly", 1, "raised", "low")],
        [],
        [("volume_anomaly", 2, "raised", "medium")],
        [],
        [("volume_anomaly", 3, "raised", "high")],
    ]
    assert driver.bar(final(61.0)) == []


def test_a_cancel_lowers_the_severity_and_then_takes_the_alert_away() -> None:
    """Each revision names the version that did it; a correction brings it back."""
    driver = after(UNSTEADY)
    driver.bar(final(61.0, version=10))
    lowered, gone, back = (
        driver.bar(final(volume, version=version)) for volume, version in [(40.0, 12), (20.0, 14), (91.0, 16)]
    )
    assert brief([*lowered, *gone, *back]) == [
        ("volume_anomaly", 2, "raised", "low"),
        ("volume_anomaly", 3, "retracted", "low"),
        ("volume_anomaly", 4, "raised", "critical"),
    ]
    assert [alert.bar_version for alert in (*lowered, *gone, *back)] == [13, 15, 17]


def test_a_bar_is_judged_by_those_before_it_only() -> None:
    """When it comes again after later ones, also: the window is the same as then."""
    driver = after(UNSTEADY)
    driver.bar(final(20.0))
    for minute in range(21, 25):
        driver.bar(final(25.0, minute))
    assert driver.bar(final(30.0)) == []
    assert brief(driver.bar(final(30.01))) == [("volume_anomaly", 1, "raised", "low")]


def test_a_correction_of_a_bar_before_it_can_take_it_away() -> None:
    """The later finals come again after it and are judged by the window as it is now."""
    driver = after(UNSTEADY)
    assert driver.bar(final(33.0)) != []
    driver.bar(final(70.0, 19))  # instead of 18: the mean is 12.6 then
    assert brief(driver.bar(final(33.0))) == [("volume_anomaly", 2, "retracted", "low")]


def test_a_bar_without_trades_is_no_bar() -> None:
    """All of them were cancelled: it neither counts in the mean nor has a volume that stands out."""
    driver = after([*UNSTEADY[1:], 18.0])
    assert driver.bar(live(31.0)) == []
    driver.bar(final(0.0, 19, trades=0))
    driver.bar(final(2.0, 19))
    assert driver.bar(live(31.0)) != []
    driver.bar(final(0.0, 19, trades=0))
    assert driver.load().on_candle(live(500.0), 0) == []


def test_the_cooldown_is_for_the_interval_and_by_the_start_of_bars() -> None:
    """Four more bars are suppressed, the fifth is not; another interval is another matter."""
    thresholds = replace(Thresholds(), volume_bars=2)
    driver = Driver(thresholds)
    for interval, minutes in (("1m", (0, 1)), ("5m", (0, 5))):
        for minute in minutes:
            driver.bar(a_candle(minute, interval, final=True, volume=10.0))
    raised = [minute for minute in range(10, 16) if driver.bar(live(100.0, minute))]
    assert raised == [10, 15]
    assert brief(driver.bar(a_candle(10, "5m", volume=100.0))) == [
        ("volume_anomaly", 1, "raised", "critical")
    ]


def test_a_retracted_alert_holds_nothing_down() -> None:
    """The next bar may have one."""
    driver = after(UNSTEADY)
    driver.bar(final(61.0))
    assert driver.bar(live(61.0, 21)) == []
    driver.bar(final(18.0, version=6))
    assert brief(driver.bar(live(61.0, 21))) == [("volume_anomaly", 1, "raised", "medium")]


def test_the_history_is_bounded() -> None:
    """The window, and the bars that may come again."""
    driver = after(STEADY * 10)
    size = len(driver.state or b"")
    for minute in range(200, 400):
        driver.bar(final(10.0, minute))
    assert len(driver.state or b"") == size
