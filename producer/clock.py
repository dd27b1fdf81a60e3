"""The clock that every source and the publisher are given, so that tests can turn it by hand."""

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """Wall time, and waiting for it."""

    def now_us(self) -> int:
        """Microseconds since 1970-01-01 UTC."""

    def sleep(self, seconds: float) -> None:
        """Waits, for less where the part is asked to stop."""


class SystemClock:
    """The machine's clock. ``interrupt`` ends every wait early, so that a stop never waits for one."""

    def __init__(self, interrupt: threading.Event) -> None:
        self._interrupt = interrupt

    def now_us(self) -> int:
        return time.time_ns() // 1000

    def sleep(self, seconds: float) -> None:
        self._interrupt.wait(seconds)
