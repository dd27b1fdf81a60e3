"""What is around the source and the publisher: settings, start, heartbeats, metrics, exit codes."""

import os
import socket
import urllib.request

import pytest
import structlog

from producer import main
from producer.heartbeats import Heartbeats
from producer.metrics import ProducerMetrics
from producer.metrics_server import MetricsServer
from producer.progress import ReachedRate
from producer.settings import SCENARIOS, ProducerSettings, ReplaySettings
from producer.startup import StopRequestedError, patiently
from schemas.errors import ConfigurationError, UnavailableError
from schemas.settings import load_settings
from tests.unit.producer.fakes import FakeClock, fake_runtime


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each setting from the variable of its name; lists by commas; empty means default."""
    monkeypatch.setenv("SYMBOLS", "AAPL, MSFT,AAPL")
    monkeypatch.setenv("TRADES_PER_SECOND", "2500")
    monkeypatch.setenv("SIMULATOR_SCENARIOS", "late_trade,duplicate")
    monkeypatch.setenv("REPLAY_FILES", "a.csv,b.csv")
    monkeypatch.setenv("LEDGER_FILE", "")
    settings = load_settings(ProducerSettings)
    assert settings.symbols == ("AAPL", "MSFT")
    assert settings.trades_per_second == 2500
    assert settings.simulator_scenarios == ("late_trade", "duplicate")
    assert settings.replay_files == ("a.csv", "b.csv")
    assert settings.ledger_file == ""


@pytest.mark.parametrize(("text", "names"), [("all", SCENARIOS), ("none", ()), ("", SCENARIOS)])
def test_all_and_no_scenarios_have_a_word(
    monkeypatch: pytest.MonkeyPatch, text: str, names: tuple[str, ...]
) -> None:
    """``all`` and ``none`` stand for what they say."""
    monkeypatch.setenv("SIMULATOR_SCENARIOS", text)
    assert load_settings(ProducerSettings).simulator_scenarios == names


@pytest.mark.parametrize(("text", "speed"), [("max", None), ("1", 1.0), ("60x", 60.0), ("0.5", 0.5)])
def test_speeds(text: str, speed: float | None) -> None:
    """A number of times real time, or as fast as possible."""
    assert ReplaySettings(replay_speed=text).speed == speed


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SYMBOLS", "aapl"),
        ("TRADES_PER_SECOND", "0"),
        ("SIMULATOR_SCENARIOS", "earthquake"),
        ("REPLAY_SPEED", "fast"),
        ("REPLAY_SPEED", "0"),
        ("REPLAY_SPEED", "nan"),
        ("SOURCE", "crystal_ball"),
        ("PRODUCER_METRICS_PORT", "99999"),
    ],
)
def test_a_wrong_setting_is_one_line_and_an_exit_code_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    """The line names the variable and its value; there is no traceback."""
    monkeypatch.setenv(name, value)
    assert main.main() == os.EX_CONFIG
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert f"{name}={value}" in lines[0] or repr(value) in lines[0]


@pytest.mark.parametrize("name", ["iex", "iex_cloud", "iexcloud"])
def test_a_source_that_is_gone_is_refused_with_what_to_use(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """IEX Cloud has closed: nobody is sent there with a token."""
    monkeypatch.setenv("SOURCE", name)
    assert main.main() == os.EX_CONFIG
    error = capsys.readouterr().err
    assert "closed on 2024-08-31" in error
    assert "SOURCE=finnhub" in error


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ("simulator,replay", "SOURCES names replay among others"),
        ("simulator,simulator", "SOURCES names one twice"),
        ("simulator,nobody", "no source 'nobody'"),
    ],
)
def test_sources_that_cannot_be_together_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], names: str, says: str
) -> None:
    """Each once, and a recording by itself."""
    monkeypatch.setenv("SOURCES", names)
    assert main.main() == os.EX_CONFIG
    assert says in capsys.readouterr().err


def test_heartbeats_are_due_once_an_interval_and_never_go_back() -> None:
    """None before the first event, then one for each interval of event time, the closing one in any case."""
    beats = Heartbeats(100_000)
    assert beats.due(0) is None
    assert beats.due(1_000_000) == 1000
    assert beats.due(1_099_999) is None
    assert beats.due(1_100_000) == 1100
    assert beats.due(900_000) is None
    assert beats.due(1_100_001, closing=True) == 1100
    assert beats.due(500_000, closing=True) == 1100


def test_waiting_for_servers_is_logged_and_ends_when_they_answer() -> None:
    """Each attempt is logged with its cause; the waits grow to five seconds."""
    runtime = fake_runtime(clock := FakeClock())
    answers = iter([UnavailableError("away")] * 6)

    def action() -> str:
        for error in answers:
            raise error
        return "there"

    with structlog.testing.capture_logs() as entries:
        assert patiently(action, runtime) == "there"
    assert clock.slept == [0.5, 1, 2, 5, 5, 5]
    assert [entry["error"] for entry in entries] == ["away"] * 6


def test_waiting_ends_when_the_part_is_stopped() -> None:
    """A stop during the wait is a stop, not an error."""
    runtime = fake_runtime()

    def action() -> None:
        runtime.stop.set()
        raise UnavailableError("away")

    with pytest.raises(StopRequestedError):
        patiently(action, runtime)


def test_waiting_does_not_hide_a_wrong_configuration() -> None:
    """Only an unavailable server is waited for."""

    def action() -> None:
        raise ConfigurationError("no such topic")

    with pytest.raises(ConfigurationError):
        patiently(action, fake_runtime())


def test_metrics_are_served_and_a_taken_port_is_named(free_port: int) -> None:
    """The port answers with our metrics; a second producer on it is told which setting to change."""
    metrics = ProducerMetrics()
    metrics.missed.inc(3)
    server = MetricsServer(metrics, "127.0.0.1", free_port)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{free_port}/metrics") as answer:
            assert b"producer_simulator_missed_trades_total 3.0" in answer.read()
        with pytest.raises(ConfigurationError, match="PRODUCER_METRICS_PORT"):
            MetricsServer(ProducerMetrics(), "127.0.0.1", free_port)
    finally:
        server.close()


def test_the_reached_rate_is_set_every_ten_seconds_and_logged_when_it_changes() -> None:
    """A steady rate is one line a minute; the metric follows every window."""
    clock, metrics = FakeClock(), ProducerMetrics()
    rate = ReachedRate(clock, metrics)
    with structlog.testing.capture_logs() as entries:
        trades = 0
        for second in range(100):
            clock.sleep(1)
            trades += 100 if second < 80 else 50
            rate.update(trades)
    assert [entry["per_second"] for entry in entries] == [100.0, 100.0, 50.0]
    assert metrics.registry.get_sample_value("producer_trades_per_second") == 50
