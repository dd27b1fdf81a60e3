"""The README's commands, run as they are written, against the live system."""

import re
import shlex
import subprocess
import sys

import httpx
import pytest

from docker.local.settings import PROJECT
from tests.support.servers import LiveSystem

pytestmark = pytest.mark.servers
README = (PROJECT / "README.md").read_text(encoding="utf-8")
DEFAULTS = {"127.0.0.1:8000": "api_port", "127.0.0.1:8082": "registry_port", "127.0.0.1:9092": "kafka_port"}


def with_ports_of(live: LiveSystem, text: str) -> str:
    """The text with the addresses of this system in place of the default ones."""
    for address, port in DEFAULTS.items():
        text = text.replace(address, f"127.0.0.1:{getattr(live.settings, port)}")
    return text


def test_every_curl_command_gets_its_answer(live_system: LiveSystem) -> None:
    """Each is answered with 200 and JSON that is not empty."""
    commands = re.findall(r"^curl .*$", README, re.MULTILINE)
    assert len(commands) >= 4
    for command in commands:
        url = shlex.split(with_ports_of(live_system, command))[-1]
        answer = httpx.get(url, timeout=30)
        assert answer.status_code == 200, f"{command}: {answer.text}"
        assert answer.json()


def test_the_consumer_prints_final_bars(live_system: LiveSystem) -> None:
    """The ten lines of Python print a final 1m bar within two minutes."""
    (program,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    command = [sys.executable, "-u", "-c", with_ports_of(live_system, program)]
    reader = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert reader.stdout is not None
    try:
        symbol, *_ = reader.stdout.readline().split()
        assert symbol.isalpha()
    finally:
        reader.kill()
        reader.wait()
        reader.stdout.close()
