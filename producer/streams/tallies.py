"""What has been published, by symbol and by source, since the producer started."""

from collections import Counter
from collections.abc import Sequence
from operator import attrgetter

from producer.sources import Batch, Columns, Tally
from schemas.events import Correction, ProviderBar, Quote, Trade

Events = Sequence[Trade] | Sequence[Quote] | Sequence[Correction] | Sequence[ProviderBar]
SOURCE_OF, SYMBOL_OF = attrgetter("source"), attrgetter("symbol")


class Tallies:
    """Written by the thread that publishes, read by any."""

    def __init__(self) -> None:
        self.published: Counter[str] = Counter()
        """By source, events of all kinds."""
        self.refused: Counter[str] = Counter()
        """By source: what validation has turned away."""
        self.last_of_source: dict[str, int] = {}
        """Source -> when something of it was published last (us)."""
        self._trades, self._quotes = _Kind(), _Kind()

    def trades(self, symbol: str) -> int:
        """That have been published of the symbol."""
        return self._trades.of(symbol)[0]

    def quotes(self, symbol: str) -> int:
        """Likewise."""
        return self._quotes.of(symbol)[0]

    def last(self, symbol: str) -> int:
        """Event time (us) of its last event; 0: there was none."""
        return max(self._trades.of(symbol)[1], self._quotes.of(symbol)[1])

    def passed(self, before: Batch, after: Batch, now_us: int) -> None:
        """Of the batch ``before`` so much was let through."""
        self._sources(before.trades, after.trades, now_us)
        self._sources(before.quotes, after.quotes, now_us)
        self._sources(before.corrections, after.corrections, now_us)
        self._sources(before.bars, after.bars, now_us)
        self._trades.add(after.trades)
        self._quotes.add(after.quotes)

    def _sources(self, before: Events, after: Events, now_us: int) -> None:
        if not len(before):
            return
        if isinstance(before, Columns):
            given, through = {before.source: len(before)}, {before.source: len(after)}
        else:
            given = Counter(map(SOURCE_OF, before))
            through = given if len(after) == len(before) else Counter(map(SOURCE_OF, after))
        for source, count in given.items():
            published = through.get(source, 0)
            self.published[source] += published
            if count > published:
                self.refused[source] += count - published
            if published:
                self.last_of_source[source] = now_us


class _Kind:
    """Number of events of each symbol, and the event time (us) of the last one."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._last: dict[str, int] = {}
        self._columns: dict[tuple[str, ...], Tally] = {}

    def of(self, symbol: str) -> tuple[int, int]:
        count, last = self._counts[symbol], self._last.get(symbol, 0)
        for symbols, tally in tuple(self._columns.items()):
            if symbol in symbols:
                index = symbols.index(symbol)
                count += int(tally.counts[index])
                last = max(last, int(tally.last[index]))
        return count, last

    def add(self, events: Sequence[Trade] | Sequence[Quote]) -> None:
        if not len(events):
            return
        if isinstance(events, Columns):
            tally = self._columns.get(events.symbols)
            if tally is None:
                tally = self._columns[events.symbols] = Tally.of(len(events.symbols))
            events.add_to(tally)
            return
        self._counts.update(map(SYMBOL_OF, events))
        for event in events:
            if event.event_time > self._last.get(event.symbol, 0):
                self._last[event.symbol] = event.event_time
