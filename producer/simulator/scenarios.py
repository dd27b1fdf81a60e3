"""What happens in the simulated market beyond chance, so that there is something to see.

All of it within the first three minutes, then again every SIMULATOR_SCENARIO_MINUTES:

| scenario     | from      | for  | what                                                                    |
|--------------|-----------|------|-------------------------------------------------------------------------|
| duplicate    | 15 s      |      | one trade is sent twice, the very same                                  |
| late_trade   | see below |      | one trade is five seconds old, and belongs to a minute that is over     |
| volume_burst | 40 s      | 15 s | sizes of one symbol are 25 times what they were                         |
| price_spike  | 60 s      | 50 s | one symbol rises by 8 % in 20 s, stays for 10 s and comes back          |
| stale_symbol | 115 s     | 60 s | one symbol is silent (the market has two symbols or more)               |
| correction   | 25 s      | 10 s | trades of one symbol may be corrected; then one is, and one cancelled   |

The late trade comes two seconds into the first full minute after 20 s: its bar has just become final.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import structlog

from producer.settings import SCENARIOS
from producer.simulator.columns import QuoteColumns, TradeColumns
from producer.simulator.corrections import LENGTH_S, Corrector
from producer.simulator.market import TICK, to_ticks
from schemas.events import Correction

log = structlog.get_logger()

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
LATE_BY_US = 5 * SECOND_US
BURST = 25.0
SPIKE = 0.08
SPIKE_UP_S, SPIKE_TOP_S, SPIKE_DOWN_S = 20.0, 10.0, 20.0


@dataclass(frozen=True, slots=True)
class Events:
    """What is published at ``now_us``."""

    now_us: int
    trades: TradeColumns
    quotes: QuoteColumns
    corrections: tuple[Correction, ...] = ()


Apply = Callable[[Events, int, float], Events]
"""(events, index of its symbol, seconds since it began) -> what is to be published instead."""


@dataclass(frozen=True, slots=True)
class Window:
    """When a scenario is on, in us after the start of its cycle; ``length_us`` 0: for a single trade."""

    start_us: int
    length_us: int
    begin: Callable[[], Apply]


class Scenarios:
    """The scenarios that are switched on, applied to batch after batch."""

    def __init__(self, names: Sequence[str], symbols: tuple[str, ...], start_us: int, cycle_us: int) -> None:
        self._names = [
            name for name in SCENARIOS if name in names and (name != "stale_symbol" or len(symbols) > 1)
        ]
        self._symbols = symbols
        self._start_us = start_us
        self._cycle_us = cycle_us
        self._begun: dict[str, int] = {}  # scenario -> its last cycle that has begun
        self._running: dict[str, Apply] = {}

    def apply(self, events: Events) -> Events:
        """The events of a batch as the scenarios that are on at its time have them."""
        cycle, since_us = divmod(events.now_us - self._start_us, self._cycle_us)
        for name in self._names:
            window = _window(name, self._start_us + cycle * self._cycle_us)
            begun = self._begun.get(name, -1) == cycle
            on_us = since_us - window.start_us
            if on_us < 0 or (begun and on_us >= window.length_us) or not (begun or len(events.trades)):
                continue
            symbol = (cycle * len(SCENARIOS) + SCENARIOS.index(name)) % len(self._symbols)
            if not begun:
                if window.length_us and on_us >= window.length_us:
                    continue  # the part was asleep all the while
                self._begun[name] = cycle
                self._running[name] = window.begin()
                if not window.length_us:
                    symbol = int(events.trades.symbol[0])
                log.info(
                    "scenario_began",
                    scenario=name,
                    symbol=self._symbols[symbol],
                    seconds=window.length_us / SECOND_US,
                )
            events = self._running[name](events, symbol, on_us / SECOND_US)
        return events


def _window(name: str, cycle_start_us: int) -> Window:
    if name == "duplicate":
        return Window(15 * SECOND_US, 0, lambda: duplicate)
    if name == "late_trade":
        earliest = cycle_start_us + 20 * SECOND_US
        minute = earliest + -earliest % MINUTE_US
        return Window(minute + 2 * SECOND_US - cycle_start_us, 0, lambda: late_trade)
    if name == "correction":
        return Window(25 * SECOND_US, int(LENGTH_S * SECOND_US), corrections)
    if name == "volume_burst":
        return Window(40 * SECOND_US, 15 * SECOND_US, lambda: volume_burst)
    if name == "price_spike":
        return Window(60 * SECOND_US, 50 * SECOND_US, lambda: price_spike)
    return Window(115 * SECOND_US, 60 * SECOND_US, lambda: stale_symbol)


def duplicate(events: Events, _symbol: int, _seconds: float) -> Events:
    """The batch's first trade twice in a row."""
    rows = np.r_[0, np.arange(len(events.trades))]
    return replace(events, trades=events.trades.rows(rows))


def late_trade(events: Events, _symbol: int, _seconds: float) -> Events:
    """The batch's first trade, LATE_BY_US older than it is."""
    event_time = events.trades.event_time.copy()
    event_time[0] -= LATE_BY_US
    return replace(events, trades=replace(events.trades, event_time=event_time))


def volume_burst(events: Events, symbol: int, _seconds: float) -> Events:
    """Sizes of the symbol's trades times BURST."""
    size = np.where(events.trades.symbol == symbol, events.trades.size * BURST, events.trades.size)
    return replace(events, trades=replace(events.trades, size=size))


def price_spike(events: Events, symbol: int, seconds: float) -> Events:
    """Trades and quotes of the symbol up to SPIKE above what they were: a trapezium over the window."""
    falling = SPIKE_UP_S + SPIKE_TOP_S + SPIKE_DOWN_S - seconds
    factor = 1 + SPIKE * max(0.0, min(1.0, seconds / SPIKE_UP_S, falling / SPIKE_DOWN_S))
    trades, quotes = events.trades, events.quotes
    price = np.where(trades.symbol == symbol, to_ticks(trades.price * factor), trades.price)
    bid = np.where(quotes.symbol == symbol, to_ticks(quotes.bid * factor), quotes.bid)
    ask = np.where(quotes.symbol == symbol, to_ticks(quotes.ask * factor), quotes.ask)
    ask = np.maximum(ask, to_ticks(bid + TICK))
    return replace(events, trades=replace(trades, price=price), quotes=replace(quotes, bid=bid, ask=ask))


def stale_symbol(events: Events, symbol: int, _seconds: float) -> Events:
    """Nothing of the symbol; the numbers of its trades stay unused."""
    trades, quotes = events.trades, events.quotes
    return replace(
        events, trades=trades.rows(trades.symbol != symbol), quotes=quotes.rows(quotes.symbol != symbol)
    )


def corrections() -> Apply:
    """One trade of the symbol corrected and one cancelled, see ``Corrector``."""
    corrector = Corrector()

    def apply(events: Events, symbol: int, seconds: float) -> Events:
        trades, made = corrector.take(events.trades, symbol, seconds, events.now_us)
        return replace(events, trades=trades, corrections=made)

    return apply
