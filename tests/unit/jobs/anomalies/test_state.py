"""The state of a symbol as bytes: whole, and of bounded size."""

from dataclasses import replace
from itertools import pairwise

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.domain.anomalies import SymbolAnomalies, Thresholds
from schemas.events import Alert
from schemas.intervals import INTERVALS, MINUTE_US
from tests.unit.jobs.anomalies.driver import NOW_US, Driver, a_candle, a_slice, us

SMALL = replace(Thresholds(), volume_bars=2, cooldown=60_000_000, horizon=7_200_000_000)
"""Thresholds with which alerts come easily, and none of these steps is beyond the horizon."""

slices = st.tuples(
    st.just("slice"),
    st.integers(0, 600),
    st.sampled_from([90.0, 100.0, 104.0, 108.0, 120.0]),
    st.integers(0, 2),
)
candles = st.tuples(
    st.just("candle"),
    st.integers(0, 12),
    st.sampled_from(["1m", "5m"]),
    st.booleans(),
    st.sampled_from([0.0, 1.0, 10.0, 40.0, 100.0]),
    st.sampled_from([100.0, 106.0, 130.0]),
    st.one_of(st.none(), st.sampled_from([10.0, 29.0, 36.0, 50.0, 64.0, 72.0, 95.0])),
)
stops = st.tuples(st.just("stop"), st.integers(0, 900), st.integers(0, 300), st.booleans())
watermarks = st.tuples(st.just("watermark"), st.integers(0, 1200))
steps = st.lists(st.one_of(slices, candles, stops, watermarks), max_size=80)


def take(anomalies: SymbolAnomalies, step: tuple[object, ...], version: int) -> list[Alert]:
    match step:
        case ("slice", int(at), float(price), int(skewed)):
            return anomalies.on_slice(a_slice(at, price, price, skewed, 3), None, NOW_US)
        case ("candle", int(minute), str(interval), bool(final), float(volume), float(high), rsi):
            start = minute if interval == "1m" else minute * 5
            candle = a_candle(
                start, interval, version=2 * version, final=final, volume=volume, trades=int(volume),
                prices=(100.0, high, 100.0, 100.0), rsi=rsi,
            )  # type: ignore[arg-type]  # fmt: skip
            return anomalies.on_candle(candle, NOW_US)
        case ("stop", int(at), int(length), bool(closed)):
            anomalies.on_stop(us(at), us(at + length), closed=closed)
            return []
        case ("watermark", int(at)):
            return anomalies.on_watermark(us(at), NOW_US)
        case _:
            raise AssertionError(step)


@settings(max_examples=150)
@given(steps, st.lists(st.booleans(), min_size=80, max_size=80))
def test_saving_and_loading_at_any_point_changes_nothing(
    taken: list[tuple[object, ...]], saves: list[bool]
) -> None:
    """The same alerts and the same timers as one that is never saved."""
    kept, saved = SymbolAnomalies(SMALL), SymbolAnomalies(SMALL)
    for version, (step, save) in enumerate(zip(taken, saves, strict=False)):
        if save:
            saved = SymbolAnomalies.load(saved.dump(), SMALL)
        assert take(kept, step, version) == take(saved, step, version)
        assert kept.next_timer() == saved.next_timer()


@settings(max_examples=150)
@given(steps)
def test_revisions_of_an_alert_follow_each_other(taken: list[tuple[object, ...]]) -> None:
    """They count from 1, each says something new, and all of them have one event time."""
    anomalies = SymbolAnomalies(SMALL)
    alerts = [alert for version, step in enumerate(taken) for alert in take(anomalies, step, version)]
    for alert_id in {alert.alert_id for alert in alerts}:
        revisions = [alert for alert in alerts if alert.alert_id == alert_id]
        assert [alert.revision for alert in revisions] == list(range(1, len(revisions) + 1))
        assert {alert.event_time for alert in revisions} == {revisions[0].event_time}
        said = [(alert.status, alert.severity) for alert in revisions]
        assert all(one != other for one, other in pairwise(said))
        assert said[0][0] == "raised"


def test_a_new_symbol_has_no_state() -> None:
    """And can be saved as it is."""
    anomalies = SymbolAnomalies.load(None, Thresholds())
    assert anomalies.next_timer() is None
    assert SymbolAnomalies.load(anomalies.dump(), Thresholds()).dump() == anomalies.dump()


def test_a_state_of_another_layout_is_refused() -> None:
    """It was written by another version."""
    with pytest.raises(ValueError, match=r"layout 9 cannot be read by this version \(it reads 2\)"):
        SymbolAnomalies.load(msgpack.packb([9, 1, 2]), Thresholds())


def test_a_state_from_before_stops_were_known_is_read() -> None:
    """Layout 1: what it knew is there, and goes on."""
    driver = Driver()
    for at in range(20):
        driver.trade(at)
    _, *fields, stale = msgpack.unpackb(driver.state or b"")
    before = msgpack.packb([1, *fields, stale[:9]])
    assert SymbolAnomalies.load(before, driver.thresholds).dump() == driver.state


def test_the_state_has_a_bound() -> None:
    """The worst market there is: one way, slice after slice, every bar an alert, nothing cooled down."""
    driver = Driver(replace(Thresholds(), cooldown=1, rsi_intervals=tuple(INTERVALS)))
    sizes = []
    for minute in range(120):
        for at in range(0, 60_000, 500):
            price = 100 + (minute * 60_000 + at) / 100
            driver.trade(minute * 60 + at / 1000, price, skewed=1)
        for interval, length in INTERVALS.items():
            start = minute * length // MINUTE_US
            rsi, volume = (99.0, 1e12) if minute % 2 else (1.0, 1.0)
            driver.bar(
                a_candle(
                    start, interval, final=True, volume=volume, rsi=rsi, prices=(100.0, 150.0, 50.0, 100.0)
                )
            )
        sizes.append(len(driver.state or b""))
    assert max(sizes) < 8_000
    assert max(sizes[60:]) <= max(sizes[:60]) * 1.05
