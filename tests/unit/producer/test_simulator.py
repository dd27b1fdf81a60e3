"""The simulated market: rate, prices, quotes, pacing."""

from collections.abc import Iterator
from itertools import islice

import numpy as np
import pytest

from producer.metrics import ProducerMetrics
from producer.settings import SimulatorSettings
from producer.simulator.market import Market
from producer.simulator.resume import Resume
from producer.simulator.source import Simulator
from producer.sources import Batch
from schemas.events import Quote, Trade
from tests.unit.producer.fakes import START_US, FakeClock


def calm(**changes: object) -> SimulatorSettings:
    return SimulatorSettings(**{"simulator_scenarios": ()} | changes)


def simulate(settings: SimulatorSettings, seconds: float, clock: FakeClock | None = None) -> Iterator[Batch]:
    clock = clock or FakeClock()
    end_us = clock.now_us() + seconds * 1e6
    for batch in Simulator(settings, 100_000, clock, ProducerMetrics()).batches():
        yield batch
        if clock.now_us() > end_us:
            return


def trades_of(batches: Iterator[Batch]) -> list[Trade]:
    return [trade for batch in batches for trade in batch.trades]


@pytest.mark.parametrize("rate", [0.5, 7, 100, 20_000])
def test_the_rate_is_what_was_asked_for(rate: float) -> None:
    """Over some seconds as many trades are made as the rate says, however coarse the ticks are."""
    seconds = 20 if rate < 1000 else 2
    trades = trades_of(simulate(calm(trades_per_second=rate), seconds))
    assert len(trades) == pytest.approx(rate * seconds, rel=0.02, abs=1)
    assert [trade.sequence for trade in trades] == list(range(len(trades)))


def test_trades_are_stamped_as_they_are_made() -> None:
    """Event times go forward, none is in the future, none older than the batch before."""
    clock = FakeClock()
    last_us = clock.now_us()
    for batch in simulate(calm(trades_per_second=2000), 2, clock):
        now_us = clock.now_us()
        times = [trade.event_time for trade in batch.trades]
        assert times == sorted(times)
        assert all(last_us < time <= now_us for time in times)
        assert all(trade.received_at == now_us for trade in batch.trades)
        last_us = now_us


def test_all_default_symbols_trade_with_ids_of_their_own() -> None:
    """The ten symbols all trade; ids are the numbers of the trades, so unique."""
    trades = trades_of(simulate(calm(), 10))
    assert {trade.symbol for trade in trades} == {
        "AAPL", "GOOGL", "MSFT", "AMZN", "META", "NVDA", "TSLA", "JPM", "V", "JNJ",
    }  # fmt: skip
    assert [trade.trade_id for trade in trades[:2]] == ["000000000000000", "000000000000001"]
    assert {trade.source for trade in trades} == {"simulator"}
    assert {trade.exchange for trade in trades} <= {"Q", "N", "P", "Z", "V"}
    assert all(trade.size >= 1 and trade.size == int(trade.size) for trade in trades)
    assert all(round(trade.price, 2) == trade.price for trade in trades)


def test_calm_prices_do_not_leap() -> None:
    """Without scenarios no symbol moves by 1 % within a minute: alerts would be about nothing."""
    prices: dict[str, list[float]] = {}
    for trade in trades_of(simulate(calm(trades_per_second=200), 60)):
        prices.setdefault(trade.symbol, []).append(trade.price)
    for series in prices.values():
        assert max(series) / min(series) < 1.01
        assert len(set(series)) > 3


def test_symbols_are_correlated() -> None:
    """Moves of two symbols over the same time have a correlation near 0.4."""
    market = Market(calm(symbols="AAPL,MSFT", simulator_seed=3, trades_per_second=1.0))
    moves = []
    before = None
    for step in range(400):
        times = START_US + np.arange(400) + step * 1000
        columns = market.trades(times, START_US)
        last = [columns.price[columns.symbol == symbol][-1] for symbol in (0, 1)]
        if before is not None:
            moves.append(np.log(last) - np.log(before))
        before = last
    assert np.corrcoef(np.array(moves).T)[0, 1] == pytest.approx(0.4, abs=0.15)


