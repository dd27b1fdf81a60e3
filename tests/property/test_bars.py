"""Bars against a naive computation over all trades and corrections at once, however those arrive."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.domain import quality
from jobs.domain.bars import Market, Rules, SymbolBars
from jobs.domain.indicator_cache import IndicatorCache
from jobs.domain.indicators import BarValues, Indicators
from jobs.domain.quality import QualityRules
from jobs.domain.totals import NOTHING, of_slice
from schemas.events import Candle, Correction, Trade
from schemas.intervals import INTERVALS, MINUTE_US
from schemas.sessions import UtcCalendar
from tests.unit.jobs.builders import DAY_US, SECOND_US, START_US, SymbolDriver, a_cancel, a_trade, slice_of

RULES = Rules(horizon=2 * MINUTE_US, dedup_memory=4 * MINUTE_US, live_every=700_000)
SLICE_US = 200_000
SYMBOLS = ("AAPL", "BTC-USD")
CORRECTABLE = "feed"
"""The source that sends cancels."""
LAST_WATERMARK = 400 * DAY_US
EXAMPLES = settings(max_examples=25)

# Prices of whole cents and sizes of millionths: the product of their doubles is within 1e-9 of the exact one.
CENTS, MILLIONTHS = 100, 10**6
cents = st.integers(1, 100_000)
millionths = st.integers(0, 10**9)


class IrregularCalendar(UtcCalendar):
    """Long bars of unequal length, days with a gap between them, and sessions that are not days."""

    OPEN_US, CLOSE_US = 433 * MINUTE_US, 817 * MINUTE_US
    GRID_US = (0, 30 * MINUTE_US, 433 * MINUTE_US, 434 * MINUTE_US, 900 * MINUTE_US, DAY_US)

    def bar(self, event_time_us: int, interval: str) -> tuple[int, int] | None:
        midnight, time = event_time_us - event_time_us % DAY_US, event_time_us % DAY_US
        if interval == "1d":
            span = midnight + self.OPEN_US, midnight + self.CLOSE_US
            return span if self.OPEN_US <= time < self.CLOSE_US else None
        if interval == "4h":
            place = next(place for place, end in enumerate(self.GRID_US[1:]) if time < end)
            return midnight + self.GRID_US[place], midnight + self.GRID_US[place + 1]
        return super().bar(event_time_us, interval)

    def trading_day(self, event_time_us: int) -> int:
        return event_time_us - (event_time_us - self.OPEN_US) % DAY_US


INDICATORS = Indicators("sma:2,ema:2,rsi:2,bollinger:3:2,vwap,atr:2")
MARKETS = [Market(calendar, INDICATORS, QualityRules()) for calendar in (UtcCalendar(), IrregularCalendar())]

Event = Trade | Correction


@dataclass(frozen=True)
class Burst:
    """Trades within one horizon, which of them have a clock that is off, and the corrections about them."""

    trades: list[Trade]
    skewed: set[str]
    corrections: list[Correction]


@dataclass(frozen=True)
class Arrival:
    """A batch of events, whether live bars may be shown from then on, and what comes after it: the watermark
    (from START_US), or a restart."""

    events: list[Event]
    sliced: bool
    shows: bool
    watermark: int
    restarts: bool


@dataclass(frozen=True)
class Tape:
    """Everything that happened, and one or more ways in which it arrives."""

    market: Market
    bursts: list[Burst]
    ways: list[list[Arrival]]

    def trades(self, symbol: str) -> list[Trade]:
        return [trade for burst in self.bursts for trade in burst.trades if trade.symbol == symbol]

    def corrections(self, symbol: str) -> list[Correction]:
        return [each for burst in self.bursts for each in burst.corrections if each.symbol == symbol]

    @property
    def skewed(self) -> set[str]:
        return set().union(*(burst.skewed for burst in self.bursts))


@st.composite
def bursts(draw: st.DrawFn) -> list[Burst]:
    """Between bursts there may be days. Of the trades some are about to be cancelled, corrected, corrected
    again by way of the correction, and some corrections are about nothing."""
    offsets = st.integers(0, RULES.horizon) | st.sampled_from([0, 1, MINUTE_US - 1, MINUTE_US, RULES.horizon])
    trade_fields = st.tuples(
        offsets, cents, millionths, st.integers(0, 2), st.sampled_from([7, 7, 7, 4, 6, 2, 3, 0]),
        st.sampled_from(["sim", CORRECTABLE]), st.sampled_from(SYMBOLS), st.integers(0, 5),
    )  # fmt: skip
    correction_fields = st.tuples(
        st.integers(0, 11), offsets, st.booleans(), cents, millionths, st.integers(0, 2),
        st.sampled_from([7, 7, 4, 2, 0]), st.sampled_from(["trade", "trade", "last", "nothing"]),
        st.booleans(),
    )  # fmt: skip
    start = START_US + MINUTE_US * draw(st.sampled_from([0, 29, 432, 815, 1438]))
    drawn: list[Burst] = []
    for number in range(draw(st.integers(1, 4))):
        trades = [
            Trade(symbol, start + at, start + at, price / CENTS, size / MILLIONTHS, f"{number}-{place}",
                  sequence, source, updates_open_close=bool(flags & 1), updates_high_low=bool(flags & 2),
                  updates_volume=bool(flags & 4), correctable=source == CORRECTABLE)
            for place, (at, price, size, sequence, flags, source, symbol, _)
            in enumerate(draw(st.lists(trade_fields, max_size=10)))
        ]  # fmt: skip
        correctable = [trade for trade in trades if trade.correctable]
        corrections: list[Correction] = []
        for place, (which, at, cancels, price, size, sequence, flags, about, has_time) in enumerate(
            draw(st.lists(correction_fields, max_size=6)) if correctable else []
        ):
            trade = correctable[which % len(correctable)]
            last = next(
                (c.correction_id for c in corrections if c.trade_id == trade.trade_id), trade.trade_id
            )
            corrections.append(
                Correction(
                    trade.symbol, max(trade.event_time, start + at), 0, f"c{number}-{place}", sequence,
                    CORRECTABLE, {"trade": trade.trade_id, "last": last, "nothing": "none such"}[about],
                    trade.event_time if has_time else None,
                    *(("cancel", None, None) if cancels else ("correct", price / CENTS, size / MILLIONTHS)),
                    updates_open_close=bool(flags & 1), updates_high_low=bool(flags & 2),
                    updates_volume=bool(flags & 4),
                )
            )  # fmt: skip
        skewed = {trade.trade_id for trade in trades if draw(st.integers(0, 3)) == 0}
        drawn.append(Burst(trades, skewed, corrections))
        gaps = [SECOND_US, 10 * MINUTE_US, 61 * MINUTE_US, 2000 * MINUTE_US]
        start += RULES.horizon + draw(st.sampled_from(gaps))
    return drawn


@st.composite
def arrivals(draw: st.DrawFn, burst_list: list[Burst]) -> list[Arrival]:
    """One way in which events may come: any order within a burst, in slices or one by one, the watermark
    anywhere between far behind and just short of where their like would be refused."""
    schedule, watermark = [], -MINUTE_US
    for burst in burst_list:
        left = draw(st.permutations([*burst.trades, *burst.corrections]))
        oldest = min((trade.event_time for trade in burst.trades), default=0)
        while left:
            count = draw(st.integers(1, len(left)))
            batch, left = left[:count], left[count:]
            if left:
                # A correction needs its trade, which may be as old as any.
                corrections_left = any(isinstance(event, Correction) for event in left)
                first = oldest if corrections_left else min(event.event_time for event in left)
                wanted = draw(st.integers(0, RULES.dedup_memory + RULES.horizon))
                watermark = max(watermark, first - START_US + RULES.dedup_memory - wanted)
            sliced, shows, restarts = (draw(st.integers(0, 5)) for _ in range(3))
            schedule.append(Arrival(batch, sliced > 2, shows > 1, watermark, restarts == 0))
    return schedule


@st.composite
def tapes(draw: st.DrawFn, ways: int = 1) -> Tape:
    burst_list = draw(bursts())
    return Tape(draw(st.sampled_from(MARKETS)), burst_list, [draw(arrivals(burst_list)) for _ in range(ways)])


def slices(batch: list[Trade]) -> Iterator[list[Trade]]:
    """The batch as SQL divides it: by source and fifth of a second."""
    groups: dict[tuple[str, int], list[Trade]] = {}
    for trade in batch:
        groups.setdefault((trade.source, trade.event_time // SLICE_US), []).append(trade)
    yield from groups.values()


def feed(bars: SymbolDriver, arrival: Arrival, skewed: set[str]) -> None:
    bars.budget.is_open = arrival.shows
    mine = [event for event in arrival.events if event.symbol == bars.symbol]
    trades = [event for event in mine if isinstance(event, Trade)]
    # Corrections come one by one; whether before or after the batch's trades, its order says.
    corrections_first = bool(mine) and isinstance(mine[0], Correction)
    for step in (True, False):
        if step == corrections_first:
            for event in mine:
                if isinstance(event, Correction):
                    bars.correct(event)
        else:
            for part in slices(trades) if arrival.sliced else ([trade] for trade in trades):
                bars.add(*part, skewed=[trade.trade_id in skewed for trade in part])
    if arrival.restarts:
        bars.restart()
    else:
        bars.advance(arrival.watermark)


def run(tape: Tape, symbol: str, way: int = 0, driver: type[SymbolDriver] = SymbolDriver) -> SymbolDriver:
    """A symbol's bars after everything has come and every bar is final and out of reach."""
    bars = driver(RULES, symbol, tape.market)
    for arrival in tape.ways[way]:
        feed(bars, arrival, tape.skewed)
    bars.advance(LAST_WATERMARK)
    return bars


