"""latency: medians of windows on a clock that the test turns."""

import pytest

from jobs.domain.anomalies import LatencyLimits, LatencyMonitor
from jobs.domain.anomalies.latency import MOST_SAMPLES
from schemas.events import Alert
from tests.unit.jobs.anomalies.driver import SECOND_US, brief, us


class Monitor:
    """A monitor, and its clock in seconds."""

    def __init__(self, limits: LatencyLimits | None = None, worker: str = "") -> None:
        self.at = 0.0
        self.monitor = LatencyMonitor(limits or LatencyLimits(), lambda: us(self.at), worker)

    def window(self, *milliseconds: float, path: str = "trade_to_bar", source: str = "sim") -> list[Alert]:
        """The alerts of the next 10 s, in which these latencies are observed."""
        for value in milliseconds:
            self.monitor.observe(path, source, round(value * 1000))
        self.at += 10
        return self.monitor.due()


@pytest.mark.parametrize(
    ("middle", "severity"),
    [
        (100.0, None),
        (100.001, "low"),
        (199.9, "low"),
        (200.0, "medium"),
        (499.9, "medium"),
        (500.0, "high"),
        (1000.0, "critical"),
    ],
)
@pytest.mark.parametrize("path", ["source_to_kafka", "trade_to_bar"])
def test_thresholds_and_severities(path: str, middle: float, severity: str | None) -> None:
    """By the median: what is fast or slow now and then does not count."""
    expected = [] if severity is None else [("latency", 1, "raised", severity)]
    assert brief(Monitor().window(1, 2, middle, 9000, 9000, path=path)) == expected


def test_the_alert_says_what_happened() -> None:
    """It is about no symbol."""
    (alert,) = Monitor(worker="3").window(*[120.0] * 5)
    assert alert.alert_id == f"latency:*:trade_to_bar.sim.3:{us(0)}"
    assert (alert.symbol, alert.event_time, alert.updated_at) == ("*", us(0), us(10))
    assert (alert.value, alert.threshold) == (120.0, 100.0)
    assert alert.message == "trade_to_bar of sim: median 120.0 ms, more than 100 ms"


def test_each_path_has_its_threshold() -> None:
    """One may be slower than the other."""
    monitor = Monitor(LatencyLimits({"source_to_kafka": 500_000, "trade_to_bar": 50_000}))
    assert monitor.window(*[500.0] * 5, path="source_to_kafka") == []
    assert monitor.window(*[51.0] * 5) != []


def test_nothing_is_judged_before_the_window_ends() -> None:
    """And nothing twice."""
    monitor = Monitor()
    for _ in range(10):
        monitor.monitor.observe("trade_to_bar", "sim", 300_000)
    monitor.at = 9.999
    assert monitor.monitor.due() == []
    monitor.at = 10
    assert len(monitor.monitor.due()) == 1
    assert monitor.monitor.due() == []


def test_a_few_samples_say_nothing() -> None:
    """They neither raise an alert nor resolve one."""
    monitor = Monitor()
    assert monitor.window(*[300.0] * 4) == []
    assert monitor.window(*[300.0] * 5) != []
    assert monitor.window(*[1.0] * 4) == []
    assert brief(monitor.window(*[1.0] * 5)) == [("latency", 2, "resolved", "medium")]


def test_it_lasts_until_it_is_below_again() -> None:
    """One alert, with the highest severity that it had; exactly the threshold is below."""
    monitor = Monitor()
    alerts = [monitor.window(*[middle] * 5) for middle in [150, 120, 600, 150, 100, 50]]
    assert [brief(each) for each in alerts] == [
        [("latency", 1, "raised", "low")],
        [],
        [("latency", 2, "raised", "high")],
        [],
        [("latency", 3, "resolved", "high")],
        [],
    ]
    assert {alert.alert_id for each in alerts for alert in each} == {f"latency:*:trade_to_bar.sim:{us(0)}"}


def test_within_the_cooldown_there_is_no_second_one() -> None:
    """Five minutes; if it is too slow then, it is said then."""
    monitor = Monitor()
    monitor.window(*[150] * 5)
    monitor.window(*[50] * 5)
    raised = [window for window in range(2, 40) if monitor.window(*[150] * 5)]
    assert raised == [30]


def test_paths_and_sources_are_judged_apart() -> None:
    """One slow source is one alert."""
    monitor = Monitor()
    for source, latency in [("fast", 10_000), ("slow", 300_000)]:
        for _ in range(5):
            monitor.monitor.observe("source_to_kafka", source, latency)
    alerts = monitor.window(*[300.0] * 5)
    assert [alert.alert_id for alert in alerts] == [
        f"latency:*:source_to_kafka.slow:{us(0)}",
        f"latency:*:trade_to_bar.sim:{us(0)}",
    ]


def test_a_window_of_any_number_keeps_a_bounded_sample() -> None:
    """Spread evenly over it, so its median is that of all, nearly."""
    monitor = Monitor()
    for number in range(100_001):
        monitor.monitor.observe("trade_to_bar", "sim", number * 10)
    (samples,) = [state.samples for state in monitor.monitor._paths.values()]
    assert len(samples.values) < MOST_SAMPLES
    assert monitor.window()[0].value == pytest.approx(500.0, rel=0.01)


def test_an_unknown_path_is_an_error() -> None:
    """Nobody would ever judge it."""
    with pytest.raises(KeyError, match="elsewhere"):
        Monitor().monitor.observe("elsewhere", "sim", 1)


def test_the_window_is_a_setting() -> None:
    """In microseconds."""
    monitor = Monitor(LatencyLimits(window=20 * SECOND_US))
    assert monitor.window(*[300.0] * 5) == []
    assert len(monitor.window()) == 1
