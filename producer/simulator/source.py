"""The simulator as a source: so many trades a second on the clock, for ever."""

from collections.abc import Iterator

import numpy as np
import structlog

from producer.clock import Clock
from producer.failover.holes import Holes, Missed
from producer.metrics import ProducerMetrics
from producer.settings import SimulatorSettings
from producer.simulator.columns import SOURCE, Ints
from producer.simulator.market import Market
from producer.simulator.resume import Resume
from producer.simulator.scenarios import Events, Scenarios
from producer.sources import Batch

log = structlog.get_logger()

LEAST_WAIT_S = 0.01
"""Between two batches, each of which costs most of a millisecond here, and as much in Kafka, however small it
is. A trade waits half of this on average before it is sent: .."""
MANY_PER_SECOND = 10_000
WAIT_OF_MANY_S = 0.02
""".. of more trades a second than MANY it waits longer, as the machine has enough to do with them."""

DELAY_MS = 50
"""Of the heartbeats, unless PROVIDER_DELAY_MS says otherwise: nothing lies between the market and us."""

MOST_BEHIND_US = 1_000_000
"""A market does not wait for us: what is further behind than this is left out, and said to be."""


class Simulator:
    """The simulated market; see ``producer.sources.Source``.

    The schedule is an open loop: trade k is due at k / rate after the start, however long the ones before it
    took. Trades are stamped when they are made, evenly over the time since the last batch.
    """

    def __init__(
        self,
        settings: SimulatorSettings,
        heartbeat_us: int,
        clock: Clock,
        metrics: ProducerMetrics,
        resume: Resume | None = None,
    ) -> None:
        """``resume``: where a simulator before this one stopped; None: it is the first."""
        self._settings = settings
        self._heartbeat_us = heartbeat_us
        self._clock = clock
        self._metrics = metrics
        self._holes = Holes()
        self._market = Market(settings, resume)

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
        settings, clock = self._settings, self._clock
        last_us = clock.now_us()
        scenarios = Scenarios(
            settings.simulator_scenarios,
            settings.symbols,
            last_us,
            int(settings.simulator_scenario_minutes * 60_000_000),
        )
        trades = _Schedule(settings.trades_per_second, last_us)
        quotes = _Schedule(settings.quotes_per_second, last_us)
        least_wait_s = LEAST_WAIT_S if settings.trades_per_second <= MANY_PER_SECOND else WAIT_OF_MANY_S
        most_wait_s = self._heartbeat_us / 2e6
        delay_ms = DELAY_MS if settings.provider_delay_ms is None else settings.provider_delay_ms
        while True:
            now_us = clock.now_us()
            now_us = max(now_us, last_us)  # the clock was set back: stand still until it has caught up
            missed = trades.catch_up(now_us)
            quotes.catch_up(now_us)
            if missed:
                self._leave_out(missed, last_us, now_us)
            made = scenarios.apply(
                Events(
                    now_us,
                    self._market.trades(_spread(last_us, now_us, trades.due(now_us)), now_us),
                    self._market.quotes(_spread(last_us, now_us, quotes.due(now_us)), now_us),
                )
            )
            trades.made(len(made.trades))
            quotes.made(len(made.quotes))
            last_us = now_us
            clock_us = now_us - delay_ms * 1000
            gaps = self._holes.drain()
            yield Batch(clock_us, made.trades, made.quotes, corrections=made.corrections, gaps=gaps)
            next_us = min(trades.next_us(), quotes.next_us())
            wait_s = (next_us - clock.now_us()) / 1e6
            clock.sleep(min(max(wait_s, least_wait_s), most_wait_s))

    def _leave_out(self, missed: int, from_us: int, until_us: int) -> None:
        """Says that there were trades that nobody got."""
        wanted = self._settings.trades_per_second
        self._metrics.missed.inc(missed)
        log.warning("simulator_behind", missed_trades=missed, wanted_per_s=wanted)
        detail = f"{missed} trades of the market left out: {wanted:g} a second are more than can be made"
        for symbol in self._settings.symbols:
            self._holes.add(Missed(symbol, SOURCE, from_us, until_us, "shed", detail), until_us)


class _Schedule:
    """How many events are due at a rate (events/s; 0: none ever)."""

    def __init__(self, rate: float, start_us: int) -> None:
        self._rate = rate
        self._start_us = start_us
        self._made = 0

    def due(self, now_us: int) -> int:
        return max(0, int((now_us - self._start_us) * self._rate / 1e6) - self._made)

    def made(self, count: int) -> None:
        self._made += count

    def next_us(self) -> float:
        """When the next one is due."""
        return self._start_us + (self._made + 1) * 1e6 / self._rate if self._rate else float("inf")

    def catch_up(self, now_us: int) -> int:
        """Starts anew where the schedule is too far behind; returns how many events that leaves out."""
        if now_us - self.next_us() <= MOST_BEHIND_US:
            return 0
        missed = self.due(now_us)
        self._start_us, self._made = now_us, 0
        return missed


def _spread(last_us: int, now_us: int, count: int) -> Ints:
    """``count`` event times, evenly over (last_us, now_us]."""
    return now_us - (now_us - last_us) * np.arange(count - 1, -1, -1, dtype=np.int64) // max(count, 1)
