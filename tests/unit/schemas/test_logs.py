"""What a log line looks like, in a process of its own: logging is global."""

import json
import subprocess
import sys

SCRIPT = """
import logging, structlog
from schemas.logs import configure_logging
from schemas.settings import LogSettings
configure_logging(LogSettings(), "a_part")
log = structlog.get_logger("api.somewhere")
log.debug("not_at_info")
log.info("something_happened", symbol="AAPL", price=1.5)
logging.getLogger("some_library").info("chatter")
logging.getLogger("some_library").warning("trouble: %s", 5)
try:
    1 / 0
except ZeroDivisionError:
    log.exception("it_failed")
"""


def lines(**environment: str) -> list[str]:
    """What the script writes to standard error."""
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True
    )
    assert result.stdout == ""
    return result.stderr.splitlines()


def test_a_line_is_one_json_object_with_time_level_and_part() -> None:
    """Ours from LOG_LEVEL on, libraries from WARNING on, a stack trace inside its line."""
    entries = [json.loads(line) for line in lines()]
    for entry in entries:
        assert entry.pop("timestamp").endswith("Z")
    failed = entries.pop()
    assert entries == [
        {"event": "something_happened", "symbol": "AAPL", "price": 1.5, "level": "info", "part": "a_part"},
        {"event": "trouble: 5", "level": "warning", "part": "a_part"},
    ]
    assert (failed["event"], failed["level"]) == ("it_failed", "error")
    assert "ZeroDivisionError" in failed["exception"]


def test_level_and_format_follow_the_settings() -> None:
    """At ERROR only the failure is left; on a console it is for eyes."""
    assert [json.loads(line)["event"] for line in lines(LOG_LEVEL="ERROR")] == ["it_failed"]
    console = "\n".join(lines(LOG_FORMAT="console", LOG_LEVEL="DEBUG"))
    assert "not_at_info" in console
    assert not console.startswith("{")
