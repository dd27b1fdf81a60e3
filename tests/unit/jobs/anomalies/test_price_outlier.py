"""price_outlier: a high or low of a 1m bar that nothing else of it comes near."""

import pytest

from tests.unit.jobs.anomalies.driver import Driver, a_candle, brief, us


@pytest.mark.parametrize(
    ("high", "low", "value", "severity"),
    [
        (110.0, 100.0, None, ""),
        (110.01, 100.0, 10.01, "low"),
        (115.0, 100.0, 15.0, "medium"),
        (120.0, 100.0, 20.0, "high"),
        (130.0, 100.0, 30.0, "critical"),
        (100.0, 90.0, None, ""),
        (100.0, 89.99, -10.01, "low"),
        (112.0, 85.0, -15.0, "medium"),
    ],
)
def test_thresholds_and_severities(high: float, low: float, value: float | None, severity: str) -> None:
    """More than 10 % from open, close and VWAP; the further of the two where both stand out."""
    alerts = Driver().bar(a_candle(final=True, prices=(100.0, high, low, 100.0)))
    assert [(alert.value, alert.severity) for alert in alerts] == (
        [] if value is None else [(value, severity)]
    )


def test_the_alert_says_what_happened() -> None:
    """With the version of the bar."""
    (alert,) = Driver().bar(a_candle(3, version=8, final=True, prices=(100.0, 125.0, 99.0, 101.0)))
    assert alert.alert_id == f"price_outlier:AAPL:1m:{us(180)}"
    assert (alert.event_time, alert.bar_start, alert.bar_version, alert.threshold) == (
        us(180),
        us(180),
        9,
        10.0,
    )
    assert alert.message == "high 125 is 23.76 % above open, close and VWAP of its 1m bar"


def test_only_final_bars_of_one_minute_are_judged() -> None:
    """The close of a live bar is whatever came last; an hour would repeat what its minute says."""
    prices = (100.0, 125.0, 99.0, 101.0)
    assert Driver().bar(a_candle(prices=prices)) == []
    assert Driver().bar(a_candle(interval="1h", final=True, prices=prices)) == []
    assert Driver().bar(a_candle(final=True, prices=None, vwap=None)) == []


def test_a_later_version_retracts_it_and_another_brings_it_back() -> None:
    """Each names its version."""
    driver = Driver()
    alerts = [
        driver.bar(a_candle(0, version=version, final=True, prices=(100.0, high, 99.0, 101.0)))
        for version, high in [(10, 125.0), (12, 125.0), (14, 102.0), (16, 140.0)]
    ]
    assert [brief(each) for each in alerts] == [
        [("price_outlier", 1, "raised", "high")],
        [],
        [("price_outlier", 2, "retracted", "high")],
        [("price_outlier", 3, "raised", "critical")],
    ]
    assert [alert.bar_version for each in alerts for alert in each] == [11, 15, 17]


def test_within_the_cooldown_there_is_no_second_one() -> None:
    """Five minutes by the start of the bars."""
    driver = Driver()
    raised = [
        minute
        for minute in range(8)
        if driver.bar(a_candle(minute, final=True, prices=(100.0, 125.0, 99.0, 101.0)))
    ]
    assert raised == [0, 5]
