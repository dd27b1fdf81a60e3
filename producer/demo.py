"""Recordings played as if they happened now, over and over: something to look at when no market is open.

The first event is now, and the gaps between events are those of the recording, divided by the speed. What is
played is no provider's trade of today, so its ``source`` is ``demo``; its ids are new in each run and round.
Event times stay in the order of the recording, ``sequence`` stays what it was, and ``received_at`` is now.
Bars of providers are not played: they belong to their times.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from itertools import chain, islice

import structlog

from producer.clock import Clock
from producer.recordings import Recordings
from producer.replay import Replay
from producer.settings import ReplaySettings
from producer.sources import Batch, Rejected
from producer.validation import AHEAD_US
from schemas.errors import ConfigurationError
from schemas.events import Correction, Quote, Trade

log = structlog.get_logger()

SOURCE = "demo"
DELAY_US = 50_000
"""Heartbeats lag the clock by this: what is read and handed over meanwhile still comes in time."""
PEEKED = 1_000
"""Rows of a recording among which its symbols are looked for."""


class Demo:
    """Recorded files as a live source without an end; see ``producer.sources.Source``."""

    def __init__(
        self,
        settings: ReplaySettings,
        heartbeat_us: int,
        clock: Clock,
        decide: Callable[[Batch], Batch],
    ) -> None:
        """``settings``: the files, their format and the speed; ``max`` is taken for 1. ``decide`` says what
        the trades of a batch update, by the rules for who they were from before they became ``demo``."""
        self._speed = settings.speed or 1.0
        # In the order of the file: what is out of order in it is late here, too.
        self._settings = settings.model_copy(
            update={"replay_disorder_ms": 0, "replay_speed": str(self._speed)}
        )
        self._heartbeat_us = heartbeat_us
        self._clock = clock
        self._decide = decide

    @property
    def name(self) -> str:
        return SOURCE

    @property
    def live(self) -> bool:
        return True

    @property
    def heartbeat_us(self) -> int:
        return self._heartbeat_us

    def batches(self) -> Iterator[Batch]:
        run_us = self._clock.now_us()
        clock_us = 0
        number = 0
        while True:
            dating = Dating(self._clock.now_us(), self._speed, f"{run_us:x}.{number}.")
            replay = Replay(self._settings, self._heartbeat_us, self._clock, tells=False)
            for batch in replay.batches():
                if batch.closing:
                    break
                played = dating.redated(self._decide(batch), self._clock.now_us())
                clock_us = max(clock_us, played.clock_us)
                # What cannot be read is told once, not in every round.
                yield replace(played, clock_us=clock_us, rejected=batch.rejected if number == 0 else ())
            if dating.first_us is None:
                raise ConfigurationError(
                    f"no event in {', '.join(self._settings.replay_files)}: name another recording"
                )
            number += 1
            log.info("demo_begins_again", round=number)


class Dating:
    """The times and ids of one round: event time ``t`` of the recording is played at
    ``start_us + (t - first) / speed``."""

    def __init__(self, start_us: int, speed: float, prefix: str) -> None:
        """``prefix``: of the ids of this round."""
        self.first_us: int | None = None
        """Event time of the first event of the recording; None before it."""
        self._start_us = start_us
        self._speed = speed
        self._prefix = prefix

    def redated(self, batch: Batch, now_us: int) -> Batch:
        """The batch as it is played at ``now_us``; what its trades update has been decided."""
        if self.first_us is None:
            times = [trade.event_time for trade in batch.trades]
            times += [quote.event_time for quote in batch.quotes]
            times += [correction.event_time for correction in batch.corrections]
            self.first_us = min(times, default=None)
        return Batch(
            0 if self.first_us is None else self._at(batch.clock_us) - DELAY_US,
            [self._trade(trade, now_us) for trade in batch.trades],
            [self._quote(quote, now_us) for quote in batch.quotes],
            corrections=[self._correction(correction, now_us) for correction in batch.corrections],
            decided=True,
        )

    def _at(self, event_us: int) -> int:
        first_us = event_us if self.first_us is None else self.first_us
        return self._start_us + round((event_us - first_us) / self._speed)

    def _trade(self, trade: Trade, now_us: int) -> Trade:
        return replace(
            trade,
            event_time=self._at(trade.event_time),
            received_at=now_us,
            trade_id=self._prefix + trade.trade_id,
            source=SOURCE,
        )

    def _quote(self, quote: Quote, now_us: int) -> Quote:
        return replace(quote, event_time=self._at(quote.event_time), received_at=now_us, source=SOURCE)

    def _correction(self, correction: Correction, now_us: int) -> Correction:
        traded = correction.trade_time
        return replace(
            correction,
            event_time=self._at(correction.event_time),
            received_at=now_us,
            correction_id=self._prefix + correction.correction_id,
            trade_id=self._prefix + correction.trade_id,
            trade_time=None if traded is None else self._at(traded),
            source=SOURCE,
        )


def recorded_symbols(settings: ReplaySettings, now_us: int) -> tuple[str, ...]:
    """The symbols of the first rows of each recording, in their order. Raises ConfigurationError where there
    is no file, or one cannot be read."""
    if not settings.replay_files:
        raise ConfigurationError("SOURCE=demo needs REPLAY_FILES: the recordings, separated by commas")
    found: dict[str, None] = {}
    with closing(Recordings(settings, now_us + AHEAD_US)) as recordings:
        for row in chain.from_iterable(islice(rows, PEEKED) for rows in recordings.streams()):
            if not isinstance(row.event, Rejected):
                found[row.event.symbol] = None
    return tuple(found)
