"""price_spike: how far, how fast, how often, and when it is taken back."""

import pytest

from jobs.domain.anomalies.price_spike import Move
from schemas.events import Alert
from tests.unit.jobs.anomalies.driver import NOW_US, SYMBOL, Driver, a_candle, brief, us


def spike(*slices: tuple[float, float]) -> list[Alert]:
    """What slices of one price each give: (seconds, price)."""
    driver = Driver()
    for at, price in slices:
        driver.trade(at, price)
    return driver.published


@pytest.mark.parametrize(
    ("price", "value"), [(105.0, None), (105.01, 5.01), (95.0, None), (94.99, -5.01), (100.0, None)]
)
def test_it_takes_more_than_five_percent(price: float, value: float | None) -> None:
    """Up or down, exactly 5 % is none."""
    alerts = spike((0, 100.0), (10, price))
    assert [round(alert.value, 9) for alert in alerts] == ([] if value is None else [value])


def test_exactly_the_threshold_is_none_whatever_the_price() -> None:
    """Percentages that a computer cannot write down exactly are no reason for an alert."""
    for dollars in range(1, 600):
        for price in (round(dollars * 1.05, 2), round(dollars * 0.95, 2)):
            assert not Move((0, float(dollars)), (1, price)).passes(5.0)


@pytest.mark.parametrize(("seconds", "count"), [(60, 1), (60.000001, 0)])
def test_it_takes_no_more_than_a_minute(seconds: float, count: int) -> None:
    """A price from before the window no longer counts."""
    assert len(spike((0, 100.0), (seconds, 106.0))) == count


def test_the_alert_says_what_happened() -> None:
    """Identity and time are those of the minute, so that a second run over other slices writes the same
    row."""
    driver = Driver()
    driver.trade(70, 100.0)
    candle = a_candle(1, version=40, prices=(100.0, 106.0, 100.0, 106.0))
    assert driver.trade(80.5, 106.0, candle=candle) == [
        Alert(
            alert_id=f"price_spike:AAPL:1m:{us(60)}",
            revision=1,
            symbol=SYMBOL,
            type="price_spike",
            severity="low",
            status="raised",
            event_time=us(60),
            updated_at=NOW_US,
            value=pytest.approx(6.0),
            threshold=5.0,
            message="price rose by 6.00 % within 10.5 s, from 100 to 106",
            interval="1m",
            bar_start=us(60),
            bar_version=40,
        )
    ]


def test_a_fall_is_measured_from_the_greatest_high() -> None:
    """And says so."""
    (alert,) = spike((0, 100.0), (1, 102.0), (2, 96.0))
    assert alert.message == "price fell by 5.88 % within 1.0 s, from 102 to 96"


def test_a_slice_may_hold_the_whole_movement() -> None:
    """High and low of one slice are within a minute."""
    driver = Driver()
    assert brief(driver.trade(5, 106.0, 100.0)) == [("price_spike", 1, "raised", "low")]


def test_slices_without_a_price_are_nothing() -> None:
    """Trades that may set no price."""
    driver = Driver()
    driver.trade(0, 100.0)
    assert driver.trade(1, None) == []


@pytest.mark.parametrize(
    ("price", "severity"),
    [
        (107.49, "low"),
        (107.5, "medium"),
        (109.99, "medium"),
        (110.0, "high"),
        (114.99, "high"),
        (116.0, "critical"),
    ],
)
def test_severity_goes_by_the_threshold(price: float, severity: str) -> None:
    """1x low, 1.5x medium, 2x high, 3x critical."""
    assert [alert.severity for alert in spike((0, 100.0), (1, price))] == [severity]


def test_a_movement_that_goes_on_raises_the_severity_of_one_alert() -> None:
    """Also across a minute, which would be another identity."""
    driver = Driver()
    for at, price in [(50, 100.0), (58, 105.5), (59, 106.0), (61, 108.0), (62, 108.0), (63, 111.0)]:
        driver.trade(at, price)
    assert brief(driver.published) == [
        ("price_spike", 1, "raised", "low"),
        ("price_spike", 2, "raised", "medium"),
        ("price_spike", 3, "raised", "high"),
    ]
    assert {alert.alert_id for alert in driver.published} == {f"price_spike:AAPL:1m:{us(0)}"}
    assert {alert.event_time for alert in driver.published} == {us(0)}


def test_within_the_cooldown_there_is_no_second_one() -> None:
    """Five minutes after the first, by event time; the way back of a spike is within it."""
    driver = Driver()
    driver.trade(0, 100.0)
    assert len(driver.trade(20, 106.0)) == 1
    assert driver.trade(50, 100.0) == []
    driver.trade(300, 100.0)
    assert driver.trade(319.9, 106.0) == []
    assert brief(driver.trade(320, 106.0)) == [("price_spike", 1, "raised", "low")]


