"""How exactly the system's timers wake our processes."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

SLACK_NS = 1_000_000
"""So much later than asked a thread may be woken that waits for a time; one that waits for an event is woken
at once. Servers wait for times a great deal: Cassandra's threads look 16,000 times a second whether there is
work yet, and with Linux's 0.05 ms that was a tenth of a processor."""

_SET, _GET = 29, 30  # PR_SET_TIMERSLACK, PR_GET_TIMERSLACK of linux/prctl.h


@contextmanager
def unhurried(slack_ns: int = SLACK_NS) -> Iterator[None]:
    """Processes that are started in here have timers with so much slack, and so have theirs. Does nothing
    where the system is not Linux."""
    if sys.platform != "linux":
        yield
        return
    prctl = ctypes.CDLL(None).prctl
    before = prctl(_GET, 0, 0, 0, 0)
    prctl(_SET, ctypes.c_ulong(slack_ns), 0, 0, 0)
    try:
        yield
    finally:
        prctl(_SET, ctypes.c_ulong(before), 0, 0, 0)
