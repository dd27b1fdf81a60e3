"""Recordings played as if they happened now."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path

import pytest

from producer.demo import Demo, recorded_symbols
from producer.merged import Merged, Turn
from producer.metrics import ProducerMetrics
from producer.registry import Making, check_sources, make_source
from producer.settings import ProducerSettings, ReplaySettings, SimulatorSettings
from producer.simulator.source import Simulator
from producer.sources import Batch
from producer.startup import Destination
from schemas.errors import ConfigurationError
from schemas.events import Correction, Quote, Trade
from tests.unit.producer.fakes import START_US, FakeClock, fake_runtime

NOW_US = START_US + 40_000_000_000_000
HEARTBEAT_US = 100_000


def written(tmp_path: Path, *lines: str, name: str = "r.csv") -> str:
    (tmp_path / name).write_text("symbol,event_time,price,size,trade_id,kind\n" + "\n".join(lines) + "\n")
    return str(tmp_path / name)


def played(file: str, speed: str, clock: FakeClock) -> Iterator[Batch]:
    settings = ReplaySettings(replay_files=(file,), replay_speed=speed)
    return Demo(settings, HEARTBEAT_US, clock, lambda batch: batch).batches()


def trades_of(batches: Iterator[Batch], count: int) -> list[Trade]:
    """The first so many trades."""
    return list(islice((trade for batch in batches for trade in batch.trades), count))


def recording(tmp_path: Path) -> str:
    return written(
        tmp_path,
        f"BTCUSDT,{START_US},100,1,7,",
        f"BTCUSDT,{START_US + 2_000_000},101,2,8,",
        f"BTCUSDT,{START_US + 5_000_000},102,3,9,",
    )


@pytest.mark.parametrize("speed", ["1", "10", "max"])
def test_the_first_event_is_now_and_gaps_are_divided(tmp_path: Path, speed: str) -> None:
    """Prices, sizes and sequences are the recording's; it is received when it is played, not before."""
    clock = FakeClock(NOW_US)
    times = {"1": 1, "10": 10, "max": 1}[speed]
    trades = trades_of(played(recording(tmp_path), speed, clock), 3)
    gaps = [trade.event_time - NOW_US for trade in trades]
    assert gaps == [0, 2_000_000 // times, 5_000_000 // times]
    assert [(trade.price, trade.size, trade.sequence) for trade in trades] == [
        (100.0, 1.0, 7),
        (101.0, 2.0, 8),
        (102.0, 3.0, 9),
    ]
    assert all(0 <= trade.received_at - trade.event_time <= 60_000 for trade in trades)
    assert {trade.source for trade in trades} == {"demo"}


def test_it_begins_again_with_new_ids(tmp_path: Path) -> None:
    """No two trades share an id, in this run or in another one, and time goes on without a break."""
    clock = FakeClock(NOW_US)
    file = recording(tmp_path)
    trades = trades_of(played(file, "10", clock), 9)
    again = trades_of(played(file, "10", clock), 3)
    assert len({trade.trade_id for trade in (*trades, *again)}) == 12
    assert [trade.sequence for trade in trades] == [7, 8, 9] * 3
    times = [trade.event_time for trade in trades]
    assert times == sorted(times)
    assert max(later - time for time, later in pairwise(times)) <= 300_000


def test_a_correction_still_finds_its_trade(tmp_path: Path) -> None:
    """The ids of both have the same prefix, and the time of the trade is the one that it was played with."""
    (tmp_path / "c.csv").write_text(
        "symbol,event_time,price,size,trade_id,kind,trade_time,correction_id\n"
        f"AAPL,{START_US},100,1,7,,,\n"
        f"AAPL,{START_US + 1_000_000},,,7,cancel,{START_US},c1\n"
    )
    events: list[Trade | Correction] = []
    for batch in played(str(tmp_path / "c.csv"), "2", FakeClock(NOW_US)):
        events += [*batch.trades, *batch.corrections]
        if len(events) >= 2:
            break
    trade, correction = events[:2]
    assert isinstance(trade, Trade)
    assert isinstance(correction, Correction)
    assert (correction.trade_id, correction.trade_time) == (trade.trade_id, NOW_US)
    assert (correction.event_time, correction.source) == (NOW_US + 500_000, "demo")
    assert correction.correction_id.endswith(".0.c1")


def test_quotes_are_played_too(tmp_path: Path) -> None:
    """With bid and ask as they were."""
    (tmp_path / "q.csv").write_text(
        f"symbol,event_time,bid,bid_size,ask,ask_size\nAAPL,{START_US},9,1,11,2\n"
    )
    quotes = (
        quote for batch in played(str(tmp_path / "q.csv"), "1", FakeClock(NOW_US)) for quote in batch.quotes
    )
    first = next(quotes)
    assert isinstance(first, Quote)
    assert (first.event_time, first.bid, first.ask, first.source) == (NOW_US, 9.0, 11.0, "demo")


def test_what_a_trade_updates_is_decided_by_who_traded(tmp_path: Path) -> None:
    """Before the source becomes demo, whose codes nobody knows."""
    seen: list[str] = []

    def decide(batch: Batch) -> Batch:
        seen.extend(trade.source for trade in batch.trades)
        return replace(batch, trades=[replace(trade, updates_volume=False) for trade in batch.trades])

    settings = ReplaySettings(replay_files=(recording(tmp_path),), replay_speed="1")
    batches = Demo(settings, HEARTBEAT_US, FakeClock(NOW_US), decide).batches()
    batch = next(batch for batch in batches if batch.trades)
    assert seen == ["r"]
    assert batch.decided
    assert not batch.trades[0].updates_volume


def test_what_cannot_be_read_is_told_once(tmp_path: Path) -> None:
    """Not in every round; and a recording without any event ends it."""
    clock = FakeClock(NOW_US)
    batches = played(written(tmp_path, f"A,{START_US},1,1,1,", "broken"), "1", clock)
    rejected = [letter for batch in islice(batches, 50) for letter in batch.rejected]
    assert [letter.reason for letter in rejected] == ["unreadable_row"]
    with pytest.raises(ConfigurationError, match="no event in"):
        list(islice(played(written(tmp_path, "broken", name="b.csv"), "1", clock), 50))


def test_the_symbols_of_a_recording_are_known_before_it_is_played(tmp_path: Path) -> None:
    """Those of all files."""
    other = written(tmp_path, f"ETHUSDT,{START_US},1,1,1,", "broken", name="other.csv")
    assert recorded_symbols(ReplaySettings(replay_files=(recording(tmp_path), other)), NOW_US) == (
        "BTCUSDT",
        "ETHUSDT",
    )
    with pytest.raises(ConfigurationError, match="SOURCE=demo needs REPLAY_FILES"):
        recorded_symbols(ReplaySettings(), NOW_US)
    with pytest.raises(ConfigurationError, match="nowhere"):
        recorded_symbols(ReplaySettings(replay_files=(str(tmp_path / "nowhere.csv"),)), NOW_US)


def test_the_simulator_goes_on_beside_it(tmp_path: Path) -> None:
    """Each symbol comes from one of them, and no heartbeat is ahead of either."""
    clock = FakeClock(NOW_US)
    simulated = SimulatorSettings(symbols=("AAPL",), simulator_scenarios=(), trades_per_second=50)
    replayed = ReplaySettings(replay_files=(recording(tmp_path),), replay_speed="1")
    source = Merged(
        [
            lambda turn: Simulator(simulated, HEARTBEAT_US, turn, ProducerMetrics()),
            lambda turn: Demo(replayed, HEARTBEAT_US, turn, lambda batch: batch),
        ],
        clock,
    )
    assert (source.name, source.live, source.heartbeat_us) == ("simulator+demo", True, HEARTBEAT_US)
    sources: dict[str, set[str]] = {}
    heartbeat_us = 0
    batches = source.batches()
    while clock.now_us() < NOW_US + 6_000_000:
        batch = next(batches)
        for trade in batch.trades:
            sources.setdefault(trade.symbol, set()).add(trade.source)
            assert trade.event_time >= heartbeat_us
        heartbeat_us = batch.clock_us
    assert sources == {"AAPL": {"simulator"}, "BTCUSDT": {"demo"}}
    assert 0 < clock.now_us() - heartbeat_us < 200_000


def test_a_turn_does_not_wait() -> None:
    """It says how long its source would have."""
    clock = FakeClock(NOW_US)
    turn = Turn(clock)
    turn.sleep(3.0)
    assert (turn.now_us(), turn.wished_s, clock.slept) == (NOW_US, 3.0, [])


@pytest.mark.parametrize(
    ("symbols", "beside", "name"),
    [(("AAPL",), "none", "demo"), (("BTCUSDT",), "simulator", "demo")],
)
def test_it_is_alone_where_nothing_is_left_to_simulate(
    tmp_path: Path, symbols: tuple[str, ...], beside: str, name: str
) -> None:
    """Or where nobody wants that."""
    settings = ProducerSettings.model_validate(
        {"symbols": symbols, "replay_files": (recording(tmp_path),), "demo_with": beside, "source": "demo"}
    )
    making = Making(settings, Destination({}, {}), fake_runtime(FakeClock(NOW_US)))
    assert make_source(("demo",), making).name == name


def test_a_demo_is_no_source_among_others() -> None:
    """Nobody goes over to it when a provider fails."""
    check_sources(("demo",))
    with pytest.raises(ConfigurationError, match="SOURCES names demo among others"):
        check_sources(("demo", "simulator"))
