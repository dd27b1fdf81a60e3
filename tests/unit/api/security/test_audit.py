"""The audit log as an operator finds it: lines on standard error of a process of its own."""

import json
import subprocess
import sys

SCENE = """
from api.security import audit
from schemas.logs import configure_logging
from schemas.settings import LogSettings

configure_logging(LogSettings(log_level="ERROR"), "api")
audit.refusal("GET", "/api/v1/stats/summary", "203.0.113.7", None, "key_needed")
"""


def test_an_audit_line_is_one_json_object_whatever_the_level() -> None:
    """With the path, who asked and how it ended as fields of their own, to be searched by."""
    done = subprocess.run(
        [sys.executable, "-c", SCENE], capture_output=True, text=True, timeout=60, check=True
    )
    [line] = [json.loads(text) for text in done.stderr.splitlines()]
    del line["timestamp"]
    assert line == {
        "event": "audit_refusal",
        "level": "info",
        "part": "api",
        "logger": "api.audit",
        "method": "GET",
        "path": "/api/v1/stats/summary",
        "address": "203.0.113.7",
        "key_id": None,
        "outcome": "key_needed",
    }
