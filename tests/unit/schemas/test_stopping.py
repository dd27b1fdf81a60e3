"""A process that waits is asked to end by a signal."""

import signal
import subprocess
import sys
import threading

import pytest

PROGRAM = """
import signal, sys, threading
from schemas.stopping import set_on_signals

event = threading.Event()
set_on_signals(event)
with event._cond:  # as Event.wait does before it waits, and after
    signal.raise_signal(int(sys.argv[1]))
sys.exit(0 if event.wait(10) else "it was not set")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_wait_whenever_it_comes(number: signal.Signals) -> None:
    """Even while the main thread holds what the event is guarded by: it must not wait for itself."""
    assert hasattr(threading.Event(), "_cond")
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(int(number))], timeout=30, check=False)
    assert done.returncode == 0