def test_volatility_is_the_symbols_own() -> None:
    """A year of trades spreads the log price as the listed volatility says, for any number of symbols."""
    returns = []
    for seed in range(200):
        market = Market(
            calm(symbols="AAPL,V,JNJ", simulator_seed=seed, trades_per_second=1000 / (365 * 86_400))
        )
        columns = market.trades(START_US + np.arange(1000), START_US)
        returns.append(np.log(columns.price[columns.symbol == 0][-1] / 225.0))
    assert np.std(returns) == pytest.approx(0.28, rel=0.15)
    assert np.mean(returns) == pytest.approx(0.05 - 0.28**2 / 2, abs=0.06)


def test_quotes_surround_the_price_with_a_spread_that_moves() -> None:
    """Ask is above bid, trades are near them, and the spread is not always the same."""
    quotes: list[Quote] = []
    last: dict[str, float] = {}
    for batch in simulate(calm(symbols=("TSLA",)), 60):
        quotes += batch.quotes
        last |= {trade.symbol: trade.price for trade in batch.trades}
        for quote in batch.quotes:
            assert 0 < quote.bid < quote.ask
            if quote.symbol in last:
                assert quote.bid * 0.99 < last[quote.symbol] < quote.ask * 1.01
    spreads = {round(quote.ask - quote.bid, 2) for quote in quotes}
    assert len(spreads) > 5
    assert len(quotes) == pytest.approx(50 * 60, rel=0.02)


def test_no_quotes_when_none_are_asked_for() -> None:
    """QUOTES_PER_SECOND=0 makes none."""
    assert not any(batch.quotes for batch in simulate(calm(quotes_per_second=0), 2))


def test_it_goes_on_after_the_last_trade_in_the_log() -> None:
    """A resumed simulator numbers on, and prices begin where they were."""
    resume = Resume(500, {"AAPL": 300.0})
    simulator = Simulator(calm(), 100_000, FakeClock(), ProducerMetrics(), resume)
    trades = [trade for batch in islice(simulator.batches(), 200) for trade in batch.trades]
    assert trades[0].sequence == 500
    apple = [trade.price for trade in trades if trade.symbol == "AAPL"]
    assert apple[0] == pytest.approx(300.0, rel=0.002)


def test_a_market_that_was_held_up_does_not_make_up_for_it() -> None:
    """More than a second behind, the trades in between are left out and counted, not sent in a burst."""
    clock, metrics = FakeClock(), ProducerMetrics()
    batches = Simulator(calm(), 100_000, clock, metrics).batches()
    for _ in range(10):
        next(batches)
    clock.us += 5_000_000
    assert len(next(batches).trades) == 0
    assert metrics.registry.get_sample_value("producer_simulator_missed_trades_total") == pytest.approx(
        500, abs=2
    )
    after = [trade for batch in islice(batches, 100) for trade in batch.trades]  # of 10 ms each
    assert len(after) == pytest.approx(100, abs=2)


def test_a_short_hold_up_is_made_up() -> None:
    """Half a second behind, all trades come: the schedule is an open loop."""
    clock = FakeClock()
    batches = Simulator(calm(), 100_000, clock, ProducerMetrics()).batches()
    next(batches)
    clock.us += 500_000
    assert len(next(batches).trades) == pytest.approx(51, abs=2)


def test_a_clock_that_is_set_back_stops_time() -> None:
    """Event time never goes back, also when the machine's clock does."""
    clock = FakeClock()
    batches = Simulator(calm(), 100_000, clock, ProducerMetrics()).batches()
    for _ in range(10):
        before = next(batches).clock_us
    clock.us -= 3_000_000
    assert next(batches).clock_us >= before


@pytest.mark.parametrize(("zipf", "shares"), [(0.0, (1 / 3, 1 / 3, 1 / 3)), (1.0, (6 / 11, 3 / 11, 2 / 11))])
def test_symbols_have_the_shares_that_were_asked_for(zipf: float, shares: tuple[float, ...]) -> None:
    """Equal, or in proportion to 1, 1/2, 1/3: within four standard deviations of a draw of 20,000."""
    settings = calm(symbols="A,B,C", trades_per_second=2000, quotes_per_second=2000, simulator_zipf=zipf)
    batches = list(simulate(settings, seconds=10))
    for events in (trades_of(iter(batches)), [quote for batch in batches for quote in batch.quotes]):
        count = len(events)
        assert count == pytest.approx(20_000, abs=100)
        for symbol, share in zip("ABC", shares, strict=True):
            deviation = 4 * (count * share * (1 - share)) ** 0.5
            assert sum(event.symbol == symbol for event in events) == pytest.approx(
                count * share, abs=deviation
            )
