"""Timers of our processes: asked of the system itself."""

import subprocess
import sys
from pathlib import Path

import pytest

from docker.local.timers import SLACK_NS, unhurried

OWN = Path("/proc/self/timerslack_ns")
ASK = "from pathlib import Path; print(Path('/proc/self/timerslack_ns').read_text())"
ASK_A_CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {ASK!r}], check=True)"

pytestmark = pytest.mark.skipif(not OWN.exists(), reason="this system tells no timer slack")


def slack_of_a_child(program: str) -> int:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.parametrize("program", [ASK, ASK_A_CHILD])
def test_what_is_started_meanwhile_has_the_slack_and_so_has_what_it_starts(program: str) -> None:
    """And nothing that is started before or after."""
    usual = slack_of_a_child(program)
    assert usual < SLACK_NS
    with unhurried():
        assert slack_of_a_child(program) == SLACK_NS
    assert slack_of_a_child(program) == usual


def test_we_have_ours_back_when_the_start_fails() -> None:
    """Else all that we start later had it, too."""
    usual = int(OWN.read_text())
    with pytest.raises(OSError, match="no-such-program"), unhurried():
        subprocess.run(["/no-such-program"], check=True)
    assert int(OWN.read_text()) == usual
