"""Each scenario, as the default run shows it within its first three minutes."""

from collections import Counter
from dataclasses import asdict
from itertools import pairwise

import pytest
import structlog

from producer.metrics import ProducerMetrics
from producer.settings import SCENARIOS, SimulatorSettings
from producer.simulator.resume import Resume
from producer.simulator.source import LEAST_WAIT_S, Simulator
from schemas.events import Correction, Quote, Trade
from schemas.validation import check_correction
from tests.unit.producer.fakes import START_US, FakeClock

SECOND_US = 1_000_000
Run = tuple[list[Trade], list[Quote], list[tuple[int, dict[str, object]]], list[Correction]]


def run(minutes: float = 3, resume: Resume | None = None, **changes: object) -> Run:
    """Trades and quotes of a run, what it logged: (microseconds after the start, entry), and corrections."""
    clock = FakeClock()
    trades: list[Trade] = []
    quotes: list[Quote] = []
    corrections: list[Correction] = []
    logged: list[tuple[int, dict[str, object]]] = []
    with structlog.testing.capture_logs() as entries:
        settings = SimulatorSettings(**changes)
        for batch in Simulator(settings, 100_000, clock, ProducerMetrics(), resume).batches():
            trades += batch.trades
            corrections += batch.corrections
            quotes += batch.quotes
            logged += [(clock.us - START_US, dict(entry)) for entry in entries[len(logged) :]]
            if clock.us > START_US + minutes * 60 * SECOND_US:
                return trades, quotes, logged, corrections
    raise AssertionError("a live source has no end")


@pytest.fixture(scope="module")
def default() -> Run:
    """The default run's first three minutes."""
    return run()


def began(default: Run, scenario: str) -> tuple[int, str]:
    at, entry = next(
        (at, entry)
        for at, entry in default[2]
        if entry["event"] == "scenario_began" and entry["scenario"] == scenario
    )
    return at, str(entry["symbol"])


def test_every_scenario_begins_once_and_says_so(default: Run) -> None:
    """The first three minutes log each scenario's beginning, once."""
    counted = Counter(entry["scenario"] for _, entry in default[2] if entry["event"] == "scenario_began")
    assert counted == dict.fromkeys(SCENARIOS, 1)


def test_price_spike_is_above_five_percent_within_a_minute_and_goes_back(default: Run) -> None:
    """One symbol rises by more than 5 % within 60 s, quotes and all, and comes back; no other one does."""
    trades, quotes, *_ = default
    at, symbol = began(default, "price_spike")
    for name in {trade.symbol for trade in trades}:
        prices = [trade.price for trade in trades if trade.symbol == name]
        window = [
            trade.price
            for trade in trades
            if trade.symbol == name and 0 <= trade.event_time - START_US - at < 60 * SECOND_US
        ]
        leap = max(window) / prices[0] - 1
        assert (leap > 0.05) == (name == symbol)
        assert prices[-1] == pytest.approx(prices[0], rel=0.01)
    top = max(quote.bid for quote in quotes if quote.symbol == symbol)
    assert top > 1.05 * next(quote.bid for quote in quotes if quote.symbol == symbol)
    assert all(quote.ask > quote.bid for quote in quotes)


def test_volume_burst_triples_the_minutes_volume(default: Run) -> None:
    """In the minute of the burst the symbol's volume is more than three times what it is in the next."""
    trades = default[0]
    at, symbol = began(default, "volume_burst")
    volume = [
        sum(
            t.size
            for t in trades
            if t.symbol == symbol and begin <= t.event_time - START_US < begin + 60 * SECOND_US
        )
        for begin in (at, at + 60 * SECOND_US)
    ]
    assert volume[0] > 3 * volume[1]


def test_late_trade_belongs_to_the_minute_before(default: Run) -> None:
    """One trade is older than those around it, and its minute had ended when it came."""
    trades = default[0]
    late = [trade for trade in trades if trade.received_at - trade.event_time > 2 * SECOND_US]
    assert len(late) == 1
    assert late[0].received_at - late[0].event_time == pytest.approx(5 * SECOND_US, abs=20_000)
    assert late[0].event_time // 60_000_000 == late[0].received_at // 60_000_000 - 1
    assert late[0].received_at % 60_000_000 >= SECOND_US


def test_duplicate_is_the_very_same_trade(default: Run) -> None:
    """Exactly one trade comes twice, equal in every field."""
    trades = default[0]
    repeated = [trade for trade, count in Counter(trades).items() if count > 1]
    assert len(repeated) == 1
    assert Counter(trade.sequence for trade in trades)[repeated[0].sequence] == 2
    assert len(trades) == len(set(trades)) + 1


