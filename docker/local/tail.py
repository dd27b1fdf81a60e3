"""The end of a log file."""

from collections import deque
from pathlib import Path


def last_lines(path: Path, count: int) -> str:
    """The last ``count`` lines, without the newline at the end; empty where there is no such file."""
    if not path.is_file():
        return ""
    with path.open(encoding="utf-8", errors="replace") as file:
        return "".join(deque(file, maxlen=count)).rstrip("\n")
