"""Prices of the simulated market: correlated geometric Brownian motion, event by event.

Every random number comes from a generator seeded with (seed, stream, chunk), never from one that runs on:
event n has the same symbol, size, exchange and price move whenever and however often the simulator starts.
"""

import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from producer.settings import SimulatorSettings
from producer.simulator.columns import EXCHANGES, Floats, Ints, QuoteColumns, TradeColumns
from producer.simulator.resume import Resume

CHUNK = 4096
"""Events drawn at once: enough that drawing costs nothing per event, few enough to start quickly."""

TICK = 0.01
SECONDS_PER_YEAR = 365 * 86_400.0
"""The market never closes, so a year of volatility is spread over all of its seconds."""

DRIFT = 0.05
CORRELATION = 0.4
"""Between any two symbols: each moves by sqrt(rho) of one market factor and sqrt(1 - rho) of its own."""

HALF_SPREAD = 1e-4
"""Of the price, at a volatility of 30 % a year: a spread of two basis points."""

SPREAD_PERIOD_US = 90_000_000
TRADES, QUOTES = 1, 2  # streams of random numbers

LISTED: Mapping[str, tuple[float, float]] = {
    "AAPL": (225.0, 0.28),
    "GOOGL": (175.0, 0.30),
    "MSFT": (420.0, 0.25),
    "AMZN": (185.0, 0.32),
    "META": (520.0, 0.36),
    "NVDA": (125.0, 0.50),
    "TSLA": (240.0, 0.55),
    "JPM": (210.0, 0.24),
    "V": (275.0, 0.20),
    "JNJ": (160.0, 0.17),
}
"""Symbol -> price to begin with, volatility a year. Others get theirs from a hash of their name."""


class Draws(NamedTuple):
    """What is random about some events, one value of each for each event."""

    symbol: Ints
    size: Floats
    other_size: Floats
    exchange: Ints
    side: Floats
    market: Floats
    own: Floats


class Stream:
    """The random numbers of an endless row of events, from event ``position`` on. The k-th symbol has a share
    of the events in proportion to 1 / k^zipf: equal shares at 0."""

    def __init__(self, key: tuple[int, int], symbols: int, position: int, zipf: float) -> None:
        self._key = key  # seed and kind of event
        self._symbols = symbols
        weights = np.arange(1, symbols + 1) ** -zipf
        self._shares = np.cumsum(weights) / weights.sum() if zipf else None
        self._chunk = -1
        self.position = position

    def take(self, count: int) -> Draws:
        """What is random about the next ``count`` events."""
        parts: list[Draws] = []
        while not parts or count:
            chunk, offset = divmod(self.position, CHUNK)
            if chunk != self._chunk:
                self._draws, self._chunk = self._draw(chunk), chunk
            taken = min(count, CHUNK - offset)
            rows: list[Any] = [column[offset : offset + taken] for column in self._draws]
            parts.append(Draws(*rows))
            self.position += taken
            count -= taken
        if len(parts) == 1:
            return parts[0]
        columns: list[Any] = [np.concatenate(column) for column in zip(*parts, strict=True)]
        return Draws(*columns)

    def _draw(self, chunk: int) -> Draws:
        random = np.random.default_rng((*self._key, chunk))
        return Draws(
            symbol=self._draw_symbols(random),
            size=_lots(random),
            other_size=_lots(random),
            exchange=random.integers(0, len(EXCHANGES), CHUNK),
            side=random.choice((-1.0, 1.0), CHUNK),
            market=random.standard_normal(CHUNK),
            own=random.standard_normal(CHUNK),
        )

    def _draw_symbols(self, random: np.random.Generator) -> Ints:
        if self._shares is None:
            return random.integers(0, self._symbols, CHUNK)
        # Rounding may leave the last share a hair below 1.
        return np.minimum(np.searchsorted(self._shares, random.random(CHUNK), "right"), self._symbols - 1)


def _lots(random: np.random.Generator) -> Floats:
    """Sizes as a tape has them: some two fifths odd lots, else some hundreds of shares."""
    round_lots = 100.0 * np.minimum(random.geometric(0.5, CHUNK), 20)
    odd_lots = random.integers(1, 100, CHUNK).astype(np.float64)
    return np.where(random.random(CHUNK) < 0.4, odd_lots, round_lots)