def matched(trades: list[Trade], corrections: list[Correction]) -> dict[str, list[Correction]]:
    """Trade id -> its corrections, the one in force last."""
    by_id = {each.correction_id: each for each in corrections}
    ids = {trade.trade_id for trade in trades}
    found: dict[str, list[Correction]] = {}
    for correction in sorted(corrections, key=lambda c: (c.event_time, c.sequence, c.correction_id)):
        target = correction.trade_id
        while target in by_id:
            target = by_id[target].trade_id
        if target in ids:
            found.setdefault(target, []).append(correction)
    return found


def naive(tape: Tape, symbol: str) -> dict[tuple[str, int], Candle]:
    """Every bar of a symbol from all that happened, in exact fractions."""
    trades = tape.trades(symbol)
    corrections = matched(trades, tape.corrections(symbol))
    candles = {}
    for interval in INTERVALS:
        state = INDICATORS.fresh()
        spans = {tape.market.calendar.bar(trade.event_time, interval) for trade in trades} - {None}
        for start, end in sorted(span for span in spans if span is not None):
            held = [trade for trade in trades if start <= trade.event_time < end]
            until = [
                trade
                for trade in trades
                if trade.event_time < end and tape.market.calendar.bar(trade.event_time, interval)
            ]
            applied = len(until) + sum(len(corrections.get(trade.trade_id, ())) for trade in until)
            candle = _naive_candle(tape, symbol, held, corrections)
            values = BarValues(
                candle.high,
                candle.low,
                candle.close,
                candle.volume,
                tape.market.calendar.trading_day(end - 1),
            )
            candles[interval, start - START_US] = replace(
                candle, interval=interval, start=start, end=end, version=2 * applied + 1,
                indicators=INDICATORS.values(state, values),
            )  # fmt: skip
            INDICATORS.advance(state, values)
    return candles


