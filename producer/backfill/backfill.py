"""A backfill: trades out of a provider's history, to where they can still change something.

Within the horizon they go to the topic of the trades, as late trades: the bars get new versions. Only what
lies in gaps of the ledger is published: where one source was observed, another's trades would count twice.
What was seen already has the same identity, and counts once. Then the gap is told again, as filled.

Beyond the horizon bars are not corrected any more, they are made again: all trades of the range become a
recording, which is replayed as a new generation. A note beside it says what it covers: the replay, when it is
over, tells the gaps there as filled. Bars of providers are published as such, whatever their time.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import structlog

from producer.backfill.bookmark import Bookmark, Reached
from producer.backfill.covered import Covered
from producer.backfill.history import Asked, History
from producer.backfill.pull import Pulled, Puller
from producer.backfill.recording import RecordingFile
from producer.backfill.settings import BackfillSettings
from producer.publisher import Publisher
from producer.runtime import Runtime
from producer.sources import Batch
from producer.startup import StopRequestedError
from schemas.errors import UnavailableError
from schemas.events import Gap

log = structlog.get_logger()

PROGRESS_US = 5_000_000
Gate = Callable[[Batch], Batch]


class Backfill:
    """``gate``: what a batch goes through before it is published or recorded."""

    def __init__(
        self,
        settings: BackfillSettings,
        runtime: Runtime,
        history: History,
        puller: Puller,
        gate: Gate,
    ) -> None:
        self._settings = settings
        self._clock = runtime.clock
        self._stop = runtime.stop
        self._history = history
        self._puller = puller
        self._gate = gate
        self._said_us = 0

    def within_horizon(self, at_us: int, now_us: int | None = None) -> bool:
        """Whether bars of that time can still be corrected."""
        now_us = self._clock.now_us() if now_us is None else now_us
        return at_us > now_us - self._settings.horizon_seconds * 1_000_000

    async def fill(self, asked: Asked, gaps: Sequence[Gap], publisher: Publisher) -> int:
        """Publishes the trades in the gaps, as far as they lie in what is asked for; returns how many. Those
        gaps that do so as a whole are told again, as filled, where the bars have taken the trades: within the
        horizon."""
        total = 0
        for gap in gaps:
            piece = Asked(asked.symbol, max(gap.start, asked.start), min(gap.end, asked.end))
            taken = await self.publish(piece, publisher)
            total += taken
            told = {"gap_id": gap.gap_id, "trades": taken}
            now_us = self._clock.now_us()
            if not self.within_horizon(piece.start, now_us):
                log.warning("gap_not_filled", **told, detail="it has taken so long that bars may lack them")
            elif (piece.start, piece.end) != (gap.start, gap.end):
                log.info("gap_filled_in_part", **told)
            else:
                publisher.publish(Batch(0, gaps=[replace(gap, filled=True, updated_at=now_us)]))
                self._settle(publisher)
                log.info("gap_filled", **told)
        return total

    async def publish(self, asked: Asked, publisher: Publisher) -> int:
        """Publishes the trades or bars of the history; returns how many."""
        bookmark = Bookmark(self._settings.backfill_dir, self._history.adapter.name, asked)
        reached = bookmark.load()
        async for pulled in self._puller.pages(asked, reached.position):
            publisher.publish(self._batch(pulled))
            self._settle(publisher)
            reached = self._went_on(bookmark, asked, pulled, reached, 0)
        bookmark.delete()
        return reached.taken

    async def record(self, asked: Asked) -> tuple[Path, int]:
        """Writes the trades to a recording, and beside it what it covers; returns its path, and how many
        trades there are."""
        bookmark = Bookmark(self._settings.backfill_dir, self._history.adapter.name, asked)
        reached = bookmark.load()
        part = bookmark.stem.with_name(bookmark.stem.name + ".part")
        with RecordingFile(part, reached.written) as recording:
            async for pulled in self._puller.pages(asked, reached.position):
                batch = self._batch(pulled)
                for refused in batch.rejected:
                    log.warning("trade_refused", reason=refused.reason, detail=refused.detail)
                written = recording.write(batch.trades)
                reached = self._went_on(bookmark, asked, pulled, reached, written)
        path = bookmark.stem.with_name(bookmark.stem.name + ".jsonl")
        Covered.note(path, part, asked, self._history.adapter.name)
        part.replace(path)
        bookmark.delete()
        return path, reached.taken

    def _batch(self, pulled: Pulled) -> Batch:
        return self._gate(Batch(0, pulled.trades, bars=pulled.bars, rejected=pulled.rejected))

    def _settle(self, publisher: Publisher) -> None:
        publisher.settle()
        if publisher.failed:
            raise UnavailableError("Kafka has refused some of the trades: see above")
        self._check_stop()

    def _went_on(
        self, bookmark: Bookmark, asked: Asked, pulled: Pulled, before: Reached, written: int
    ) -> Reached:
        """Notes that a page is done, where another one follows."""
        taken = before.taken + len(pulled.trades) + len(pulled.bars)
        reached = Reached(pulled.position or "", taken, written)
        if pulled.position is not None:
            bookmark.save(reached)
        now_us = self._clock.now_us()
        if now_us - self._said_us >= PROGRESS_US:
            self._said_us = now_us
            done = max(0, min(asked.end, pulled.reached) - asked.start) / (asked.end - asked.start)
            log.info("backfill_progress", percent=round(100 * done, 1), count=reached.taken)
        self._check_stop()
        return reached

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise StopRequestedError


async def interruptible_sleep(runtime: Runtime, seconds: float) -> None:
    """Waits on the clock; raises StopRequestedError where the part is asked to stop."""
    await asyncio.to_thread(runtime.clock.sleep, seconds)
    if runtime.stop.is_set():
        raise StopRequestedError
