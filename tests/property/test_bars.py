"""Bars against a naive computation over all trades at once, however the trades arrive."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.domain.bars import Rules, SymbolBars
from schemas.events import Candle, Trade
from schemas.intervals import INTERVALS, MINUTE_US
from tests.unit.jobs.builders import SECOND_US, START_US, SymbolDriver

RULES = Rules(horizon=2 * MINUTE_US, dedup_memory=4 * MINUTE_US, live_every=700_000)
SLICE_US = 200_000
SYMBOLS = ("AAPL", "BTC-USD")
LAST_WATERMARK = 400 * 24 * 60 * MINUTE_US

# Prices of whole cents and sizes of millionths: the product of their doubles is within 1e-9 of the exact one.
CENTS, MILLIONTHS = 100, 10**6
cents = st.integers(1, 100_000)
millionths = st.integers(0, 10**9)


@dataclass(frozen=True)
class Arrival:
    """A batch of trades and what comes after it: the watermark (from START_US), or a restart."""

    trades: list[Trade]
    sliced: bool
    watermark: int
    restarts: bool


@st.composite
def bursts(draw: st.DrawFn) -> list[list[Trade]]:
    """Trades in bursts. Those of a burst lie within the horizon; between bursts there may be days."""
    offsets = st.integers(0, RULES.horizon) | st.sampled_from([0, 1, MINUTE_US - 1, MINUTE_US, RULES.horizon])
    fields = st.tuples(
        offsets, cents, millionths, st.integers(0, 2), st.booleans(), st.sampled_from(["sim", "feed"]),
        st.sampled_from(SYMBOLS), st.integers(0, 5),
    )  # fmt: skip
    start, burst_list = START_US + draw(st.sampled_from([0, 29 * MINUTE_US, 1438 * MINUTE_US])), []
    for drawn in draw(st.lists(st.lists(fields, max_size=12), min_size=1, max_size=4)):
        burst_list.append([
            Trade(symbol, start + at, start + at, price / CENTS, size / MILLIONTHS, f"{start + at}-{number}",
                  sequence, source, updates_price=kind != 0, updates_volume=kind > 1 or not rare)
            for number, (at, price, size, sequence, rare, source, symbol, kind) in enumerate(drawn)
        ])  # fmt: skip
        gaps = [SECOND_US, 10 * MINUTE_US, 61 * MINUTE_US, 2000 * MINUTE_US]
        start += RULES.horizon + draw(st.sampled_from(gaps))
    return burst_list


@st.composite
def arrivals(draw: st.DrawFn, burst_list: list[list[Trade]]) -> list[Arrival]:
    """One way in which the trades may come: any order within a burst, in slices or one by one, the watermark
    anywhere between far behind and just short of where their like would be refused."""
    schedule, watermark = [], -MINUTE_US
    for burst in burst_list:
        left = draw(st.permutations(burst))
        while left:
            count = draw(st.integers(1, len(left)))
            batch, left = left[:count], left[count:]
            if left:
                refused_from = min(trade.event_time for trade in left) - START_US + RULES.dedup_memory
                wanted = draw(st.integers(0, RULES.dedup_memory + RULES.horizon))
                watermark = max(watermark, refused_from - wanted)
            schedule.append(Arrival(batch, draw(st.booleans()), watermark, draw(st.integers(0, 5)) == 0))
    return schedule


@st.composite
def trades_and_arrivals(draw: st.DrawFn, ways: int = 1) -> tuple[list[Trade], list[list[Arrival]]]:
    burst_list = draw(bursts())
    schedules = [draw(arrivals(burst_list)) for _ in range(ways)]
    return [trade for burst in burst_list for trade in burst], schedules


def slices(batch: list[Trade]) -> Iterator[list[Trade]]:
    """The batch as SQL divides it: by source and fifth of a second."""
    groups: dict[tuple[str, int], list[Trade]] = {}
    for trade in batch:
        groups.setdefault((trade.source, trade.event_time // SLICE_US), []).append(trade)
    yield from groups.values()


def feed(bars: SymbolDriver, arrival: Arrival) -> None:
    mine = [trade for trade in arrival.trades if trade.symbol == bars.symbol]
    for part in slices(mine) if arrival.sliced else ([trade] for trade in mine):
        bars.add(*part)
    if arrival.restarts:
        bars.restart()
    else:
        bars.advance(arrival.watermark)


def run(schedule: list[Arrival], symbol: str, driver: type[SymbolDriver] = SymbolDriver) -> SymbolDriver:
    """A symbol's bars after everything has come and every bar is final."""
    bars = driver(RULES, symbol)
    for arrival in schedule:
        feed(bars, arrival)
    bars.advance(LAST_WATERMARK)
    return bars


