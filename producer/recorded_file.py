"""One recorded file, line by line, whatever is in it."""

import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from io import TextIOWrapper
from pathlib import Path
from typing import IO, NamedTuple, cast

import structlog

from producer.frame_lines import BEGINNING, Adapters, Event, FrameParser, frame_parser
from producer.recording import Parser, mapping_for
from producer.sources import Rejected
from producer.validation import EARLIEST_US
from schemas.errors import ConfigurationError, PoisonError

log = structlog.get_logger()

MOST_LINE = 1_000_000
"""Characters of a line; what is longer is taken for several unreadable lines, in bounded memory."""

MOST_FRAME = 40_000_000
"""Characters of a line with a recorded message: PROVIDER_MAX_FRAME_BYTES of it, and what JSON adds."""

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


class RecordedFile:
    """A CSV or JSON lines file, ``.gz`` too. Begin with ``rows``, end with ``close``."""

    def __init__(
        self, path: Path, format_text: str, latest_us: int, adapters: Adapters | None = None
    ) -> None:
        """Reads how the file begins. An event time beyond ``latest_us`` is wrong, and moves no clock.
        ``adapters``: what reads recorded messages of providers.

        Raises ConfigurationError where the file cannot be read or its columns do not fit ``format_text``.
        """
        self._path = path
        self._latest_us = latest_us
        self._adapters = adapters
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
                self._parser, self._peeked = self._begin(suffix, format_text)
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

    def rows(self) -> Iterator[RecordedRow]:
        """Every line that is not blank, in order. Raises ConfigurationError where the file ends in damage."""
        running_us = 0
        decided = self._parser.decides
        for line in self._read():
            self._line += 1
            text = line.rstrip("\r\n")
            if not text or text.isspace():
                continue
            for event in self._events(text):
                if not isinstance(event, Rejected) and (
                    running_us < event.event_time <= self._latest_us and event.event_time >= EARLIEST_US
                ):
                    running_us = event.event_time
                yield RecordedRow(running_us, event, decided)

    def _events(self, text: str) -> Sequence[Event]:
        """What a line holds."""
        parser = self._parser
        try:
            return (
                parser.parse(text) if isinstance(parser, FrameParser) else (parser.parse(text, self._line),)
            )
        except PoisonError as error:
            return (self._refused(text, error),)

    def _read(self) -> Iterator[str]:
        yield from self._peeked
        try:
            while line := self._lines.readline(self._most):
                yield line
        except Damage as error:
            if isinstance(self._parser, FrameParser):  # whoever recorded it was cut off while writing
                log.warning("recording_cut_off", file=str(self._path), line=self._line, error=str(error))
                return
            raise ConfigurationError(
                f"{self._path} is damaged after line {self._line} ({error}): what comes before it has been"
                f" published; repair the file and replay it again"
            ) from error

    def _begin(self, suffix: str, format_text: str) -> tuple[Parser | FrameParser, list[str]]:
        """The parser of this file, and the lines that were read to find it and are still to be parsed."""
        name = self._path.name
        stem = name.removesuffix(".gz")[: -len(suffix)]
        first = self._lines.readline(MOST_LINE)
        if not first.strip():
            raise ConfigurationError(f"{self._path} is empty, or begins with an empty line")
        if first.startswith(BEGINNING):
            self._most = MOST_FRAME
            rest = "" if first.endswith("\n") else self._lines.readline(MOST_FRAME)
            return frame_parser(format_text, self._adapters, name), [first + rest]
        if suffix in CSV_SUFFIXES:
            self._line = 1
            columns = [column.strip().strip('"') for column in first.rstrip("\r\n").split(",")]
            return Parser(mapping_for(format_text, columns, name), columns, stem), []
        peeked = [first]
        while (keys := _keys(peeked[-1])) is None:
            line = self._lines.readline(MOST_LINE)
            if not line or len(peeked) == MOST_PEEKED:
                raise ConfigurationError(f"{self._path}: no JSON object in its first {len(peeked)} lines")
            peeked.append(line)
        return Parser(mapping_for(format_text, keys, name), None, stem), peeked

    def _refused(self, text: str, error: PoisonError) -> Rejected:
        detail = f"{self._path.name}:{self._line}: {error.detail}"
        return Rejected(error.reason, detail, text.encode(errors="surrogateescape"), self._parser.kind)


def _keys(line: str) -> list[str] | None:
    """The keys of the JSON object in a line; None where there is none."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return list(row) if isinstance(row, dict) else None
