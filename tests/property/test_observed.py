"""Gaps against a naive union over all of them, however they and the trades arrive."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.domain.bars import Rules
from schemas.events import Candle, Gap, Trade
from schemas.intervals import MINUTE_US
from tests.unit.jobs.builders import DAY_US, SECOND_US, START_US, SymbolDriver, a_gap, a_trade

RULES = Rules(horizon=5 * MINUTE_US, dedup_memory=10 * MINUTE_US, live_every=700_000)
LAST_WATERMARK = 400 * DAY_US
SPAN_S = 280
EXAMPLES = settings(max_examples=50)


@st.composite
def records(draw: st.DrawFn) -> list[Gap]:
    """Gaps of a stretch of less than the horizon: some grow, some are filled in the end."""
    found: list[Gap] = []
    for number in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, SPAN_S - 1))
        ends = sorted(draw(st.lists(st.integers(start, SPAN_S), min_size=1, max_size=3)))
        grown = [a_gap(start * SECOND_US, end * SECOND_US, f"gap-{number}", closed=False) for end in ends]
        found += grown
        if draw(st.booleans()):
            found.append(replace(grown[-1], closed=True, filled=True))
    return found


@st.composite
def mixtures(draw: st.DrawFn) -> tuple[list[Trade], list[Gap], list[list[Trade | Gap]]]:
    """Trades and the records of gaps, mixed in two ways; the records of gaps keep their order."""
    times = draw(st.lists(st.integers(0, SPAN_S * SECOND_US), min_size=1, max_size=8))
    trades = [a_trade(at, 100.0 + n, sequence=n, trade_id=f"t{n}") for n, at in enumerate(times)]
    gaps = draw(records())
    ways = []
    for _ in range(2):
        in_order = iter(gaps)
        shuffled = draw(st.permutations([*trades, *[None] * len(gaps)]))
        ways.append([next(in_order) if each is None else each for each in shuffled])
    return trades, gaps, ways


def run(events: list[Trade | Gap], restarts: bool = False) -> SymbolDriver:
    """Every bar final and out of reach."""
    bars = SymbolDriver(RULES)
    for event in events:
        if isinstance(event, Gap):
            bars.miss(event)
        else:
            bars.add(event)
        if restarts:
            bars.restart()
        else:
            bars.advance(event.end - START_US if isinstance(event, Gap) else event.event_time - START_US)
    bars.advance(LAST_WATERMARK)
    return bars


def plain(bars: SymbolDriver) -> dict[tuple[str, int], Candle]:
    """The bars without what gaps and the order of arrival may change."""
    return {key: replace(bar, observed=1.0, version=0, late_trades=0) for key, bar in bars.last.items()}


def observed(gaps: list[Gap], bar: Candle) -> float:
    """The part of a bar that no gap covers, second by second; all times are whole seconds."""
    filled = {gap.gap_id for gap in gaps if gap.filled}
    missed = {
        second
        for gap in gaps
        if gap.gap_id not in filled
        for second in range(gap.start // SECOND_US, gap.end // SECOND_US)
    }
    length = (bar.end - bar.start) // SECOND_US
    inside = sum(bar.start <= second * SECOND_US < bar.end for second in missed)
    return 1.0 - inside / length


@EXAMPLES
@given(mixtures(), st.booleans())
def test_gaps_change_nothing_but_what_was_observed(
    mixed: tuple[list[Trade], list[Gap], list[list[Trade | Gap]]], restarts: bool
) -> None:
    """The same trades with and without them make the same bars, and no bar more."""
    _, _, (events, _) = mixed
    without: list[Trade | Gap] = [event for event in events if isinstance(event, Trade)]
    assert plain(run(events, restarts)) == plain(run(without, restarts))


@EXAMPLES
@given(mixtures(), st.booleans())
def test_a_final_bar_is_observed_where_no_gap_is_known(
    mixed: tuple[list[Trade], list[Gap], list[list[Trade | Gap]]], restarts: bool
) -> None:
    """Of every interval, to the last digit, whatever came first."""
    _, gaps, ways = mixed
    for events in ways:
        for bar in run(events, restarts).last.values():
            assert bar.final
            assert bar.observed == observed(gaps, bar)


@EXAMPLES
@given(mixtures())
def test_versions_do_not_depend_on_the_order_of_trades_and_gaps(
    mixed: tuple[list[Trade], list[Gap], list[list[Trade | Gap]]],
) -> None:
    """A gap counts the same for a bar that is there and for one that comes later."""
    one, other = (run(events).last for events in mixed[2])
    assert {key: bar.version for key, bar in one.items()} == {key: bar.version for key, bar in other.items()}


@EXAMPLES
@given(mixtures())
def test_a_change_makes_a_greater_version(
    mixed: tuple[list[Trade], list[Gap], list[list[Trade | Gap]]],
) -> None:
    """Two different contents of a bar never have the same version, and the greater one comes later."""
    newest: dict[tuple[str, int], Candle] = {}
    for candle in run(mixed[2][0]).published:
        before = newest.get((candle.interval, candle.start))
        assert before is None or before == candle or before.version < candle.version
        newest[candle.interval, candle.start] = candle


@EXAMPLES
@given(mixtures())
def test_nothing_of_a_gap_is_left_after_the_horizon(
    mixed: tuple[list[Trade], list[Gap], list[list[Trade | Gap]]],
) -> None:
    """No gap and no timer."""
    bars = run(mixed[2][0])
    assert bars.load().coverage.gaps == {}
    assert bars.timers == set()