def naive(trades: list[Trade], symbol: str) -> dict[tuple[str, int], Candle]:
    """Every bar of a symbol from all of its trades, in exact fractions."""
    mine = [trade for trade in trades if trade.symbol == symbol]
    candles = {}
    for interval, length in INTERVALS.items():
        for start in {trade.event_time // length * length for trade in mine}:
            held = [trade for trade in mine if trade.event_time // length * length == start]
            until = [trade for trade in mine if trade.event_time < start + length]
            pricing = sorted((t.event_time, t.sequence, t.price) for t in held if t.updates_price)
            prices = [price for _, _, price in pricing]
            amounts = [
                (Fraction(round(t.price * CENTS), CENTS), Fraction(round(t.size * MILLIONTHS), MILLIONTHS))
                for t in held
                if t.updates_volume
            ]
            volume = sum((size for _, size in amounts), Fraction())
            notional = sum((price * size for price, size in amounts), Fraction())
            candles[interval, start - START_US] = Candle(
                symbol=symbol,
                interval=interval,
                start=start,
                end=start + length,
                open=prices[0] if prices else None,
                high=max(prices) if prices else None,
                low=min(prices) if prices else None,
                close=prices[-1] if prices else None,
                volume=float(volume),
                notional=float(notional),
                vwap=float(notional / volume) if volume else None,
                trades=sum(t.updates_price or t.updates_volume for t in held),
                final=True,
                version=2 * len(until) + 1,
                sources=tuple(sorted({t.source for t in held})),
            )
    return candles


@settings(deadline=None, max_examples=60)
@given(trades_and_arrivals())
def test_the_last_version_of_every_bar_is_what_all_its_trades_make(drawn: Any) -> None:
    """Prices, volume, VWAP, counts, sources, final and version, to the last bit."""
    trades, (schedule,) = drawn
    for symbol in SYMBOLS:
        assert run(schedule, symbol).last == naive(trades, symbol)


@settings(deadline=None, max_examples=60)
@given(trades_and_arrivals(ways=2))
def test_two_orders_of_arrival_end_with_the_same_candles(drawn: Any) -> None:
    """Other slices, other watermarks, other restarts."""
    _, (one, other) = drawn
    for symbol in SYMBOLS:
        assert run(one, symbol).last == run(other, symbol).last


@settings(deadline=None, max_examples=60)
@given(trades_and_arrivals())
def test_a_change_always_makes_a_greater_version(drawn: Any) -> None:
    """In the order of publication a bar's version never falls, and tells two different contents apart."""
    _, (schedule,) = drawn
    for symbol in SYMBOLS:
        newest: dict[tuple[str, int], Candle] = {}
        for candle in run(schedule, symbol).published:
            before = newest.get((candle.interval, candle.start))
            assert before is None or before == candle or before.version < candle.version
            assert before is None or not before.final or candle.final
            newest[candle.interval, candle.start] = candle


@settings(deadline=None, max_examples=60)
@given(trades_and_arrivals())
def test_every_version_holds_together(drawn: Any) -> None:
    """High and low enclose open and close, also in versions that are superseded later; even means live."""
    _, (schedule,) = drawn
    for symbol in SYMBOLS:
        for candle in run(schedule, symbol).published:
            if candle.open is None:
                assert (candle.high, candle.low, candle.close) == (None, None, None)
            else:
                assert candle.high >= max(candle.open, candle.close)
                assert candle.low <= min(candle.open, candle.close)
            assert candle.version % 2 == candle.final
            assert (candle.vwap is None) == (candle.volume == 0.0)


class InMemory(SymbolDriver):
    """The same without bytes: one book that is never dumped nor loaded."""

    def __init__(self, rules: Rules, symbol: str) -> None:
        super().__init__(rules, symbol)
        self._book = SymbolBars()

    def load(self) -> SymbolBars:
        return self._book

    def save(self, book: SymbolBars) -> None:
        self._book = book


@settings(deadline=None, max_examples=60)
@given(trades_and_arrivals())
def test_state_through_bytes_changes_nothing(drawn: Any) -> None:
    """Whatever is published, and in which order, is the same where the state was never dumped."""
    _, (schedule,) = drawn
    for symbol in SYMBOLS:
        assert run(schedule, symbol).published == run(schedule, symbol, InMemory).published
