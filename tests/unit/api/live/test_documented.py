"""What the document of the WebSocket says is what the code does."""

import json
import re

import pytest

from api.live import messages, protocol
from api.live.protocol import FIELD_CODES, RESUME_FAILURES, parse_request
from docker.local.settings import PROJECT

LIVE = PROJECT / "api" / "live"
TEXT = (PROJECT / "api" / "WEBSOCKET.md").read_text(encoding="utf-8")
RAISED = re.compile(
    r'(?:ProtocolError|(?<!log\.)\berror)\(\s*"(\w+)"|return "(too_many_\w+)"|^\s+"(too_many_\w+)",',
    re.MULTILINE,
)
KIND = re.compile(r'_text\(\s*"(\w+)"|"type":"(\w+)"')


def table(title: str) -> dict[str, str]:
    """The rows of the table whose first column has this title: name -> meaning."""
    rows = TEXT.split(f"| {title} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    found: dict[str, str] = {}
    for row in rows:
        names, meaning = row.strip("| ").split(" | ", 1)
        found |= dict.fromkeys(re.findall(r"`(\w+)`", names), meaning)
    return found


def test_every_code_of_an_error_is_listed() -> None:
    """And none that there is not."""
    codes = set(FIELD_CODES.values()) | {"invalid_message", "too_slow"}
    for path in LIVE.glob("*.py"):
        codes |= {
            code for found in RAISED.findall(path.read_text(encoding="utf-8")) for code in found if code
        }
    assert table("`code` of `error`").keys() == codes
    assert table("`code` of `resume_failed`").keys() == RESUME_FAILURES.keys()


def test_every_type_of_message_is_listed() -> None:
    """Events and answers."""
    source = (LIVE / "protocol.py").read_text(encoding="utf-8")
    answers = {kind for found in KIND.findall(source) for kind in found if kind} - protocol.REQUESTS.keys()
    events = {kind for kind, *_ in messages.SHAPES.values()}
    assert table("`type`").keys() == events | answers | {"pong"}


def test_every_field_of_a_message_is_listed() -> None:
    """Of what a client may send."""
    fields = {name for kind in protocol.REQUESTS.values() for name in kind.model_fields} - {"type"}
    assert table("field").keys() == fields


@pytest.mark.parametrize("line", [line for line in TEXT.splitlines() if line.startswith('{"type": "')])
def test_every_example_is_one(line: str) -> None:
    """Of a client's messages, and of an event."""
    if json.loads(line)["type"] in protocol.REQUESTS:
        parse_request(line, 1000)
    else:
        assert json.loads(line).keys() == {"type", "seq", "channel", "symbol", "data"}
