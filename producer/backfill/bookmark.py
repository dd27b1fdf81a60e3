"""How far a backfill has come, in a file: what the same command goes on from."""

import contextlib
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

from producer.backfill.history import Asked
from schemas.errors import ConfigurationError


class Reached(NamedTuple):
    """``position`` of the next page; what the pages before it had: ``taken``, trades or bars, and bytes
    ``written``."""

    position: str = ""
    taken: int = 0
    written: int = 0


class Bookmark:
    """The file of one thing that is asked of one provider. It is replaced as a whole, never half written."""

    def __init__(self, folder: Path, provider: str, asked: Asked) -> None:
        """Raises ConfigurationError where the folder cannot be made."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"BACKFILL_DIR {folder} cannot be made: {error}") from error
        symbol = "".join(letter if letter.isalnum() or letter in ".-" else "_" for letter in asked.symbol)
        self.stem = folder / f"{symbol}-{provider}-{asked.start}-{asked.end}"
        self._path = self.stem.with_name(self.stem.name + ".state")

    def load(self) -> Reached:
        """Where to go on; the beginning where nothing is noted, or it cannot be read."""
        try:
            noted: Any = json.loads(self._path.read_text(encoding="utf-8"))
            position, taken, written = noted["position"], noted["taken"], noted["written"]
        except (OSError, ValueError, KeyError, TypeError):
            return Reached()
        return Reached(str(position), int(taken), int(written))

    def save(self, reached: Reached) -> None:
        """Notes it, so that it survives a kill."""
        beside = self._path.with_suffix(".tmp")
        with beside.open("w", encoding="utf-8") as file:
            json.dump(reached._asdict(), file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)

    def delete(self) -> None:
        """It is done."""
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
