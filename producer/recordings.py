"""The files of a replay, or of a demo, as streams of rows."""

import heapq
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from producer.frame_lines import FrameReader, chosen_provider, frame_of
from producer.providers.contract import Frame
from producer.recorded_file import RecordedFile, RecordedLine, RecordedRow, RunningTime
from producer.settings import ReplaySettings
from schemas.errors import PoisonError


class Recordings:
    """Opens all files of REPLAY_FILES. Begin with ``streams``, end with ``close``.

    The files of a folder that hold frames of providers are one recording, which the recorder has cut in
    pieces: they are read in the order in which the frames came, whatever the order of the files, because what
    an answer brings is what those before it have not. Every other file is a stream by itself."""

    def __init__(self, settings: ReplaySettings, latest_us: int) -> None:
        """``latest_us``: see ``RecordedFile``. Raises ConfigurationError where a file cannot be read or does
        not fit REPLAY_FORMAT."""
        self._settings = settings
        self._latest_us = latest_us
        self.files: list[RecordedFile] = []
        with ExitStack() as opening:
            for path in settings.replay_files:
                self.files.append(RecordedFile(Path(path), settings.replay_format, latest_us))
                opening.callback(self.files[-1].close)
            self._open = opening.pop_all()

    def streams(self) -> list[Iterator[RecordedRow]]:
        """Each is in an order of its own; they are to be merged by their running times."""
        folders: dict[Path, list[RecordedFile]] = {}
        for file in self.files:
            if file.has_frames:
                folders.setdefault(file.folder, []).append(file)
        rows = [file.rows() for file in self.files if not file.has_frames]
        return [*rows, *map(self._of_frames, folders.values())]

    def close(self) -> None:
        self._open.close()

    def _of_frames(self, files: Sequence[RecordedFile]) -> Iterator[RecordedRow]:
        only = chosen_provider(self._settings.replay_format, str(files[0].folder))
        reader, running = FrameReader(self._settings, only), RunningTime(self._latest_us)
        for recorded in heapq.merge(*map(_frames, files), key=itemgetter(0)):
            try:
                events = reader.events(*recorded.frame())
            except PoisonError as error:
                events = (recorded.line.refused(error),)
            for event in events:
                yield running.row(event)


class _Recorded(NamedTuple):
    """A line with a frame, or with what is none; ``received_us``: when it came, or the one before it."""

    received_us: int
    line: RecordedLine
    content: tuple[str, Frame] | PoisonError

    def frame(self) -> tuple[str, Frame]:
        """The provider and its frame; raises PoisonError."""
        if isinstance(self.content, PoisonError):
            raise self.content
        return self.content


def _frames(file: RecordedFile) -> Iterator[_Recorded]:
    received_us = 0
    for line in file.lines():
        content: tuple[str, Frame] | PoisonError
        try:
            content = frame_of(line.text)
            received_us = content[1].received_us
        except PoisonError as error:
            content = error
        yield _Recorded(received_us, line, content)
