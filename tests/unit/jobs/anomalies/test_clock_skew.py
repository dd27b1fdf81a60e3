"""clock_skew: slices with trades that are dated ahead of their receipt."""

import pytest

from tests.unit.jobs.anomalies.driver import Driver, a_candle, brief, us


@pytest.mark.parametrize(
    ("skewed", "severity"),
    [(0, None), (1, "low"), (9, "low"), (10, "medium"), (99, "medium"), (100, "high"), (1000, "critical")],
)
def test_thresholds_and_severities(skewed: int, severity: str | None) -> None:
    """One is enough."""
    expected = [] if severity is None else [("clock_skew", 1, "raised", severity)]
    assert brief(Driver().trade(5, skewed=skewed, events=1000)) == expected


def test_the_alert_says_what_happened() -> None:
    """With the source, and the bar that it is in."""
    (alert,) = Driver().trade(65, skewed=3, events=4, candle=a_candle(1, version=12))
    assert alert.alert_id == f"clock_skew:AAPL:1m:{us(60)}"
    assert (alert.event_time, alert.bar_start, alert.bar_version) == (us(60), us(60), 12)
    assert (alert.value, alert.threshold) == (3.0, 0.0)
    assert alert.message == "3 trades of sim are dated ahead of their receipt"


def test_more_of_them_in_the_same_minute_raise_the_severity() -> None:
    """In another one they are suppressed for five minutes."""
    driver = Driver()
    alerts = [
        driver.trade(at, skewed=skewed) for at, skewed in [(5, 1), (10, 20), (15, 2), (65, 500), (305, 1)]
    ]
    assert [brief(each) for each in alerts] == [
        [("clock_skew", 1, "raised", "low")],
        [("clock_skew", 2, "raised", "medium")],
        [],
        [],
        [("clock_skew", 1, "raised", "low")],
    ]
