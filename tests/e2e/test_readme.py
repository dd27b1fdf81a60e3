"""The README's commands, run as they are written, against the live system."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pandas as pd
import pytest

from docker.local.settings import PROJECT
from tests.support.servers import LiveSystem

pytestmark = pytest.mark.servers
README = (PROJECT / "README.md").read_text(encoding="utf-8")
CONSUMERS = ("confluent_kafka", "websockets")
DEFAULTS = {"127.0.0.1:8000": "api_port", "127.0.0.1:8082": "registry_port", "127.0.0.1:9092": "kafka_port"}
SHOW_FRAME = """
final = bars[bars["final"]]
starts = [start.strftime("%Y-%m-%dT%H:%M:%SZ") for start in final.index]
names = ["version", "open", "close", "volume", "session_vwap"]
rows = [dict(zip(names, row)) | {"start": start} for start, row in zip(starts, final[names].values.tolist())]
import json
print(json.dumps({"timezone": str(bars.index.tz), "starts": starts, "bars": rows}))
"""
"""Added to the README's program: what is in its frame, as JSON."""


def with_ports_of(live: LiveSystem, text: str) -> str:
    """The text with the addresses of this system in place of the default ones."""
    for address, port in DEFAULTS.items():
        text = text.replace(address, f"127.0.0.1:{getattr(live.settings, port)}")
    return text


def test_every_curl_command_gets_its_answer(live_system: LiveSystem) -> None:
    """Each is answered with 200, and JSON that is not empty or the lines of a file."""
    commands = re.findall(r"^curl .*$", README, re.MULTILINE)
    assert len(commands) >= 4
    for command in commands:
        to_print = with_ports_of(live_system, command).replace("curl -s", "printf %s", 1)
        url = subprocess.run(["/bin/sh", "-c", to_print], capture_output=True, text=True, check=True).stdout
        answer = httpx.get(url, timeout=30)
        assert answer.status_code == 200, f"{command}: {answer.text}"
        assert len(answer.text.splitlines()) > 1 if "format=csv" in command else answer.json()


def python_block(using: str) -> str:
    """The one Python program of the README that imports a package."""
    programs = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (program,) = [program for program in programs if re.search(rf"^(from|import) {using}\b", program, re.M)]
    return str(program)


def test_there_is_no_python_that_is_not_run() -> None:
    """Each block of Python is one of those below."""
    assert len(re.findall(r"```python\n", README)) == 3


@pytest.fixture(scope="module")
def readers(live_system: LiveSystem) -> Iterator[dict[str, "subprocess.Popen[str]"]]:
    """The README's consumers, by what they import: all at once, as each waits for the end of a minute."""
    with ExitStack() as running:
        started = {}
        for package in CONSUMERS:
            command = [sys.executable, "-u", "-c", with_ports_of(live_system, python_block(package))]
            reader = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            running.enter_context(reader)
            running.callback(reader.kill)
            started[package] = reader
        yield started


@pytest.mark.parametrize("package", CONSUMERS)
def test_a_consumer_prints_final_bars(readers: dict[str, "subprocess.Popen[str]"], package: str) -> None:
    """From Kafka or the WebSocket, within two minutes: symbol, start, close and a version of a final bar."""
    output = readers[package].stdout
    assert output is not None
    symbol, *start, close, version = output.readline().split()
    assert symbol.isalpha()
    moment = pd.Timestamp(" ".join(start))
    assert (moment.second, str(moment.tz)) == (0, "UTC")
    assert float(close) > 0
    assert int(version) % 2 == 1, "versions of final bars are odd"


def test_the_data_frame_holds_what_rest_answers(live_system: LiveSystem) -> None:
    """All pages, oldest first under a UTC index, the indicators as columns beside the bars."""
    program = with_ports_of(live_system, python_block("pandas"))
    assert "limit=1000" in program
    paged = program.replace("limit=1000", "limit=1") + SHOW_FRAME
    shown = subprocess.run(
        [sys.executable, "-c", paged], capture_output=True, text=True, timeout=120, check=False
    )
    assert shown.returncode == 0, shown.stderr
    frame = json.loads(shown.stdout.splitlines()[-1])
    url = f"http://127.0.0.1:{live_system.settings.api_port}/api/v1/candles/AAPL"
    page = httpx.get(
        url, params={"interval": "1m", "include": "indicators", "limit": 1000}, timeout=30
    ).json()
    final = {bar["start"]: bar for bar in page["candles"] if bar["final"]}
    assert frame["timezone"] == "UTC"
    assert frame["starts"] == sorted(frame["starts"])
    assert set(frame["starts"]) <= final.keys()
    assert len(frame["starts"]) >= len(final) - 1, "one may have become final meanwhile"
    unchanged = [bar for bar in frame["bars"] if bar["version"] == final[bar["start"]]["version"]]
    assert unchanged
    for bar in unchanged:
        shown_values = [bar[name] for name in ("open", "close", "volume", "session_vwap")]
        expected = final[bar["start"]]
        assert shown_values == [
            expected["open"],
            expected["close"],
            expected["volume"],
            expected["indicators"]["session_vwap"],
        ]
