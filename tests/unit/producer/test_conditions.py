"""What trades update by their condition codes, from a recording to what is published."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import structlog

from producer.conditions import MAX_SAID, Stamp
from producer.main import gate_for
from producer.metrics import ProducerMetrics
from producer.replay import Replay
from producer.settings import ProducerSettings
from producer.simulator.columns import TradeColumns
from producer.sources import Batch
from schemas.conditions import ConditionRules
from schemas.events import Correction, Trade
from schemas.settings import SessionSettings
from schemas.symbol_classes import SymbolClasses
from tests.unit.producer.fakes import START_US, FakeClock, fake_runtime

EQUITIES = ("AAPL=us_equities",)
NOON_US = int(datetime(2024, 8, 8, 16, tzinfo=UTC).timestamp()) * 1_000_000
"""12:00 in New York, a Thursday: in the regular session."""
EARLY_US = NOON_US - 4 * 3_600_000_000
"""08:00 in New York: before it."""
ALL, NO_PRICE, NOTHING = (True, True, True), (False, False, True), (False, False, False)
COLUMNS = "symbol,event_time,price,size,trade_id,conditions,source"


def flags(event: Trade | Correction) -> tuple[bool, bool, bool]:
    return event.updates_open_close, event.updates_high_low, event.updates_volume


def published(tmp_path: Path, lines: list[str], header: str = COLUMNS) -> list[Trade]:
    """The trades of a recording after what every batch goes through."""
    (tmp_path / "r.csv").write_text("\n".join([header, *lines]) + "\n")
    settings = ProducerSettings(
        source="replay", replay_files=(str(tmp_path / "r.csv"),), symbol_classes=EQUITIES
    )
    source = Replay(settings, 100_000, FakeClock())
    gate = gate_for(settings, source, fake_runtime())
    return [trade for batch in source.batches() for trade in gate(batch).trades]


def stamp(metrics: ProducerMetrics | None = None) -> Stamp:
    classes = SymbolClasses(SessionSettings(symbol_classes=EQUITIES))
    return Stamp(ConditionRules.load(), classes, metrics or ProducerMetrics())


def trade(*conditions: str, source: str = "polygon", **changes: object) -> Trade:
    made = Trade("AAPL", NOON_US, NOON_US, 10.0, 1.0, "t", 1, source, "Q", conditions)
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("source", "codes", "noon", "early"),
    [
        ("polygon", "", ALL, ALL),
        ("polygon", "0", ALL, ALL),
        ("polygon", "2", NO_PRICE, NO_PRICE),  # average price
        ("polygon", "37", NO_PRICE, NO_PRICE),  # odd lot
        ("polygon", "12", NO_PRICE, ALL),  # Form T
        ("polygon", "12|37", NO_PRICE, NO_PRICE),
        ("polygon", "15", NOTHING, NOTHING),  # the exchange's official close: no trade
        ("polygon", "32", (False, True, True), (False, True, True)),  # sold out of sequence
        ("finnhub", "1", ALL, ALL),
        ("finnhub", "3", NO_PRICE, NO_PRICE),
        ("finnhub", "1|12", NO_PRICE, NO_PRICE),
        ("finnhub", "1|8", ALL, ALL),
        ("finnhub", "24", NO_PRICE, ALL),
    ],
)
def test_a_replayed_trade_updates_what_its_codes_allow(
    tmp_path: Path, source: str, codes: str, noon: tuple[bool, ...], early: tuple[bool, ...]
) -> None:
    """By the rules for its source, in the regular session of its symbol's market and outside of it."""
    lines = [f"AAPL,{time},10,1,{time},{codes},{source}" for time in (EARLY_US, NOON_US)]
    trades = published(tmp_path, lines)
    assert [flags(trade) for trade in trades] == [early, noon]
    assert [(trade.price, trade.size) for trade in trades] == [(10.0, 1.0)] * 2


def test_a_symbol_of_a_market_that_never_closes_is_always_in_its_regular_session(tmp_path: Path) -> None:
    """Form T says nothing good of it at any time."""
    assert [flags(trade) for trade in published(tmp_path, [f"MSFT,{EARLY_US},10,1,t,12,polygon"])] == [
        NO_PRICE
    ]


