"""What a demo is started with."""

from pathlib import Path

import pytest

from docker.local import demo
from docker.local.__main__ import main
from docker.local.demo import demo_environment, recorded_session
from docker.local.supervisor import Supervisor
from schemas.errors import ConfigurationError
from schemas.settings import STOCKS


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "trades.csv"
    path.write_text("symbol,event_time,price,size\nBTCUSDT,1723161255000000,1,1\nAAPL,1723161255000001,1,1\n")
    return path


def test_recorded_symbols_come_first_and_the_others_are_simulated(file: Path) -> None:
    """Those of SYMBOLS, or the usual ones; none of them twice."""
    changes = demo_environment([file], "10", "simulator", {"SYMBOLS": "AAPL,MSFT", "SOURCES": "binance"})
    assert changes == {
        "SOURCE": "demo",
        "SOURCES": "",
        "REPLAY_FILES": str(file),
        "REPLAY_SPEED": "10",
        "DEMO_WITH": "simulator",
        "SYMBOLS": "BTCUSDT,AAPL,MSFT",
    }
    usual = demo_environment([file], "1", "simulator", {})["SYMBOLS"].split(",")
    assert usual == ["BTCUSDT", "AAPL", *(symbol for symbol in STOCKS if symbol != "AAPL")]


def test_alone_it_has_no_other_symbols(file: Path) -> None:
    """Nothing would ever come of them."""
    assert demo_environment([file], "1", "none", {"SYMBOLS": "MSFT"})["SYMBOLS"] == "BTCUSDT,AAPL"


def test_what_cannot_be_played_is_said_before_anything_starts(file: Path, tmp_path: Path) -> None:
    """A file that is not there, one with nothing in it, a speed that is none."""
    with pytest.raises(ConfigurationError, match=r"no recording .*gone\.csv: give a file"):
        demo_environment([tmp_path / "gone.csv"], "1", "none", {})
    broken = tmp_path / "broken.csv"
    broken.write_text("symbol,event_time,price,size\nnot a row\n")
    with pytest.raises(ConfigurationError, match=r"nothing can be read .*broken\.csv"):
        demo_environment([broken], "1", "none", {})
    with pytest.raises(ConfigurationError, match=r"REPLAY_SPEED=fast: .* is no speed"):
        demo_environment([file], "fast", "none", {})


def test_without_the_session_it_says_what_to_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The recording is not part of the project."""
    monkeypatch.setattr(demo, "PROJECT", tmp_path)
    with pytest.raises(ConfigurationError, match=r"is not here: .* make demo FILE=trades\.csv\.gz"):
        recorded_session()


def test_a_running_system_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], file: Path
) -> None:
    """A demo is a start of its own; what to do is said."""
    monkeypatch.setattr(Supervisor, "is_running", lambda _: True)
    assert main(["demo", str(file)]) == 1
    assert "`make down`" in "".join(capsys.readouterr())
