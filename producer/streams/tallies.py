"""What has been published, by symbol and by source, since the producer started."""

from collections import Counter
from collections.abc import Mapping, Sequence
from operator import attrgetter

from producer.sources import Columns
from schemas.events import Correction, ProviderBar, Quote, Trade

Events = Sequence[Trade] | Sequence[Quote] | Sequence[Correction]
FromSource = Events | Sequence[ProviderBar]
SOURCE_OF, SYMBOL_OF = attrgetter("source"), attrgetter("symbol")


class Tallies:
    """Written by the thread that publishes, read by any."""

    def __init__(self) -> None:
        self.trades: Counter[str] = Counter()
        self.quotes: Counter[str] = Counter()
        self.published: Counter[str] = Counter()
        """By source; corrections and provider bars, too."""
        self.refused: Counter[str] = Counter()
        """By source: what validation has turned away."""
        self.last: dict[str, int] = {}
        """Symbol -> event time (us) of the last event."""
        self.last_of_source: dict[str, int] = {}
        """Source -> when the last one was published (us)."""

    def count(self, counts: Counter[str], events: Events) -> None:
        """Adds the events to ``counts`` of their symbols."""
        if isinstance(events, Columns):
            for symbol, (number, last) in events.tally().items():
                counts[symbol] += number
                self.last[symbol] = max(last, self.last.get(symbol, 0))
            return
        counts.update(map(SYMBOL_OF, events))
        for event in events:
            if event.event_time > self.last.get(event.symbol, 0):
                self.last[event.symbol] = event.event_time

    def passed(self, before: Mapping[str, int], after: Mapping[str, int], now_us: int) -> None:
        """Of so many events of each source so many were let through."""
        for source, number in before.items():
            through = after.get(source, 0)
            self.published[source] += through
            if number > through:
                self.refused[source] += number - through
            if through:
                self.last_of_source[source] = now_us


def by_source(*parts: FromSource) -> Counter[str]:
    """Number of events of each source."""
    counts: Counter[str] = Counter()
    for events in parts:
        if isinstance(events, Columns):
            if len(events):
                counts[events.source] += len(events)
        else:
            counts.update(map(SOURCE_OF, events))
    return counts
