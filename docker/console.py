"""What the person at the terminal sees. Everything that is logged goes to the log files instead."""

import sys
from threading import Lock


class Console:
    """Writes lines to standard output, from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()

    def line(self, text: str = "") -> None:
        """One line, at once."""
        with self._lock:
            sys.stdout.write(text + "\n")
            sys.stdout.flush()

    def error(self, text: str) -> None:
        """One message on standard error."""
        with self._lock:
            sys.stderr.write(text + "\n")
            sys.stderr.flush()
