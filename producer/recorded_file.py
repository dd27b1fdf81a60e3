"""One recorded file, line by line, whatever is in it."""

import gzip
import json
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from io import TextIOWrapper
from pathlib import Path
from typing import IO, NamedTuple, cast

import structlog

from producer.frame_lines import BEGINNING, Event, chosen_provider
from producer.recording import Parser, mapping_for
from producer.sources import Kind, Rejected
from producer.validation import EARLIEST_US
from schemas.errors import ConfigurationError, PoisonError
from schemas.events import ProviderBar

log = structlog.get_logger()

MOST_LINE = 1_000_000
"""Characters of a line; what is longer is taken for several unreadable lines, in bounded memory."""

MOST_FRAME = 40_000_000
"""Characters of a line with a recorded frame: PROVIDER_MAX_FRAME_BYTES of it, and what JSON adds."""

MOST_PEEKED = 100
"""Lines of a JSON file that may be unreadable before the first object."""

CSV_SUFFIXES = (".csv",)
JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
Damage = (OSError, EOFError, zlib.error)


class RecordedRow(NamedTuple):
    """One line of a recording, and the greatest event time (us) of its file so far; 0 before the first."""

    running_us: int
    event: Event
    decided: bool
    """Whether the file says itself what its trades update."""


class RecordedLine(NamedTuple):
    """``place``: file and number of the line."""

    text: str
    place: str

    def refused(self, error: PoisonError, kind: Kind = "trade") -> Rejected:
        """Its dead letter."""
        payload = self.text.encode(errors="surrogateescape")
        return Rejected(error.reason, f"{self.place}: {error.detail}", payload, kind)


class RunningTime:
    """The greatest event time so far (us). One beyond ``latest_us`` is wrong, and moves nothing."""

    def __init__(self, latest_us: int) -> None:
        self._latest_us = latest_us
        self._us = 0

    def row(self, event: Event, *, decided: bool = False) -> RecordedRow:
        """The event as a row. Bars of providers have no part in event time."""
        if not isinstance(event, Rejected | ProviderBar) and (
            self._us < event.event_time <= self._latest_us and event.event_time >= EARLIEST_US
        ):
            self._us = event.event_time
        return RecordedRow(self._us, event, decided)


class RecordedFile:
    """A CSV or JSON lines file, ``.gz`` too. Begin with ``rows``, or with ``lines`` where they are frames of
    providers; end with ``close``."""

    def __init__(self, path: Path, format_text: str, latest_us: int) -> None:
        """Reads how the file begins. An event time beyond ``latest_us`` is wrong, and moves no clock.

        Raises ConfigurationError where the file cannot be read or its columns do not fit ``format_text``.
        """
        self._path = path
        self._latest_us = latest_us
        self._most = MOST_LINE
        self._line = 0
        suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
        if suffix not in CSV_SUFFIXES + JSON_SUFFIXES:
            raise ConfigurationError(
                f"{path}: recordings are {', '.join(CSV_SUFFIXES + JSON_SUFFIXES)}, or one of these with .gz"
            )
        with ExitStack() as opening:
            try:
                self._raw = opening.enter_context(path.open("rb"))
                self.size = path.stat().st_size
                binary: IO[bytes] = self._raw
                if path.name.endswith(".gz"):
                    binary = opening.enter_context(cast(IO[bytes], gzip.GzipFile(fileobj=self._raw)))
                # Bytes that are no UTF-8 make one line unreadable, not the file.
                text = TextIOWrapper(binary, encoding="utf-8-sig", errors="surrogateescape", newline="\n")
                self._lines = opening.enter_context(text)
                self._parser: Parser | None = None
                self._peeked = self._begin(suffix, format_text)
            except Damage as error:
                raise ConfigurationError(
                    f"REPLAY_FILES: {path} cannot be read ({error}): give the path of a recording"
                ) from error
            self._open = opening.pop_all()

    def close(self) -> None:
        self._open.close()

    @property
    def position(self) -> int:
        """Bytes of the file that have been read, up to ``size``."""
        return self._raw.tell()

    @property
    def folder(self) -> Path:
        return self._path.parent

    @property
    def has_frames(self) -> bool:
        """Whether its lines are those of ``producer.frame_lines``."""
        return self._parser is None

    def rows(self) -> Iterator[RecordedRow]:
        """What every line of a file without frames is, in order. Raises like ``lines``."""
        parser = self._parser
        if parser is None:
            raise TypeError(f"{self._path} has no rows but frames")
        running = RunningTime(self._latest_us)
        for line in self.lines():
            event: Event
            try:
                event = parser.parse(line.text, self._line)
            except PoisonError as error:
                event = line.refused(error, parser.kind)
            yield running.row(event, decided=parser.decides)

    def lines(self) -> Iterator[RecordedLine]:
        """Every line that is not blank, in order. Raises ConfigurationError where the file ends in damage."""
        for line in self._read():
            self._line += 1
            text = line.rstrip("\r\n")
            if text and not text.isspace():
                yield RecordedLine(text, f"{self._path.name}:{self._line}")

    def _read(self) -> Iterator[str]:
        yield from self._peeked
        try:
            while line := self._lines.readline(self._most):
                yield line
        except Damage as error:
            if self.has_frames:  # whoever recorded it was cut off while writing
                log.warning("recording_cut_off", file=str(self._path), line=self._line, error=str(error))
                return
            raise ConfigurationError(
                f"{self._path} is damaged after line {self._line} ({error}): what comes before it has been"
                f" published; repair the file and replay it again"
            ) from error

    def _begin(self, suffix: str, format_text: str) -> list[str]:
        """Finds the parser of this file, if it has rows; returns the lines that were read for that and are
        still to be parsed."""
        name = self._path.name
        stem = name.removesuffix(".gz")[: -len(suffix)]
        first = self._lines.readline(MOST_LINE)
        if not first.strip():
            raise ConfigurationError(f"{self._path} is empty, or begins with an empty line")
        if first.startswith(BEGINNING):
            self._most = MOST_FRAME
            rest = "" if first.endswith("\n") else self._lines.readline(MOST_FRAME)
            chosen_provider(format_text, name)
            return [first + rest]
        if suffix in CSV_SUFFIXES:
            self._line = 1
            columns = [column.strip().strip('"') for column in first.rstrip("\r\n").split(",")]
            self._parser = Parser(mapping_for(format_text, columns, name), columns, stem)
            return []
        peeked = [first]
        while (keys := _keys(peeked[-1])) is None:
            line = self._lines.readline(MOST_LINE)
            if not line or len(peeked) == MOST_PEEKED:
                raise ConfigurationError(f"{self._path}: no JSON object in its first {len(peeked)} lines")
            peeked.append(line)
        self._parser = Parser(mapping_for(format_text, keys, name), None, stem)
        return peeked


def _keys(line: str) -> list[str] | None:
    """The keys of the JSON object in a line; None where there is none."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return list(row) if isinstance(row, dict) else None