def test_stale_symbol_is_silent_while_the_others_trade(default: Run) -> None:
    """One symbol, and no other one, has neither trade nor quote for a minute, but for the batch in which it
    ends."""
    trades, quotes, *_ = default
    at, symbol = began(default, "stale_symbol")
    silent = [
        event.symbol
        for event in (*trades, *quotes)
        if at <= event.event_time - START_US < at + 60 * SECOND_US - LEAST_WAIT_S * SECOND_US
    ]
    assert set(silent) == {trade.symbol for trade in trades} - {symbol}
    assert any(
        trade.symbol == symbol and trade.event_time - START_US > at + 60 * SECOND_US for trade in trades
    )


def test_one_trade_is_corrected_and_another_one_cancelled(default: Run) -> None:
    """Two of the same symbol, published as correctable a second or two before."""
    trades, _, _, corrections = default
    at, symbol = began(default, "correction")
    assert [correction.kind for correction in corrections] == ["correct", "cancel"]
    by_id = {trade.trade_id: trade for trade in trades}
    first, second = (by_id[correction.trade_id] for correction in corrections)
    assert first != second
    for correction, trade in zip(corrections, (first, second), strict=True):
        check_correction(asdict(correction))
        assert (trade.symbol, trade.source, trade.event_time, trade.correctable) == (
            symbol, correction.source, correction.trade_time, True,
        )  # fmt: skip
        assert correction.symbol == symbol
        assert SECOND_US < correction.event_time - trade.event_time < 3 * SECOND_US
        assert correction.event_time == correction.received_at
        assert 9 * SECOND_US < correction.event_time - START_US - at < 10 * SECOND_US
    changed = corrections[0]
    assert (changed.price, changed.size) == (pytest.approx(first.price + 0.01), first.size + 1)
    assert (corrections[1].price, corrections[1].size) == (None, None)


def test_only_what_may_be_corrected_is_correctable(default: Run) -> None:
    """The jobs keep each such trade by itself: those of one symbol, for ten seconds."""
    at, symbol = began(default, "correction")
    correctable = [trade for trade in default[0] if trade.correctable]
    within = [
        trade
        for trade in default[0]
        if trade.symbol == symbol and at < trade.received_at - START_US < at + 10 * SECOND_US
    ]
    assert len(correctable) == pytest.approx(100, abs=40)
    assert set(correctable) >= set(within)
    assert {trade.symbol for trade in correctable} == {symbol}


def test_correction_ids_are_not_used_twice(default: Run) -> None:
    """Nor those of trades, also when the simulator goes on after a restart."""
    last = max(trade.sequence for trade in default[0])
    again = run(1, Resume(last + 1))
    corrections = [*default[3], *again[3]]
    assert len(corrections) == 4
    used = [correction.correction_id for correction in corrections]
    used += {trade.trade_id for trade in (*default[0], *again[0])}
    assert len(used) == len(set(used))


def test_a_symbol_with_one_trade_has_it_cancelled_and_one_without_none() -> None:
    """In a market that hardly trades there may be nothing to correct."""

    def kinds(rate: float, *symbols: str) -> list[str]:
        made = run(
            1,
            trades_per_second=rate,
            quotes_per_second=0,
            symbols=symbols,
            simulator_scenarios=("correction",),
        )
        assert made[0]
        return [correction.kind for correction in made[3]]

    assert kinds(0.25, "V") == ["correct", "cancel"]
    assert kinds(0.15, "V") == ["cancel"]
    assert kinds(0.15, "V", "A", "B", "C", "D", "E", "F") == []


def test_the_rate_holds_while_a_symbol_is_stale(default: Run) -> None:
    """The other symbols trade the more: 100 trades/s are 100 trades/s."""
    assert len(default[0]) == pytest.approx(180 * 100, rel=0.01)


def test_scenarios_come_again() -> None:
    """With the next round they begin again, with another symbol each."""
    entries = [
        entry
        for _, entry in run(7, simulator_scenario_minutes=4, trades_per_second=20, quotes_per_second=0)[2]
        if entry["event"] == "scenario_began"
    ]
    spikes = [entry["symbol"] for entry in entries if entry["scenario"] == "price_spike"]
    assert len(spikes) == len(set(spikes)) == 2
    assert Counter(entry["scenario"] for entry in entries) == dict.fromkeys(SCENARIOS, 2)


def test_none_begins_in_a_calm_market() -> None:
    """SIMULATOR_SCENARIOS=none switches all of them off."""
    trades, _, logged, corrections = run(1.5, simulator_scenarios="none")
    assert not logged
    assert not corrections
    assert len(trades) == len(set(trades))
    assert not any(trade.correctable for trade in trades)


def test_a_market_of_one_symbol_does_not_go_stale() -> None:
    """With nothing else to trade the market would be dead, and its clock with it."""
    trades, _, logged, corrections = run(symbols=("V",))
    assert [correction.symbol for correction in corrections] == ["V", "V"]
    assert "stale_symbol" not in {entry["scenario"] for _, entry in logged}
    assert max(b.received_at - a.received_at for a, b in pairwise(trades)) < SECOND_US
