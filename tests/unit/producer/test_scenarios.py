"""Each scenario, as the default run shows it within its first three minutes."""

from collections import Counter
from itertools import pairwise

import pytest
import structlog

from producer.metrics import ProducerMetrics
from producer.settings import SCENARIOS, SimulatorSettings
from producer.simulator.source import Simulator
from schemas.events import Quote, Trade
from tests.unit.producer.fakes import START_US, FakeClock

SECOND_US = 1_000_000
Run = tuple[list[Trade], list[Quote], list[tuple[int, dict[str, object]]]]


def run(minutes: float = 3, **changes: object) -> Run:
    """Trades and quotes of a run, and what it logged: (microseconds after the start, entry)."""
    clock = FakeClock()
    trades: list[Trade] = []
    quotes: list[Quote] = []
    logged: list[tuple[int, dict[str, object]]] = []
    with structlog.testing.capture_logs() as entries:
        for batch in Simulator(SimulatorSettings(**changes), 100_000, clock, ProducerMetrics()).batches():
            trades += batch.trades
            quotes += batch.quotes
            logged += [(clock.us - START_US, dict(entry)) for entry in entries[len(logged) :]]
            if clock.us > START_US + minutes * 60 * SECOND_US:
                return trades, quotes, logged
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
    trades, quotes, _ = default
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
    trades, _, _ = default
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
    trades, _, _ = default
    late = [trade for trade in trades if trade.received_at - trade.event_time > 2 * SECOND_US]
    assert len(late) == 1
    assert late[0].received_at - late[0].event_time == pytest.approx(5 * SECOND_US, abs=20_000)
    assert late[0].event_time // 60_000_000 == late[0].received_at // 60_000_000 - 1
    assert late[0].received_at % 60_000_000 >= SECOND_US


def test_duplicate_is_the_very_same_trade(default: Run) -> None:
    """Exactly one trade comes twice, equal in every field."""
    trades, _, _ = default
    repeated = [trade for trade, count in Counter(trades).items() if count > 1]
    assert len(repeated) == 1
    assert Counter(trade.sequence for trade in trades)[repeated[0].sequence] == 2
    assert len(trades) == len(set(trades)) + 1


def test_stale_symbol_is_silent_while_the_others_trade(default: Run) -> None:
    """One symbol, and no other one, has neither trade nor quote for a minute."""
    trades, quotes, _ = default
    at, symbol = began(default, "stale_symbol")
    silent = [
        event.symbol
        for event in (*trades, *quotes)
        if at <= event.event_time - START_US < at + 60 * SECOND_US
    ]
    assert set(silent) == {trade.symbol for trade in trades} - {symbol}
    assert any(
        trade.symbol == symbol and trade.event_time - START_US > at + 60 * SECOND_US for trade in trades
    )


def test_the_rate_holds_while_a_symbol_is_stale(default: Run) -> None:
    """The other symbols trade the more: 100 trades/s are 100 trades/s."""
    assert len(default[0]) == pytest.approx(180 * 100, rel=0.01)


def test_scenarios_come_again() -> None:
    """With the next round they begin again, with another symbol each."""
    entries = [
        entry for _, entry in run(7, simulator_scenario_minutes=4)[2] if entry["event"] == "scenario_began"
    ]
    spikes = [entry["symbol"] for entry in entries if entry["scenario"] == "price_spike"]
    assert len(spikes) == len(set(spikes)) == 2
    assert Counter(entry["scenario"] for entry in entries) == dict.fromkeys(SCENARIOS, 2)


def test_none_begins_in_a_calm_market() -> None:
    """SIMULATOR_SCENARIOS=none switches all of them off."""
    trades, _, logged = run(1.5, simulator_scenarios="none")
    assert not logged
    assert len(trades) == len(set(trades))


def test_a_market_of_one_symbol_does_not_go_stale() -> None:
    """With nothing else to trade the market would be dead, and its clock with it."""
    trades, _, logged = run(symbols=("V",))
    assert "stale_symbol" not in {entry["scenario"] for _, entry in logged}
    assert max(b.received_at - a.received_at for a, b in pairwise(trades)) < SECOND_US
