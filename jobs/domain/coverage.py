"""Which of a symbol's time was not observed, as far as a bar can still be told so.

A gap is told again while it grows, so it is kept as its start and every end that it has had: the time between
two of these is what one record added. Such a *piece* counts as one event of each bar that it touches, whether
the bar was there before it or came after; so the versions of bars do not depend on which of them came first.
That a gap was filled counts once more, for each bar that the gap touches.

What is out of reach is settled: the time is added to the bars that hold it, and of an interval without a bar
there it is remembered for the one span in which a bar may still begin. Then a gap is forgotten with its end.
All times are microseconds since 1970 UTC.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from jobs.domain.bar import Bar
from schemas.events import Gap
from schemas.sessions import Calendar

MAX_GAPS = 300
"""Gaps of a symbol that are known by name; with one more the oldest is settled, as if the horizon had passed
it. Each takes about 100 bytes. So many in one horizon are a feed that flaps; but where bars are rebuilt from
Kafka gaps are read long before the trades, and of a symbol with more than these in the time that Kafka keeps,
the bars before the newest ones do not know theirs."""


class GapRecord(NamedTuple):
    """What bars, and alerts, need of one record of a gap."""

    gap_id: str
    start: int
    end: int
    filled: bool
    closed: bool
    reason: str


class Begun(NamedTuple):
    """What is settled of a span in which no bar has begun: unobserved time, and events."""

    start: int
    missed: int
    events: int


@dataclass(slots=True)
class KnownGap:
    """``bounds``: its start and every end that it has had, ascending. ``filled``: its trades have been
    published after all."""

    bounds: list[int]
    filled: bool = False


@dataclass(slots=True)
class Coverage:
    """The gaps of one symbol."""

    gaps: dict[str, KnownGap] = field(default_factory=dict)
    settled_until: int = 0
    begun: dict[str, Begun] = field(default_factory=dict)
    """interval -> the span in which its next bar may begin, where some of it was missed"""

    def apply(self, record: GapRecord, reach: int) -> tuple[int, int] | None:
        """Takes in a record; returns the time that it changes, None where it says nothing new. What lies
        before ``reach`` is ignored."""
        known = self.gaps.get(record.gap_id)
        if known is None:
            start = max(record.start, reach, self.settled_until)
            if record.filled or record.end <= start:
                return None
            self.gaps[record.gap_id] = KnownGap([start, record.end])
            return start, record.end
        if known.filled:
            return None
        start, end = known.bounds[0], known.bounds[-1]
        if record.filled:
            known.filled = True
            return start, end
        if record.end <= end:
            return None
        known.bounds.append(record.end)
        return end, record.end

    def missed(self, start: int, end: int) -> int:
        """How much of ``[start, end)`` nobody observed, less what is settled."""
        if not self.gaps:
            return 0
        total, until = 0, max(start, self.settled_until)
        for first, last in sorted((gap.bounds[0], gap.bounds[-1]) for gap in self._unfilled()):
            added = min(last, end) - max(first, until)
            if added > 0:
                total += added
                until = last
        return total

    def events(self, start: int, end: int) -> int:
        """How many events the gaps are to a bar ``[start, end)``, less what is settled."""
        return sum(_events(gap, start, end) for gap in self.gaps.values())

    def known_until(self, start: int, end: int) -> int:
        """The latest end of a gap that touches ``[start, end)``, within it; its start where none does."""
        ends = [gap.bounds[-1] for gap in self.gaps.values() if gap.bounds[0] < end]
        return min(end, max(ends, default=start))

    def begin(self, bar: Bar, interval: str) -> None:
        """Gives a new bar what was settled of its span."""
        span = self.begun.get(interval)
        if span is not None and span.start == bar.start:
            bar.missed += span.missed
            bar.events += span.events
            del self.begun[interval]

    def settle(self, until: int, bars: Mapping[str, list[Bar]], calendar: Calendar) -> None:
        """Adds what lies before ``until`` to the bars, and forgets the gaps that have ended by then."""
        if not self.gaps or until <= self.settled_until:
            return
        over = [gap for gap in self.gaps.values() if gap.bounds[-1] <= until]
        for interval, of_interval in bars.items():
            for bar in of_interval:
                bar.missed += self.missed(bar.start, min(bar.end, until))
                bar.events += sum(_events(gap, bar.start, bar.end) for gap in over)
            span = calendar.bar(until, interval)
            if span is not None and not any(bar.start == span[0] for bar in of_interval):
                self._settle_begun(interval, span, until, over)
        self.gaps = {gap_id: gap for gap_id, gap in self.gaps.items() if gap.bounds[-1] > until}
        self.settled_until = until

    def _settle_begun(self, interval: str, span: tuple[int, int], until: int, over: list[KnownGap]) -> None:
        before = self.begun.pop(interval, None)
        if before is None or before.start != span[0]:
            before = Begun(span[0], 0, 0)
        missed = before.missed + self.missed(span[0], until)
        events = before.events + sum(_events(gap, *span) for gap in over)
        if missed or events:
            self.begun[interval] = Begun(span[0], missed, events)

    def _unfilled(self) -> Iterator[KnownGap]:
        return (gap for gap in self.gaps.values() if not gap.filled)


def pack(gap: Gap) -> str:
    """The text of a valid gap, by which bars are told of it."""
    return json.dumps({"gap": [gap.gap_id, gap.start, gap.end, gap.filled, gap.closed, gap.reason]})


def is_filled_elsewhere(gap: Gap, horizon: int) -> bool:
    """Whether a gap was filled by a replay: later than the horizon allows trades to come. The trades are in
    the topics of the replay, and so are the bars that know them; those made of the live topics, now or when
    they are rebuilt, still lack them, and must go on saying so."""
    return gap.filled and gap.updated_at - gap.start >= horizon


def is_gap(text: str) -> bool:
    """Whether a text is that of a gap, and not one of trade_log."""
    return text.startswith("{")


def unpack(text: str) -> GapRecord:
    """The gap of a text."""
    return GapRecord(*json.loads(text)["gap"])


def _events(gap: KnownGap, start: int, end: int) -> int:
    """What a gap counts for a bar ``[start, end)``."""
    if gap.bounds[0] >= end or gap.bounds[-1] <= start:
        return 0
    return sum(first < end and last > start for first, last in pairwise(gap.bounds)) + gap.filled