def test_a_late_slice_is_held_against_what_lay_before_and_after_it() -> None:
    """Two prices make one movement, whichever comes first."""
    before = Driver()
    before.trade(0, 94.0)
    before.trade(30, 97.0)
    assert before.trade(20, 100.0)[0].message == "price rose by 6.38 % within 20.0 s, from 94 to 100"
    after = Driver()
    after.trade(30, 100.0)
    assert after.trade(20, 94.0)[0].message == "price rose by 6.38 % within 10.0 s, from 94 to 100"


def test_a_late_slice_enters_the_window() -> None:
    """What comes next is held against it."""
    driver = Driver()
    driver.trade(0, 97.0)
    driver.trade(30, 98.0)
    driver.trade(20, 94.5)
    assert driver.trade(70, 99.5)[0].message == "price rose by 5.29 % within 50.0 s, from 94.5 to 99.5"


def test_a_late_slice_from_before_the_window_is_not_judged() -> None:
    """What it would have to be held against is forgotten."""
    driver = Driver()
    driver.trade(100, 100.0)
    assert driver.trade(39, 150.0) == []
    assert driver.trade(101, 100.0) == []


def bad_print(price: float = 120.0) -> Driver:
    """A trade at 120 among others at 100, in the second minute."""
    driver = Driver()
    driver.trade(65, 100.0)
    candle = a_candle(1, version=20, prices=(100.0, price, 100.0, price))
    driver.trade(70, price, candle=candle)
    driver.bar(candle)
    driver.published.clear()
    return driver


def test_a_cancel_of_its_trade_retracts_it() -> None:
    """The revision names the version of the bar that no longer has the price."""
    driver = bad_print()
    driver.bar(a_candle(1, version=22, prices=(100.0, 120.0, 100.0, 100.0)))
    assert driver.published == []
    (alert,) = driver.bar(a_candle(1, version=24, prices=(100.0, 100.5, 100.0, 100.0)))
    assert (alert.revision, alert.status, alert.bar_start, alert.bar_version) == (2, "retracted", us(60), 24)
    assert alert.message == "withdrawn: version 24 of the 1m bar no longer shows what was reported"
    assert driver.bar(a_candle(1, version=26, prices=(100.0, 100.5, 100.0, 100.0))) == []


def test_a_bar_without_prices_retracts_it_too() -> None:
    """All its trades were cancelled."""
    driver = bad_print()
    assert brief(driver.bar(a_candle(1, version=24, prices=None, vwap=None))) == [
        ("price_spike", 2, "retracted", "critical")
    ]


def test_a_cancelled_price_leaves_the_window() -> None:
    """The prices after it are no fall."""
    driver = bad_print()
    driver.bar(a_candle(1, version=24, prices=(100.0, 100.5, 100.0, 100.0)))
    assert driver.trade(80, 100.0) == []


def test_what_is_left_of_the_movement_may_still_be_one() -> None:
    """Then nothing changes."""
    driver = bad_print()
    assert driver.bar(a_candle(1, version=24, prices=(100.0, 106.0, 100.0, 100.0))) == []


def test_the_bar_that_it_began_in_can_take_it_away_too() -> None:
    """The low from which it rose was a minute before."""
    driver = Driver()
    driver.trade(50, 90.0)
    driver.trade(65, 100.0)
    alert = driver.bar(a_candle(0, version=30, final=True, prices=(99.0, 99.0, 98.0, 99.0)))[-1]
    assert (alert.status, alert.bar_start, alert.bar_version) == ("retracted", us(0), 31)
    assert alert.alert_id == f"price_spike:AAPL:1m:{us(60)}"


def test_it_is_raised_again_when_the_bar_has_it_again() -> None:
    """The correction was corrected."""
    driver = bad_print()
    driver.bar(a_candle(1, version=24, prices=(100.0, 100.5, 100.0, 100.0)))
    alerts = driver.bar(a_candle(1, version=26, prices=(100.0, 120.0, 100.0, 100.0)))
    assert brief(alerts) == [("price_spike", 3, "raised", "critical")]
    assert alerts[0].bar_version == 26


def test_a_retraction_lifts_the_cooldown() -> None:
    """There was no such alert."""
    driver = bad_print()
    driver.bar(a_candle(1, version=24, prices=(100.0, 100.5, 100.0, 100.0)))
    assert brief(driver.trade(125, 106.0)) == [("price_spike", 1, "raised", "low")]


def test_another_movement_in_the_same_minute_can_raise_it_again() -> None:
    """It is the same alert."""
    driver = bad_print()
    driver.bar(a_candle(1, version=24, prices=(100.0, 100.5, 100.0, 100.0)))
    assert brief(driver.trade(100, 94.0)) == [("price_spike", 3, "raised", "low")]
