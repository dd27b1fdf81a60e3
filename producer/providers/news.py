"""What of an answer was not there before: a provider that is asked again and again mostly says the same."""

from collections import defaultdict, deque
from dataclasses import replace

from producer.providers.contract import Parsed
from schemas.events import ProviderBar, Quote

OLD_US = 24 * 3_600_000_000
"""A price of before says nothing of now: on a Sunday that of Friday."""

MOST_BROKEN = 1000
"""Broken items that are remembered: the same one in every answer is one dead letter, not one a minute."""

_Values = tuple[float, float, float, float, float, bool]


class News:
    """Remembers the last quote of each symbol, the bars of the last answer with bars of it, and the last
    broken items."""

    def __init__(self) -> None:
        self._broken: deque[int] = deque(maxlen=MOST_BROKEN)
        self._quotes: dict[str, tuple[int, float, float]] = {}
        self._bars: dict[tuple[str, str], dict[int, _Values]] = {}

    def of(self, parsed: Parsed, now_us: int) -> Parsed:
        """The same without what is known, and without quotes that are old or older than the last: those count
        as ``control``."""
        quotes = [quote for quote in parsed.quotes if self._new_quote(quote, now_us)]
        bars = self._new_bars(parsed)
        rejected = [letter for letter in parsed.rejected if self._newly_broken(hash(letter.payload))]
        fresh = replace(parsed, quotes=quotes, bars=bars, rejected=rejected)
        known = parsed.events + len(parsed.rejected) - fresh.events - len(rejected)
        return replace(fresh, control=parsed.control + known)

    def _newly_broken(self, payload: int) -> bool:
        if payload in self._broken:
            return False
        self._broken.append(payload)
        return True

    def _new_quote(self, quote: Quote, now_us: int) -> bool:
        said = quote.event_time, quote.bid, quote.ask
        before = self._quotes.get(quote.symbol)
        if quote.event_time < now_us - OLD_US or (
            before is not None and (said == before or said[0] < before[0])
        ):
            return False
        self._quotes[quote.symbol] = said
        return True

    def _new_bars(self, parsed: Parsed) -> list[ProviderBar]:
        said: defaultdict[tuple[str, str], dict[int, _Values]] = defaultdict(dict)
        new = []
        for bar in parsed.bars:
            values = bar.open, bar.high, bar.low, bar.close, bar.volume, bar.final
            key = bar.symbol, bar.interval
            if said[key].get(bar.start, self._bars.get(key, {}).get(bar.start)) != values:
                new.append(bar)
            said[key][bar.start] = values
        self._bars |= said
        return new
