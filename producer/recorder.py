"""The recorder: every message and every answer of every provider, as it came, in files that a replay reads.

A file holds lines of ``producer.frame_lines``, compressed. Each second's lines are a gzip member of their
own, written at once: whatever becomes of this process, what was written can be read. Nothing that we send is
recorded but what was asked for, no address, and no key that a provider sends back. Of answers those are
recorded that somebody looks at: none with status 429, or 500 and above.
"""

import gzip
import threading
from collections import deque
from contextvars import copy_context
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import structlog
from pydantic import Field

from producer.frame_lines import line_of
from producer.metrics import ProducerMetrics
from producer.providers.contract import Frame
from schemas.errors import ConfigurationError
from schemas.settings import EnvironmentSettings

log = structlog.get_logger()

FLUSH_S = 1.0
MOST_TOGETHER = 4 * 1024 * 1024
"""Bytes of lines in one gzip member: what is compressed at once, in memory."""


class RecorderSettings(EnvironmentSettings):
    record: str = Field(
        "",
        description="folder that the messages and the answers of providers are recorded in, as they came,"
        " for replays; empty: none",
    )
    record_file_mb: int = Field(
        64,
        ge=1,
        le=4096,
        description="a file of the recorder that has become as large is followed by another",
    )
    record_queue_mb: int = Field(
        32,
        ge=1,
        le=1024,
        description="messages that may wait for the recorder's disk; beyond, they are not recorded, which is"
        " counted: the feed never waits",
    )


class Recorder:
    """Takes messages on any thread and writes them on its own."""

    def __init__(self, settings: RecorderSettings, metrics: ProducerMetrics) -> None:
        """Raises ConfigurationError where there cannot be a file."""
        self._folder = Path(settings.record)
        self._most_in_file = settings.record_file_mb * 1024 * 1024
        self._most_waiting = settings.record_queue_mb * 1024 * 1024
        self._recorded = metrics.recorded_frames
        self._missed = metrics.unrecorded_frames
        self._waiting: deque[tuple[str, Frame]] = deque()
        self._bytes = 0  # of what waits
        self._filled = threading.Condition()
        self._closing = self._failed = self._told = False
        self._file: IO[bytes] | None = None
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            TemporaryFile(dir=self._folder).close()
        except OSError as error:
            raise ConfigurationError(
                f"RECORD {self._folder} cannot be written ({error.strerror}): name a folder that can"
            ) from error
        self._thread = threading.Thread(
            target=copy_context().run, args=(self._run,), name="recorder", daemon=True
        )
        self._thread.start()

    def add(self, provider: str, frame: Frame) -> None:
        """Records the message soon; it never waits. Where there is no room it is counted instead."""
        with self._filled:
            full = self._bytes + len(frame.payload) > self._most_waiting
            if not full and not self._failed:
                self._waiting.append((provider, frame))
                self._bytes += len(frame.payload)
                return
            told, self._told = self._told, True
        self._missed.inc()
        if not told and full:
            log.warning("recorder_behind", detail="messages are not recorded: RECORD_QUEUE_MB of them wait")

    def close(self) -> None:
        """Writes what waits."""
        with self._filled:
            self._closing = True
            self._filled.notify()
        self._thread.join()
        if self._file is not None:
            self._file.close()

    def _run(self) -> None:
        closing = False
        while not closing:
            with self._filled:
                self._filled.wait_for(lambda: self._closing, FLUSH_S)
                closing = self._closing
            while taken := self._take():
                self._write(taken)

    def _take(self) -> list[tuple[str, Frame]]:
        """Some of what waits, of at most about MOST_TOGETHER."""
        taken: list[tuple[str, Frame]] = []
        size = 0
        with self._filled:
            while self._waiting and size < MOST_TOGETHER:
                taken.append(self._waiting.popleft())
                size += len(taken[-1][1].payload)
            self._bytes -= size
        return taken

    def _write(self, taken: list[tuple[str, Frame]]) -> None:
        if self._failed:
            self._missed.inc(len(taken))
            return
        lines = b"".join(line_of(provider, frame) for provider, frame in taken)
        try:
            if self._file is not None and self._file.tell() >= self._most_in_file:
                self._file.close()
                self._file = None
            if self._file is None:
                self._file = self._begin()
            self._file.write(gzip.compress(lines, compresslevel=3, mtime=0))
            self._file.flush()
        except OSError as error:
            self._failed = True
            self._missed.inc(len(taken))
            log.error("recorder_failed", error=error.strerror, detail="nothing more is recorded")
            return
        self._recorded.inc(len(taken))

    def _begin(self) -> IO[bytes]:
        """A new file; their names are in the order of time."""
        now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        return (self._folder / f"frames-{now}.jsonl.gz").open("xb")
