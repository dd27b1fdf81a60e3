"""What bars are given from outside: rules, market, memory and time; and what they give back."""

from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field

from jobs.domain.indicator_cache import IndicatorCache
from jobs.domain.indicators import Indicators
from jobs.domain.quality import QualityRules
from jobs.domain.trade_log import WaitingCorrection
from schemas.events import Candle
from schemas.sessions import Calendar


@dataclass(frozen=True, slots=True)
class Rules:
    """When a bar is final, how long it may be corrected, and how often a live one is shown. Microseconds."""

    grace: int = 500_000
    horizon: int = 300_000_000
    dedup_memory: int = 600_000_000
    live_every: int = 1_000_000
    """Least event time between live versions of the longer intervals; 1m goes out with every slice."""
    live: bool = True
    """Whether there are live versions at all: in a replay at full speed nobody sees them, and the watermark
    is so far behind that each would have to look at hundreds of bars before it."""
    generation: int = 0
    max_revised_bars: int = 500
    """Of each interval, how many final bars after a revised one are published anew because of one event. Bars
    further on keep the version and the indicators that they were published with, until something touches them
    or a bar just before them; their prices and volumes are not concerned. Only bars within the horizon are
    known at all, so this binds only where the horizon is longer than so many minutes."""

    def next_look(self, time: int, turn: int) -> int:
        """When live bars that are not due before a time are looked at: the least watermark, in whole
        milliseconds, that ends as much time as live versions are apart, counted from ``turn`` on. It is the
        same for all symbols with that turn."""
        return -(-(time + 1000 - turn) // self.live_every) * self.live_every + turn - 1000


@dataclass(frozen=True, slots=True)
class Market:
    """What is the same for every symbol of a class."""

    calendar: Calendar
    indicators: Indicators
    quality: QualityRules


@dataclass(slots=True)
class Memory:
    """The caller's stores for one symbol, apart from the hot state; in a keyed function those of its key.

    ``indicators``: interval -> state after the last bar that is out of reach. Read rarely, written when a bar
    is forgotten. ``trades``: see trade_store. ``cache`` belongs to the process and is never stored; it may be
    shared by all symbols, and making a new one costs time only.
    """

    indicators: MutableMapping[str, bytes]
    trades: MutableMapping[str, bytes]
    cache: IndicatorCache = field(default_factory=IndicatorCache)


def always(_count: int) -> bool:
    """No budget for live bars."""
    return True


@dataclass(slots=True)
class Now:
    """The circumstances of one call.

    ``watermark``: event time that has passed, microseconds. ``clock``: wall clock, microseconds, for
    ``updated_at`` alone. ``may_show(count)``: whether so many live bars may be published now; where they may
    not, whether one may. ``late``: how far the event is behind the clock, microseconds: for so long live bars
    that are not shown may wait. ``turn``: how long after whole ``live_every`` live bars of this symbol are
    looked at, microseconds: thousands at once would be in the way of all else.
    """

    watermark: int
    clock: int
    rules: Rules
    market: Market
    memory: Memory
    may_show: Callable[[int], bool] = always
    late: int = 0
    turn: int = 0


@dataclass(slots=True)
class Change:
    """What a call brought about."""

    candles: list[Candle] = field(default_factory=list)
    """To publish, in this order."""
    timers: list[int] = field(default_factory=list)
    """When, by the watermark, ``advance`` must be called because of it."""
    unmatched: list[WaitingCorrection] = field(default_factory=list)
    """Corrections that were given up: their trade did not come."""


class TooLateError(Exception):
    """A trade or correction that came when its bar could no longer be corrected; the message says by how
    much."""