def test_a_recording_that_decides_itself_is_left_as_it_is(tmp_path: Path) -> None:
    """An average price that it lets set prices does; what it forbids stays forbidden."""
    lines = [f"AAPL,{NOON_US},10,1,a,2,polygon,1", f"AAPL,{NOON_US},10,1,b,0,polygon,0"]
    trades = published(tmp_path, lines, f"{COLUMNS},updates_open_close")
    assert [flags(trade) for trade in trades] == [ALL, (False, True, True)]


def test_a_price_without_a_size_adds_no_volume() -> None:
    """Where it has codes at all."""
    batch = stamp().apply(Batch(0, [trade("0", size=0.0), trade(size=0.0)]))
    assert [flags(event) for event in batch.trades] == [(True, True, False), ALL]


def test_a_correction_is_judged_at_the_time_of_its_trade() -> None:
    """Form T, corrected during the session: the trade was before it, if the provider says when it was."""
    late = Correction(
        "AAPL", NOON_US, NOON_US, "c", 1, "polygon", "t", EARLY_US, "correct", 9.0, 1.0, "Q", ("12",)
    )  # fmt: skip
    batch = stamp().apply(Batch(0, corrections=[late, replace(late, trade_time=None)]))
    assert [flags(event) for event in batch.corrections] == [ALL, NO_PRICE]


def test_columns_and_events_without_codes_are_not_touched() -> None:
    """The very same objects: the simulator's trades cost nothing here."""
    ints = np.zeros(1, np.int64)
    columns = TradeColumns(
        ("AAPL",), ints, ints, ints, ints, ints, ints + 1.0, ints + 1.0, ints.astype(bool)
    )  # fmt: skip
    plain = [trade(), trade()]
    assert stamp().apply(Batch(0, columns)).trades is columns
    assert stamp().apply(Batch(0, plain)).trades is plain


def test_unknown_codes_are_counted_by_provider_and_said_once() -> None:
    """They restrict nothing. A provider without rules shares a label with all others of its kind."""
    metrics = ProducerMetrics()
    stamped = stamp(metrics)
    batch = Batch(
        0,
        [
            trade("998"),
            trade("998", "999", "0"),
            trade("37", "998"),
            trade("x", source="a"),
            trade("x", source="b"),
        ],
    )
    with structlog.testing.capture_logs() as logs:
        checked = [stamped.apply(batch) for _ in range(2)]
    assert [flags(event) for event in checked[0].trades] == [ALL, ALL, NO_PRICE, ALL, ALL]
    name = "producer_unknown_conditions_total"
    assert metrics.registry.get_sample_value(name, {"provider": "polygon"}) == 8
    assert metrics.registry.get_sample_value(name, {"provider": "other"}) == 4
    assert [(entry["event"], entry["provider"], entry["code"]) for entry in logs] == [
        ("unknown_condition", "polygon", "998"),
        ("unknown_condition", "polygon", "999"),
        ("unknown_condition", "a", "x"),
        ("unknown_condition", "b", "x"),
    ]


def test_made_up_codes_do_not_fill_log_and_memory() -> None:
    """The metric counts on."""
    metrics = ProducerMetrics()
    made_up = [trade(f"c{number}") for number in range(MAX_SAID + 5)]
    with structlog.testing.capture_logs() as logs:
        stamp(metrics).apply(Batch(0, made_up))
    assert len(logs) == MAX_SAID
    counted = metrics.registry.get_sample_value("producer_unknown_conditions_total", {"provider": "polygon"})
    assert counted == MAX_SAID + 5


def test_the_simulator_goes_past_the_stamp() -> None:
    """It is not even made: its calendars would cost a second at each start."""
    settings = ProducerSettings(symbol_classes=EQUITIES)
    replay = Replay(settings, 100_000, FakeClock())
    batch = Batch(0, [trade("37", event_time=START_US, received_at=START_US)])
    (passed,) = gate_for(settings, replay, fake_runtime())(batch).trades
    assert flags(passed) == ALL
