"""What a log line looks like."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from schemas.logs import configure_logging
from schemas.settings import LogSettings


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Logging is global to the process: afterwards it is as it was."""
    config, root = structlog.get_config(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.configure(**config)
    structlog.contextvars.clear_contextvars()
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(settings: LogSettings, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What a part and a library that both log at all levels write to standard error."""
    configure_logging(settings, "a_part")
    log = structlog.get_logger("api.somewhere")
    log.debug("something_small")
    log.info("something_happened", symbol="AAPL", price=1.5)
    library = logging.getLogger("some_library")
    library.info("chatter")
    library.warning("trouble: %s", 5)
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        log.exception("it_failed")
    output = capsys.readouterr()
    assert output.out == ""
    return output.err.splitlines()


def events(settings: LogSettings, capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [json.loads(line)["event"] for line in lines(settings, capsys)]


def test_a_line_is_one_json_object_with_time_level_and_part(capsys: pytest.CaptureFixture[str]) -> None:
    """A stack trace is inside its line."""
    entries = [json.loads(line) for line in lines(LogSettings(), capsys)]
    for entry in entries:
        assert entry.pop("timestamp").endswith("Z")
    failed = entries.pop()
    assert entries == [
        {"event": "something_happened", "symbol": "AAPL", "price": 1.5, "level": "info", "part": "a_part"},
        {"event": "trouble: 5", "level": "warning", "part": "a_part"},
    ]
    assert (failed["event"], failed["level"]) == ("it_failed", "error")
    assert "ZeroDivisionError" in failed["exception"]


def test_we_speak_from_log_level_on_and_libraries_from_warning_on(capsys: pytest.CaptureFixture[str]) -> None:
    """A library's chatter never hides what we say; at ERROR it is quiet too."""
    assert events(LogSettings(log_level="DEBUG"), capsys) == [
        "something_small",
        "something_happened",
        "trouble: 5",
        "it_failed",
    ]
    assert events(LogSettings(log_level="ERROR"), capsys) == ["it_failed"]


def test_a_console_gets_lines_for_eyes(capsys: pytest.CaptureFixture[str]) -> None:
    """Not JSON, with the same content."""
    text = "\n".join(lines(LogSettings(log_format="console"), capsys))
    assert "something_happened" in text
    assert not text.startswith("{")
