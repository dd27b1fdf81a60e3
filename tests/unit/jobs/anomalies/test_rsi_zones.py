"""rsi_overbought and rsi_oversold: zones with hysteresis, judged again after corrections."""

import pytest

from schemas.events import Alert, Candle
from tests.unit.jobs.anomalies.driver import Driver, a_candle, brief, us


def rsi(
    value: float | None, bar: int = 0, version: int = 2, interval: str = "5m", final: bool = True
) -> Candle:
    return a_candle(bar * 5, interval, version=version, final=final, rsi=value)


def after(*values: float | None) -> Driver:
    """The state after final 5m bars of these values, nothing published yet that a test looks at."""
    driver = Driver()
    for bar, value in enumerate(values):
        driver.bar(rsi(value, bar))
    return driver


def short(alerts: list[Alert]) -> list[tuple[str, int, str]]:
    """(type, minute of the bar that it belongs to, status)"""
    return [(a.type.removeprefix("rsi_"), (a.event_time - us(0)) // 60_000_000, a.status) for a in alerts]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (70.0, None),
        (70.01, ("rsi_overbought", 1, "raised", "low")),
        (74.99, ("rsi_overbought", 1, "raised", "low")),
        (75.0, ("rsi_overbought", 1, "raised", "medium")),
        (80.0, ("rsi_overbought", 1, "raised", "high")),
        (90.0, ("rsi_overbought", 1, "raised", "critical")),
        (30.0, None),
        (29.99, ("rsi_oversold", 1, "raised", "low")),
        (25.0, ("rsi_oversold", 1, "raised", "medium")),
        (20.0, ("rsi_oversold", 1, "raised", "high")),
        (10.0, ("rsi_oversold", 1, "raised", "critical")),
        (None, None),
    ],
)
def test_thresholds_and_severities(value: float | None, expected: tuple[str, int, str, str] | None) -> None:
    """Above 70 and below 30; a bar whose RSI is not yet defined is nothing."""
    assert brief(Driver().bar(rsi(value))) == ([] if expected is None else [expected])


def test_the_alert_says_what_happened() -> None:
    """With the RSI, and the bar that entered the zone."""
    (alert,) = after(60.0).bar(rsi(72.5, 1, version=80))
    assert alert.alert_id == f"rsi_overbought:AAPL:5m:{us(300)}"
    assert (alert.event_time, alert.bar_start, alert.bar_version) == (us(300), us(300), 81)
    assert (alert.value, alert.threshold, alert.interval) == (72.5, 70.0, "5m")
    assert alert.message == "overbought: RSI 72.5 of the 5m bars is above 70"


def test_a_zone_is_left_further_in_than_it_is_entered() -> None:
    """65 and 35 are still in it."""
    driver = after()
    values = [71.0, 66.0, 70.5, 65.0, 64.9, 69.0, 70.1]
    alerts = [driver.bar(rsi(value, bar)) for bar, value in enumerate(values)]
    assert [short(each) for each in alerts] == [
        [("overbought", 0, "raised")], [], [], [],
        [("overbought", 0, "resolved")], [], [("overbought", 30, "raised")],
    ]  # fmt: skip
    driver = after()
    alerts = [driver.bar(rsi(value, bar)) for bar, value in enumerate([29.0, 35.0, 35.1, 31.0, 29.9])]
    assert [short(each) for each in alerts] == [
        [("oversold", 0, "raised")], [], [("oversold", 0, "resolved")], [], [("oversold", 20, "raised")],
    ]  # fmt: skip


def test_the_bar_that_leaves_the_zone_is_named() -> None:
    """With its version."""
    (alert,) = after(71.0).bar(rsi(60.0, 1, version=90))
    assert (alert.revision, alert.status, alert.bar_start, alert.bar_version) == (2, "resolved", us(300), 91)
    assert alert.message == "the RSI of the 5m bars has left the zone"


def test_from_one_zone_to_the_other_in_one_bar() -> None:
    """One ends and the other begins."""
    assert short(after(71.0).bar(rsi(29.0, 1))) == [("overbought", 0, "resolved"), ("oversold", 5, "raised")]


def test_further_into_the_zone_raises_the_severity() -> None:
    """Of the same alert; back out does not lower it."""
    driver = after()
    alerts = [driver.bar(rsi(value, bar)) for bar, value in enumerate([71.0, 81.0, 72.0])]
    assert [brief(each) for each in alerts] == [
        [("rsi_overbought", 1, "raised", "low")],
        [("rsi_overbought", 2, "raised", "high")],
        [],
    ]


def test_live_bars_and_other_intervals_are_not_judged() -> None:
    """The RSI of 1m bars is noise, that of a live one provisional."""
    driver = Driver()
    assert driver.bar(rsi(99.0, final=False)) == []
    assert driver.bar(rsi(99.0, interval="1m")) == []
    assert driver.bar(rsi(99.0, interval="15m")) != []


def test_intervals_have_zones_of_their_own() -> None:
    """5m may be overbought while 1h is oversold."""
    driver = after(71.0)
    assert brief(driver.bar(rsi(20.0, interval="1h"))) == [("rsi_oversold", 1, "raised", "high")]
    assert driver.bar(rsi(72.0, 1)) == []


def test_a_correction_retracts_the_entry() -> None:
    """And a later one brings it back."""
    driver = after(60.0, 71.0)
    gone, back = driver.bar(rsi(69.0, 1, version=10)), driver.bar(rsi(71.0, 1, version=12))
    assert brief([*gone, *back]) == [
        ("rsi_overbought", 2, "retracted", "low"),
        ("rsi_overbought", 3, "raised", "low"),
    ]
    assert [alert.bar_version for alert in (*gone, *back)] == [11, 13]


def test_later_bars_are_judged_from_the_state_before_them() -> None:
    """66 is overbought after 71 and is not after 69: the entry was another bar's."""
    driver = after(60.0, 71.0, 71.5)
    corrected = driver.bar(rsi(69.0, 1, version=10))
    assert short(corrected) == [("overbought", 5, "retracted")]
    assert short(driver.bar(rsi(71.5, 2, version=12))) == [("overbought", 10, "raised")]


def test_a_correction_takes_back_that_it_was_over() -> None:
    """The bar that left the zone did not."""
    driver = after(71.0, 64.0)
    assert brief(driver.bar(rsi(66.0, 1, version=10))) == [("rsi_overbought", 3, "raised", "low")]
    assert short(driver.bar(rsi(64.0, 1, version=12))) == [("overbought", 0, "resolved")]


def test_a_stay_that_began_long_ago_is_still_resolved() -> None:
    """The bar that entered it can no longer be corrected."""
    driver = after(71.0, *[68.0] * 30)
    assert short(driver.bar(rsi(60.0, 31))) == [("overbought", 0, "resolved")]


def test_bars_that_come_again_unchanged_change_nothing() -> None:
    """However often."""
    driver = after(71.0, 60.0, 29.0)
    for bar, value in enumerate([71.0, 60.0, 29.0]):
        assert driver.bar(rsi(value, bar, version=20)) == []


def test_the_state_is_bounded() -> None:
    """By the bars that may come again; alerts that were taken back are forgotten too."""
    driver = after(*[71.0, 60.0, 29.0, 50.0] * 10)
    size = len(driver.state or b"")
    for bar in range(40, 200):
        driver.bar(rsi([71.0, 60.0, 29.0, 50.0][bar % 4], bar))
        driver.bar(rsi(50.0, bar, version=10))
    assert len(driver.state or b"") <= size + 60