def in_effect(trades: list[Trade], corrections: dict[str, list[Correction]]) -> Iterator[Trade]:
    for trade in trades:
        correction = corrections[trade.trade_id][-1] if trade.trade_id in corrections else None
        if correction is None:
            yield trade
        elif correction.kind == "correct":
            assert correction.price is not None
            assert correction.size is not None
            yield replace(
                trade, price=correction.price, size=correction.size,
                updates_open_close=correction.updates_open_close,
                updates_high_low=correction.updates_high_low, updates_volume=correction.updates_volume,
            )  # fmt: skip


def _naive_candle(
    tape: Tape, symbol: str, held: list[Trade], corrections: dict[str, list[Correction]]
) -> Candle:
    trades = list(in_effect(held, corrections))
    opening = [
        price
        for _, _, price in sorted((t.event_time, t.sequence, t.price) for t in trades if t.updates_open_close)
    ]
    prices = [t.price for t in trades if t.updates_high_low or t.updates_open_close]
    amounts = [
        (Fraction(round(t.price * CENTS), CENTS), Fraction(round(t.size * MILLIONTHS), MILLIONTHS))
        for t in trades
        if t.updates_volume
    ]
    volume = sum((size for _, size in amounts), Fraction())
    notional = sum((price * size for price, size in amounts), Fraction())
    counting = sum(t.updates_open_close or t.updates_high_low or t.updates_volume for t in trades)
    open_, close = (opening[0], opening[-1]) if opening else (None, None)
    high, low = (max(prices), min(prices)) if prices else (None, None)
    vwap = float(notional / volume) if volume else None
    if vwap is not None and high is not None and low is not None:
        # What rounding to 1e-9 may have moved out of the range is put back to its edge.
        precision = (counting / float(volume * 10**9) + 1e-15) * (1 + high)
        nearest = min(max(vwap, low), high)
        vwap = nearest if abs(nearest - vwap) <= precision else vwap
    skewed = sum(t.trade_id in tape.skewed for t in trades)
    return Candle(
        symbol, "", 0, 0, open_, high, low, close, float(volume), float(notional), vwap, counting, True, 0,
        tuple(sorted({t.source for t in trades})),
        quality=quality.score(len(trades), skewed, open_, high, low, close, vwap, QualityRules()),
    )  # fmt: skip