class Market:
    """The symbols' prices. Each simulated trade moves time and the market factor on; trades are at the bid or
    the ask around the price, quotes are these two."""

    def __init__(self, settings: SimulatorSettings, resume: Resume | None = None) -> None:
        """Goes on where ``resume`` says that the market stopped; None: it begins."""
        begin = resume or Resume()
        symbols, seed, zipf = settings.symbols, settings.simulator_seed, settings.simulator_zipf
        self._symbols = symbols
        self._trades = Stream((seed, TRADES), len(symbols), begin.next_sequence, zipf)
        self._quotes = Stream((seed, QUOTES), len(symbols), 0, zipf)
        listed = [LISTED.get(symbol) or _made_up(symbol) for symbol in symbols]
        prices = [
            begin.last_prices.get(symbol, price) for symbol, (price, _) in zip(symbols, listed, strict=True)
        ]
        volatility = np.array([entry[1] for entry in listed])
        self._log_price = np.log(np.array(prices))
        # With each trade of the market 1 / rate passes; between two of one symbol len(symbols) / rate.
        step = 1.0 / (settings.trades_per_second * SECONDS_PER_YEAR)
        self._drift = (DRIFT - volatility**2 / 2) * step
        self._market_move = volatility * np.sqrt(CORRELATION * step)
        self._own_move = volatility * np.sqrt((1 - CORRELATION) * step * len(symbols))
        self._half_spread = HALF_SPREAD * volatility / 0.3  # wider where the price moves more
        self._phase = np.linspace(0, 2 * np.pi, len(symbols), endpoint=False)

    @property
    def next_trade(self) -> int:
        """Number of the next trade."""
        return self._trades.position

    def trades(self, event_time: Ints, received_at: int) -> TradeColumns:
        """The next trades, one for each event time (us)."""
        count, first = len(event_time), self._trades.position
        draws = self._trades.take(count)
        mid = self._move(draws)
        half = mid * self._spread(draws.symbol, event_time)
        return TradeColumns(
            symbols=self._symbols,
            symbol=draws.symbol,
            event_time=event_time,
            received_at=np.full(count, received_at),
            sequence=first + np.arange(count),
            exchange=draws.exchange,
            price=to_ticks(mid + draws.side * half),
            size=draws.size,
            correctable=np.zeros(count, np.bool_),
        )

    def quotes(self, event_time: Ints, received_at: int) -> QuoteColumns:
        """The next quotes, one for each event time (us), around the prices after the last trade."""
        count, first = len(event_time), self._quotes.position
        draws = self._quotes.take(count)
        mid = np.exp(self._log_price[draws.symbol])
        half = mid * self._spread(draws.symbol, event_time) * np.exp(0.3 * draws.own)
        bid = to_ticks(mid - half)
        return QuoteColumns(
            symbols=self._symbols,
            symbol=draws.symbol,
            event_time=event_time,
            received_at=np.full(count, received_at),
            sequence=first + np.arange(count),
            exchange=draws.exchange,
            bid=bid,
            bid_size=draws.size,
            ask=np.maximum(to_ticks(mid + half), to_ticks(bid + TICK)),
            ask_size=draws.other_size,
        )

    def _move(self, draws: Draws) -> Floats:
        """Price before spread and rounding at each of the trades; leaves the state after the last."""
        count = len(draws.symbol)
        if not count:
            return np.empty(0)
        # The symbols' own moves, summed up symbol by symbol.
        order = np.argsort(draws.symbol, kind="stable")
        symbol = draws.symbol[order]
        summed = np.cumsum(draws.own[order] * self._own_move[symbol])
        starts = np.flatnonzero(np.diff(symbol, prepend=-1))
        ends = np.append(starts[1:], count)
        before = np.where(starts > 0, summed[starts - 1], 0.0)
        path = summed - np.repeat(before, ends - starts)
        own = np.empty(count)
        own[order] = path
        market = np.cumsum(draws.market)
        steps = np.arange(1, count + 1)
        mid: Floats = np.exp(
            self._log_price[draws.symbol]
            + self._drift[draws.symbol] * steps
            + self._market_move[draws.symbol] * market
            + own
        )
        self._log_price += self._drift * count + self._market_move * market[-1]
        self._log_price[symbol[starts]] += path[ends - 1]
        return mid

    def _spread(self, symbol: Ints, event_time: Ints) -> Floats:
        """Half the spread as a share of the price: it breathes, each symbol in its own phase."""
        turn = (event_time % (SPREAD_PERIOD_US)) * (2 * np.pi / SPREAD_PERIOD_US)
        breath: Floats = self._half_spread[symbol] * (1 + 0.6 * np.sin(turn + self._phase[symbol]))
        return breath


def to_ticks(price: Floats) -> Floats:
    """Prices as they can be quoted: whole cents, at least one."""
    rounded: Floats = np.maximum(np.round(price, 2), TICK)
    return rounded


def _made_up(symbol: str) -> tuple[float, float]:
    """Price and volatility of a symbol that is not listed; the same in every run."""
    number = zlib.crc32(symbol.encode())
    return 20.0 + number % 48_000 / 100, 0.2 + number // 48_000 % 31 / 100
