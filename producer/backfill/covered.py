"""What a recorded history covers, in a note beside the recording: so a replay knows which gaps it fills."""

import hashlib
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from producer.backfill.history import Asked
from schemas.errors import ConfigurationError

SUFFIX = ".covers"


class Covered(BaseModel):
    """Of ``symbol`` the recording has everything that ``source`` knows to have been traded in
    ``[start, end)``, us. ``sha256``: of the recording, so that nobody vouches for a file that was changed."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    symbol: str
    source: str
    start: int
    end: int
    sha256: str

    @classmethod
    def note(cls, recording: Path, written: Path, asked: Asked, source: str) -> Self:
        """Notes beside ``recording`` what it covers; as yet it is in the file ``written``. Raises
        ConfigurationError where that cannot be written."""
        try:
            covered = cls(
                symbol=asked.symbol, source=source, start=asked.start, end=asked.end, sha256=_digest(written)
            )
            _beside(recording).write_text(covered.model_dump_json() + "\n", encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(f"{_beside(recording)} cannot be written: {error}") from error
        return covered

    @classmethod
    def of(cls, recording: Path) -> Self | None:
        """What the note beside a recording says; None where there is none, or it is about another file."""
        try:
            covered = cls.model_validate_json(_beside(recording).read_bytes())
            return covered if covered.sha256 == _digest(recording) else None
        except (OSError, ValidationError):
            return None


def _beside(recording: Path) -> Path:
    return recording.with_name(recording.name + SUFFIX)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