def values(candles: dict[tuple[str, int], Candle]) -> dict[tuple[str, int], Candle]:
    """The candles without what depends on the order of arrival."""
    return {key: replace(candle, late_trades=0, updated_at=0) for key, candle in candles.items()}


@EXAMPLES
@given(tapes())
def test_the_last_version_of_every_bar_is_what_all_its_events_make(tape: Tape) -> None:
    """Prices, volume, VWAP, counts, sources, quality, indicators, final and version, to the last bit."""
    for symbol in SYMBOLS:
        assert values(run(tape, symbol).last) == naive(tape, symbol)


@EXAMPLES
@given(tapes(ways=2))
def test_two_orders_of_arrival_end_with_the_same_candles(tape: Tape) -> None:
    """Other slices, other watermarks, other restarts, corrections before and after their trades."""
    for symbol in SYMBOLS:
        assert values(run(tape, symbol, 0).last) == values(run(tape, symbol, 1).last)


@EXAMPLES
@given(tapes())
def test_a_change_always_makes_a_greater_version(tape: Tape) -> None:
    """In the order of publication a bar's version never falls, and tells two different contents apart."""
    for symbol in SYMBOLS:
        newest: dict[tuple[str, int], Candle] = {}
        for candle in run(tape, symbol).published:
            before = newest.get((candle.interval, candle.start))
            assert before is None or before == candle or before.version < candle.version
            assert before is None or not before.final or candle.final
            newest[candle.interval, candle.start] = candle


@EXAMPLES
@given(tapes())
def test_a_live_bar_is_the_final_one_once_no_more_comes(tape: Tape) -> None:
    """Where nothing was applied between them, their versions are neighbours; then all else is the same."""
    for symbol in SYMBOLS:
        live: dict[tuple[str, int, int], Candle] = {}
        for candle in run(tape, symbol).published:
            key = candle.interval, candle.start, candle.version - candle.final
            if not candle.final:
                live[key] = candle
            elif key in live:
                assert replace(candle, final=False, version=candle.version - 1) == live[key]


@EXAMPLES
@given(tapes())
def test_every_version_holds_together(tape: Tape) -> None:
    """High and low enclose open and close, also in versions that are superseded later; even means live."""
    for symbol in SYMBOLS:
        for candle in run(tape, symbol).published:
            assert (candle.open is None) == (candle.close is None)
            assert (candle.high is None) == (candle.low is None)
            if candle.open is not None:
                assert candle.low <= min(candle.open, candle.close)
                assert candle.high >= max(candle.open, candle.close)
            assert candle.version % 2 == candle.final
            assert (candle.vwap is None) == (candle.volume == 0.0)


any_price = st.floats(1e-6, 1e6)
any_size = st.floats(0, 1e6) | st.floats(1e-10, 1e-7)


@EXAMPLES
@given(st.lists(st.tuples(any_price, any_size), min_size=1, max_size=8))
def test_the_vwap_lies_between_low_and_high(drawn: list[tuple[float, float]]) -> None:
    """Of trades that update everything, however small they are and whatever rounding does to them."""
    bars = SymbolDriver()
    for number, (price, size) in enumerate(drawn):
        bars.add(a_trade(0, price, size, sequence=number))
    for candle in bars.published:
        assert candle.vwap is None or candle.low <= candle.vwap <= candle.high


@EXAMPLES
@given(tapes())
def test_volumes_add_up_across_intervals(tape: Tape) -> None:
    """The minutes of a bar have its volume, notional and trades, to the last digit."""
    for symbol in SYMBOLS:
        last = run(tape, symbol).last
        for (interval, _), bar in last.items():
            minutes = [m for (name, _), m in last.items() if name == "1m" and bar.start <= m.start < bar.end]
            if interval != "1m":
                assert bar.trades == sum(minute.trades for minute in minutes)
                for amount, digits in (("volume", MILLIONTHS), ("notional", MILLIONTHS * CENTS)):
                    parts = [round(Fraction(getattr(minute, amount)) * digits) for minute in minutes]
                    assert round(Fraction(getattr(bar, amount)) * digits) == sum(parts)


