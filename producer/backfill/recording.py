"""Pulled trades as a recording that `make replay` reads: our own field names, one JSON object a line."""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Self

import orjson

from schemas.errors import ConfigurationError
from schemas.events import Trade


class RecordingFile:
    """A recording that grows. What is behind ``written`` bytes was not noted and is cut off."""

    def __init__(self, path: Path, written: int) -> None:
        """Raises ConfigurationError where it cannot be written."""
        self._path = path
        try:
            path.touch()
            self._file = path.open("r+b")
            self._file.truncate(written)
            self._file.seek(written)
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be written: {error}; set BACKFILL_DIR") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, trades: Iterable[Trade]) -> int:
        """Adds trades; returns how many bytes there are now."""
        for trade in trades:
            self._file.write(orjson.dumps(asdict(trade)) + b"\n")
        self._file.flush()
        return self._file.tell()
