"""stale_feed: silence by the watermark, while the market is open."""

from dataclasses import dataclass

import pytest

from jobs.domain.anomalies import Thresholds
from schemas.sessions import UtcCalendar
from tests.unit.jobs.anomalies.driver import SECOND_US, Driver, brief, us


@dataclass
class Hours(UtcCalendar):
    """Open from ``opens`` to ``closes``, in seconds after the start."""

    opens: float
    closes: float

    def is_open(self, event_time_us: int) -> bool:
        return us(self.opens) <= event_time_us < us(self.closes)


def trading(every: float = 1.0, count: int = 20, start: float = 0.0, **more: object) -> Driver:
    """The state after ``count`` trades; the last one is at ``start + every x (count - 1)`` seconds."""
    driver = Driver(**more)  # type: ignore[arg-type]
    for number in range(count):
        driver.trade(start + every * number)
    return driver


@pytest.mark.parametrize(("seconds", "count"), [(30, 0), (30.000001, 1)])
def test_a_busy_symbol_is_stale_after_more_than_thirty_seconds(seconds: float, count: int) -> None:
    """Its last trade was at 19 s."""
    driver = trading()
    assert driver.load().next_timer() is not None
    assert len(driver.advance(19 + seconds)) == count


@pytest.mark.parametrize(("seconds", "count"), [(200, 0), (200.000001, 1)])
def test_a_slow_symbol_after_ten_times_its_own_distance(seconds: float, count: int) -> None:
    """With a trade every 20 s."""
    assert len(trading(20.0).advance(19 * 20 + seconds)) == count


def test_slices_of_many_trades_count_all_of_them() -> None:
    """The mean is that between trades: ten trades every 40 s are one every 4 s."""
    driver = Driver()
    for number in range(20):
        driver.trade(40 * number, events=10)
    alerts = driver.advance(19 * 40 + 40.1)
    assert [alert.threshold for alert in alerts] == [40.0]


def test_the_alert_says_what_happened() -> None:
    """It belongs to the last trade before the silence."""
    (alert,) = trading().advance(50)
    assert alert.alert_id == f"stale_feed:AAPL:{us(19)}"
    assert (alert.event_time, alert.interval, alert.bar_start, alert.bar_version) == (
        us(19),
        None,
        None,
        None,
    )
    assert (alert.value, alert.threshold) == (pytest.approx(30.0, abs=1e-5), 30.0)
    assert alert.message == "no trade for 30.0 s; it usually has one every 1.00 s"


def test_a_symbol_that_has_only_just_begun_is_not_judged() -> None:
    """Nobody knows yet how often it trades: ten gaps are needed."""
    driver = trading(count=10)
    assert driver.load().next_timer() is None
    assert driver.advance(1000) == []
    assert len(trading(count=11).advance(1000)) > 0


def test_severity_grows_with_the_silence() -> None:
    """1x low, 3x medium, 10x high, 30x critical; then no timer is left."""
    driver = trading()
    assert brief(driver.advance(19 + 90)) == [("stale_feed", 1, "raised", "low")]
    assert brief(driver.advance(19 + 91)) == [("stale_feed", 2, "raised", "medium")]
    assert brief(driver.advance(19 + 901)) == [
        ("stale_feed", 3, "raised", "high"),
        ("stale_feed", 4, "raised", "critical"),
    ]
    assert driver.load().next_timer() is None


def test_the_next_trade_resolves_it() -> None:
    """Under the same identity; the cooldown goes on."""
    driver = trading()
    driver.advance(60)
    (alert,) = driver.trade(61)
    assert (alert.alert_id, alert.revision, alert.status) == (f"stale_feed:AAPL:{us(19)}", 2, "resolved")
    assert alert.message == "trades come again, 42.0 s after the last one"
    assert driver.trade(62) == []


def test_within_the_cooldown_a_second_silence_is_said_when_that_is_over() -> None:
    """If it still lasts then: raised at 49 s, so again from 349 s on."""
    driver = trading()
    driver.advance(60)
    driver.trade(61)
    assert driver.advance(349) == []
    assert brief(driver.advance(349.1)) == [("stale_feed", 1, "raised", "medium")]
    driver = trading()
    driver.advance(60)
    driver.trade(61)
    driver.trade(330)
    assert driver.advance(360) == []


def test_late_trades_that_fill_the_silence_retract_it() -> None:
    """The feed stood still, the market did not."""
    driver = trading()
    driver.advance(50)
    for at in range(20, 40, 2):
        alerts = driver.trade(at)
        if alerts:
            break
    assert brief(alerts) == [("stale_feed", 2, "retracted", "low")]
    assert alerts[0].message == "withdrawn: late trades show that there was no silence"


def test_late_trades_retract_it_after_it_was_resolved_too() -> None:
    """What came after the silence came first."""
    driver = trading()
    driver.advance(60)
    driver.trade(61)
    assert driver.trade(25) == []
    assert brief(driver.trade(40)) == [("stale_feed", 3, "retracted", "low")]


def test_late_trades_that_leave_a_long_silence_do_not() -> None:
    """Then it is resolved by what ends it."""
    driver = trading()
    driver.advance(19 + 95)
    assert driver.trade(25) == []
    assert driver.trade(30) == []
    assert brief(driver.trade(115)) == [("stale_feed", 3, "resolved", "medium")]


def test_a_late_trade_close_to_the_watermark_ends_a_silence_that_was_one() -> None:
    """It is over, and was not nothing."""
    driver = trading()
    driver.advance(19 + 95)
    assert brief(driver.trade(100)) == [("stale_feed", 3, "resolved", "medium")]


def test_a_retraction_lifts_the_cooldown() -> None:
    """The next silence is said at once."""
    driver = trading()
    driver.advance(60)
    driver.trade(61)
    driver.trade(25)
    driver.trade(40)
    assert brief(driver.advance(92)) == [("stale_feed", 1, "raised", "low")]