@EXAMPLES
@given(tapes(), st.data())
def test_merging_is_associative_and_commutative(tape: Tape, data: st.DataObject) -> None:
    """To the last digit, whatever is merged first."""
    parts = [of_slice(slice_of(trade)) for burst in tape.bursts for trade in burst.trades]
    expected = NOTHING
    for part in parts:
        expected = expected.merge(part)
    heap = list(data.draw(st.permutations(parts)))
    while len(heap) > 1:
        at = data.draw(st.integers(0, len(heap) - 2))
        heap[at : at + 2] = [heap[at].merge(heap[at + 1])]
    assert (heap[0] if heap else NOTHING) == expected


@EXAMPLES
@given(tapes(), st.data())
def test_added_and_cancelled_is_never_added(tape: Tape, data: st.DataObject) -> None:
    """Whichever of the two came first; versions and late counts aside, and where nothing else was traded an
    empty bar stays."""
    symbol, kept = SYMBOLS[0], tape.trades(SYMBOLS[0])
    doomed = [trade for trade in kept if trade.correctable]
    cancels = [
        a_cancel(trade.trade_id, trade.event_time - START_US, source=CORRECTABLE, correction_id=f"x{number}")
        for number, trade in enumerate(doomed)
    ]
    never = SymbolDriver(RULES, symbol, tape.market)
    taken_back = SymbolDriver(RULES, symbol, tape.market)
    for burst in tape.bursts:
        mine = [trade for trade in burst.trades if trade.symbol == symbol]
        undone = [cancel for cancel in cancels if cancel.trade_id in {trade.trade_id for trade in mine}]
        for event in data.draw(st.permutations([*mine, *undone])):
            if isinstance(event, Correction):
                taken_back.correct(event)
                continue
            taken_back.add(event)
            if not event.correctable:
                never.add(event)
    never.advance(LAST_WATERMARK)
    taken_back.advance(LAST_WATERMARK)
    expected = {key: replace(bar, version=0) for key, bar in values(never.last).items()}
    result = {key: replace(bar, version=0) for key, bar in values(taken_back.last).items()}
    assert {key: bar for key, bar in result.items() if key in expected} == expected
    for key in result.keys() - expected.keys():
        bar = result[key]
        assert (bar.open, bar.high, bar.low, bar.close, bar.vwap) == (None,) * 5
        assert (bar.trades, bar.volume, bar.sources, bar.quality) == (0, 0.0, (), 1.0)


@EXAMPLES
@given(tapes())
def test_corrections_are_matched_or_given_up(tape: Tape) -> None:
    """Each that found no trade is handed back, once."""
    for symbol in SYMBOLS:
        corrections = tape.corrections(symbol)
        found = matched(tape.trades(symbol), corrections)
        expected = {c.correction_id for c in corrections} - {
            c.correction_id for about in found.values() for c in about
        }
        assert sorted(each.correction_id for each in run(tape, symbol).unmatched) == sorted(expected)


@EXAMPLES
@given(tapes())
def test_nothing_is_left_after_the_horizon(tape: Tape) -> None:
    """No minute, bar, logged trade, waiting correction or timer; counters stay."""
    for symbol in SYMBOLS:
        bars = run(tape, symbol)
        book = bars.load()
        assert bars.timers == set()
        assert bars.memory.trades == {}
        kept = SymbolBars(
            dropped_events=book.dropped_events, indicator_marks=book.indicator_marks,
            greatest_event_time=book.greatest_event_time, watermark=book.watermark,
            live_shown_at=book.live_shown_at,
        )  # fmt: skip
        assert book == kept


class InMemory(SymbolDriver):
    """The same without bytes: one book that is never dumped nor loaded."""

    def __init__(self, rules: Rules, symbol: str, market: Market) -> None:
        super().__init__(rules, symbol, market)
        self._book = SymbolBars()

    def load(self) -> SymbolBars:
        return self._book

    def save(self, book: SymbolBars) -> None:
        self._book = book


class Uncached(SymbolDriver):
    """The same where no state of indicators is ever found in the process."""

    def __init__(self, rules: Rules, symbol: str, market: Market) -> None:
        super().__init__(rules, symbol, market)
        self.memory.cache = IndicatorCache(capacity=0)


@EXAMPLES
@given(tapes())
def test_state_through_bytes_and_the_cache_change_nothing(tape: Tape) -> None:
    """Whatever is published, and in which order, is the same where the state was never dumped, and where
    indicators are always replayed."""
    for symbol in SYMBOLS:
        expected = run(tape, symbol).published
        assert run(tape, symbol, driver=InMemory).published == expected
        assert run(tape, symbol, driver=Uncached).published == expected
