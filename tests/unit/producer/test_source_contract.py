"""What every source promises, held by the simulator and by the replay alike."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import pytest

from producer.demo import Demo
from producer.merged import Merged
from producer.metrics import ProducerMetrics
from producer.replay import Replay
from producer.settings import ReplaySettings, SimulatorSettings
from producer.simulator.source import Simulator
from producer.sources import Batch, Source
from schemas.events import Correction, Quote, Trade
from schemas.validation import check_correction, check_quote, check_trade
from tests.unit.producer.fakes import START_US, FakeClock

BATCHES = 400
HEARTBEAT_US = 100_000
Made = tuple[Source, FakeClock]


def simulator(_: Path) -> Made:
    clock = FakeClock()
    settings = SimulatorSettings(
        simulator_scenarios=("price_spike", "volume_burst", "duplicate", "stale_symbol")
    )
    return Simulator(settings, HEARTBEAT_US, clock, ProducerMetrics()), clock


def recording(tmp_path: Path) -> list[str]:
    """Two files, trades with corrections and quotes, whose rows are out of order by up to a second and a
    half."""
    trades = ["symbol,event_time,price,size,trade_id,kind"]
    quotes = ["symbol,event_time,bid,bid_size,ask,ask_size"]
    for number in range(300):
        time = START_US + number * 100_000 - (1_500_000 if number % 7 == 3 else 0)
        trades.append(f"AAPL,{time},{100 + number / 100},10,{number},")
        if number % 50 == 49:
            trades.append(f"AAPL,{time + 1000},,,{number},cancel")
        quotes.append(f"AAPL,{time + 10},{99 + number / 100},1,{101 + number / 100},2")
    (tmp_path / "trades.csv").write_text("\n".join(trades) + "\n")
    (tmp_path / "quotes.csv").write_text("\n".join(quotes) + "\n")
    return [str(tmp_path / "trades.csv"), str(tmp_path / "quotes.csv")]


def replay(tmp_path: Path, speed: str) -> Made:
    clock = FakeClock(START_US + 86_400_000_000)
    settings = ReplaySettings(replay_files=tuple(recording(tmp_path)), replay_speed=speed)
    return Replay(settings, HEARTBEAT_US, clock), clock


def demo(tmp_path: Path) -> Made:
    """In order: what is late in a recording is late when it is played."""
    clock = FakeClock(START_US + 86_400_000_000)
    trades = ["symbol,event_time,price,size,trade_id"]
    trades += [f"AAPL,{START_US + n * 100_000},{100 + n / 100},10,{n}" for n in range(300)]
    quotes = ["symbol,event_time,bid,bid_size,ask,ask_size"]
    quotes += [f"AAPL,{START_US + n * 100_000},{99 + n / 100},1,{101 + n / 100},2" for n in range(300)]
    for name, lines in (("trades", trades), ("quotes", quotes)):
        (tmp_path / f"{name}.csv").write_text("\n".join(lines) + "\n")
    files = (str(tmp_path / "trades.csv"), str(tmp_path / "quotes.csv"))
    settings = ReplaySettings(replay_files=files, replay_speed="7")
    return Demo(settings, HEARTBEAT_US, clock, lambda batch: batch), clock


def merged(tmp_path: Path) -> Made:
    played, clock = demo(tmp_path)
    assert isinstance(played, Demo)
    settings = SimulatorSettings(symbols=("MSFT",), simulator_scenarios=())
    makers = [
        lambda turn: Simulator(settings, HEARTBEAT_US, turn, ProducerMetrics()),
        lambda turn: Demo(played._settings, HEARTBEAT_US, turn, lambda batch: batch),
    ]
    return Merged(makers, clock), clock


@pytest.fixture(
    params=[
        simulator,
        demo,
        merged,
        lambda path: replay(path, "max"),
        lambda path: replay(path, "1"),
        lambda path: replay(path, "20"),
    ],
    ids=["simulator", "demo", "merged", "replay_max", "replay_1", "replay_20"],
)
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Made:
    make: Callable[[Path], Made] = request.param
    return make(tmp_path)


def some(source: Source) -> Iterator[Batch]:
    return islice(source.batches(), BATCHES)


def test_events_are_valid_and_of_one_name(made: Made) -> None:
    """Sources hand over trades, corrections and quotes that pass the same checks as everybody's."""
    source, _ = made
    batches = list(some(source))
    trades = [trade for batch in batches for trade in batch.trades]
    quotes = [quote for batch in batches for quote in batch.quotes]
    assert trades
    assert quotes
    for trade in trades:
        assert isinstance(trade, Trade)
        check_trade(asdict(trade))
    for correction in (correction for batch in batches for correction in batch.corrections):
        assert isinstance(correction, Correction)
        check_correction(asdict(correction))
    for quote in quotes:
        assert isinstance(quote, Quote)
        check_quote(asdict(quote))
    assert source.name
    assert source.heartbeat_us > 0


def test_the_clock_never_goes_back_and_no_event_is_behind_it(made: Made) -> None:
    """What a batch brings is not older than the clock that the batches before it gave."""
    source, _ = made
    clock_us = 0
    for batch in some(source):
        for event in (*batch.trades, *batch.corrections, *batch.quotes):
            assert event.event_time >= clock_us
        assert batch.clock_us >= clock_us
        clock_us = batch.clock_us


def test_no_batch_keeps_heartbeats_waiting(made: Made) -> None:
    """Between two batches a source waits for less than the heartbeat interval."""
    source, clock = made
    before = clock.now_us()
    for batch in some(source):
        assert clock.now_us() - before <= HEARTBEAT_US
        before = clock.now_us()
        assert batch is not None


def test_a_correction_comes_with_its_trade_or_after_it(made: Made) -> None:
    """Every trade that is taken back has been handed over by then."""
    source, _ = made
    seen: set[str] = set()
    taken_back: list[str] = []
    for batch in some(source):
        seen |= {trade.trade_id for trade in batch.trades}
        taken_back += [correction.trade_id for correction in batch.corrections]
        assert seen.issuperset(taken_back)
    assert taken_back[:2] == ([] if source.live else ["49", "99"])


def test_only_a_source_with_an_end_closes(made: Made) -> None:
    """A live source never closes; any other one does with its last batch, past the day of its last event."""
    source, _ = made
    if source.live:
        assert not any(batch.closing for batch in some(source))
        return
    batches = list(source.batches())
    assert [batch.closing for batch in batches] == [False] * (len(batches) - 1) + [True]
    last = max(event.event_time for batch in batches for event in (*batch.trades, *batch.quotes))
    day = 86_400_000_000
    assert batches[-1].clock_us >= (last // day + 1) * day + 5 * 3_600_000_000