def test_nothing_is_expected_of_a_closed_market() -> None:
    """The silence counts from the opening, which is looked up once: one timer, however long it is closed."""
    driver = trading(calendar=Hours(100_000, 200_000))
    assert driver.advance(19 + 31) == []
    assert driver.load().next_timer() == us(100_200)  # the first whole five minutes that are open
    assert driver.advance(100_200 + 30) == []
    assert brief(driver.advance(100_200 + 30.1)) == [("stale_feed", 1, "raised", "low")]


def test_the_close_of_the_market_resolves_it() -> None:
    """Nobody waits for trades any more."""
    driver = trading(calendar=Hours(-1000, 100))
    driver.advance(60)
    (alert,) = driver.advance(19 + 91)
    assert (alert.status, alert.message) == ("resolved", "the market has closed")


def test_nothing_is_expected_of_a_symbol_that_somebody_has_stopped() -> None:
    """However long; the silence counts from the start. The ledger tells the stop again, and by the hour."""
    driver = trading()
    driver.stop(20, 20, closed=False)
    driver.stop(20, 80, closed=False)
    assert driver.advance(3000) == []
    driver.stop(20, 3600, closed=True)
    driver.stop(3600, 4000, closed=False)
    assert driver.advance(4900) == []
    driver.stop(3600, 5000, closed=True)
    assert driver.advance(5030) == []
    (alert,) = driver.advance(5031)
    assert (alert.event_time, alert.value) == (us(5000), pytest.approx(30.0, abs=1e-5))


def test_a_stop_resolves_what_was_raised_before() -> None:
    """The silence before it was one; of the time behind it nothing is said."""
    driver = trading()
    assert brief(driver.advance(60)) == [("stale_feed", 1, "raised", "low")]
    driver.stop(62, 62, closed=False)
    (alert,) = driver.advance(2000)
    assert (alert.alert_id, alert.revision, alert.status) == (f"stale_feed:AAPL:{us(19)}", 2, "resolved")
    assert alert.message == "somebody has stopped the symbol"


def test_a_stop_does_not_make_a_symbol_look_slow() -> None:
    """Its pace is that of the time in which it ran, and it is judged by that as soon as it trades again."""
    driver = trading()
    mean = driver.load()._stale.mean
    driver.stop(19.5, 19.5, closed=False)
    driver.stop(19.5, 999, closed=True)
    for at in range(1000, 1020):
        driver.trade(at)
    assert driver.load()._stale.mean == pytest.approx(mean)
    assert driver.load()._stale.stops.times == []
    assert brief(driver.advance(1019 + 31)) == [("stale_feed", 1, "raised", "low")]


def test_trades_on_their_way_do_not_end_a_stop() -> None:
    """They were published before the order was obeyed, and dated after it was given."""
    driver = trading()
    driver.trade(21)
    driver.stop(20, 20, closed=False)
    driver.trade(22)
    assert driver.advance(1000) == []


def test_stops_that_are_told_ahead_of_their_time_count_when_it_comes() -> None:
    """Where bars are rebuilt the ledger is read before the trades: silences beside the stops are seen."""
    driver = trading()
    for start in (1000, 2000):
        driver.stop(start, start + 500, closed=True)
    (alert,) = driver.advance(60)
    assert (alert.event_time, alert.status) == (us(19), "raised")
    driver.trade(999)
    driver.trade(1501)
    assert brief(driver.advance(1540)) == [("stale_feed", 1, "raised", "low")]
    driver.trade(1999)
    assert driver.advance(2520) == []
    assert [alert.event_time for alert in driver.advance(2560)] == [us(2500)]


def test_of_very_many_stops_the_newest_are_known() -> None:
    """The state stays small."""
    driver = trading()
    for number in range(1000):
        driver.stop(1000 + 100 * number, 1050 + 100 * number, closed=True)
    assert len(driver.load()._stale.stops.times) == 32
    assert len(driver.state or b"") < 1000


def test_a_night_does_not_make_a_symbol_look_slow() -> None:
    """No gap counts for more than the limit at the time."""
    driver = trading()
    driver.trade(60_000)
    driver.trade(60_001)
    assert driver.advance(60_001 + 31) != []


def test_a_symbol_that_becomes_slow_is_believed_after_a_while() -> None:
    """The limit follows its pace."""
    driver = trading()
    for number in range(1, 100):
        driver.trade(19 + 60 * number)
    driver.advance(19 + 60 * 99)
    driver.published.clear()
    assert driver.advance(19 + 60 * 99 + 400) == []


def test_a_busy_symbol_keeps_one_timer() -> None:
    """It is looked at again when the first one fires, and not set anew with every slice."""
    driver = trading(0.2, 400)
    timers = set()
    for number in range(400, 500):
        driver.trade(number * 0.2)
        timers.add(driver.load().next_timer())
    assert len(timers) == 1


def test_the_thresholds_are_those_given() -> None:
    """Two seconds, or twice the distance."""
    thresholds = Thresholds(stale_least=2 * SECOND_US, stale_factor=2.0)
    assert [a.threshold for a in trading(0.5, thresholds=thresholds).advance(12)][:1] == [2.0]
    assert [a.threshold for a in trading(4.0, thresholds=thresholds).advance(90)][:1] == [
        pytest.approx(8, rel=0.05)
    ]


def test_late_trades_cannot_fill_the_state() -> None:
    """Of those within a silence only so many are kept as its limit needs."""
    driver = trading()
    driver.advance(19 + 300)
    size = len(driver.state or b"")
    for number in range(1000):
        driver.trade(20 + number * 0.2)
    assert len(driver.state or b"") < size + 300
