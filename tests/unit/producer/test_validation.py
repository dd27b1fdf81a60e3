"""The gate before Kafka."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from producer.simulator.columns import TradeColumns
from producer.sources import Batch, Rejected
from producer.validation import Validator
from schemas.events import Correction, ProviderBar, Quote, Trade
from tests.unit.producer.fakes import START_US, FakeClock

TRADE = Trade("AAPL", START_US, START_US, 10.0, 1.0, "1", 1, "test")
QUOTE = Quote("AAPL", START_US, START_US, 9.0, 1.0, 11.0, 1.0, 1, "test")
CANCEL = Correction("AAPL", START_US, START_US, "c", 1, "test", "1")
CORRECTION = replace(CANCEL, kind="correct", price=10.5, size=2.0, trade_time=START_US - 5)
MINUTE_US = START_US - START_US % 60_000_000
BAR = ProviderBar(
    "AAPL", "yahoo", "1m", MINUTE_US, MINUTE_US + 60_000_000, 10.0, 11.0, 9.0, 10.5, 7.0, None, None, False,
    START_US,
)  # fmt: skip
LIVE = Validator(FakeClock(), ("AAPL",), max_age_us=60_000_000)
ANY = Validator(FakeClock(), None, None)


def reasons(validator: Validator, batch: Batch) -> list[tuple[str, str]]:
    return [(letter.kind, letter.reason) for letter in validator.check(batch).rejected]


def test_what_is_good_passes_untouched() -> None:
    """Good events stay in their order, and what the source refused stays refused."""
    refused = Rejected("unreadable_row", "f:1", b"x")
    batch = Batch(5, [TRADE, replace(TRADE, sequence=2)], [QUOTE], [refused])
    checked = LIVE.check(batch)
    assert (checked.trades, checked.quotes) == ([TRADE, replace(TRADE, sequence=2)], [QUOTE])
    assert checked.rejected == (refused,)
    assert checked.clock_us == 5


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"price": 0.0}, "invalid_price"),
        ({"price": float("nan")}, "invalid_price"),
        ({"price": float("inf")}, "invalid_price"),
        ({"size": -1.0}, "invalid_size"),
        ({"symbol": ""}, "invalid_symbol"),
        ({"symbol": "aapl"}, "invalid_symbol"),
        ({"symbol": "MSFT"}, "unknown_symbol"),
        ({"trade_id": ""}, "invalid_identity"),
        ({"source": ""}, "invalid_identity"),
        ({"sequence": 2**63}, "invalid_identity"),
        ({"received_at": -1}, "implausible_time"),
        ({"event_time": START_US + 5_000_001}, "implausible_time"),
        ({"event_time": START_US - 60_000_001}, "implausible_time"),
        ({"event_time": 0}, "implausible_time"),
    ],
)
def test_what_is_bad_is_refused_with_its_reason(changes: dict[str, object], reason: str) -> None:
    """Each rule has its reason; the payload is the event; the good one beside it passes."""
    bad = replace(TRADE, **changes)  # type: ignore[arg-type]
    checked = LIVE.check(Batch(0, [bad, TRADE]))
    assert checked.trades == [TRADE]
    assert [(letter.kind, letter.reason) for letter in checked.rejected] == [("trade", reason)]
    values = json.loads(checked.rejected[0].payload)
    expected = {**asdict(bad), "conditions": []}
    assert {name: repr(value) for name, value in values.items()} == {
        name: repr(v) for name, v in expected.items()
    }


def test_quotes_are_checked_too() -> None:
    """A bad quote is refused as a quote; a crossed one is not bad."""
    crossed = replace(QUOTE, bid=12.0)
    batch = Batch(0, quotes=[replace(QUOTE, bid=-1.0), replace(QUOTE, ask_size=float("nan")), crossed])
    assert reasons(LIVE, batch) == [("quote", "invalid_price"), ("quote", "invalid_size")]


def test_corrections_that_are_good_pass_untouched() -> None:
    """In their order; the trade may be far older than a live event may be."""
    old = replace(CORRECTION, trade_time=START_US - 90_000_000_000)
    assert LIVE.check(Batch(0, corrections=[CANCEL, CORRECTION, old])).corrections == [
        CANCEL, CORRECTION, old,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"kind": "bust"}, "invalid_correction"),
        ({"price": None}, "invalid_correction"),
        ({"price": 0.0}, "invalid_price"),
        ({"size": -1.0}, "invalid_size"),
        ({"symbol": "aapl"}, "invalid_symbol"),
        ({"symbol": "MSFT"}, "unknown_symbol"),
        ({"trade_id": ""}, "invalid_identity"),
        ({"correction_id": ""}, "invalid_identity"),
        ({"sequence": 2**63}, "invalid_identity"),
        ({"trade_time": -1}, "implausible_time"),
        ({"trade_time": 2**63}, "implausible_time"),
        ({"received_at": -1}, "implausible_time"),
        ({"event_time": START_US + 5_000_001}, "implausible_time"),
        ({"event_time": START_US - 60_000_001}, "implausible_time"),
    ],
)
def test_corrections_are_held_to_the_same_rules(changes: dict[str, object], reason: str) -> None:
    """Values, known symbol, plausible time; the payload is the correction, and the good one passes."""
    bad = replace(CORRECTION, **changes)  # type: ignore[arg-type]
    checked = LIVE.check(Batch(0, [TRADE], corrections=[bad, CANCEL]))
    assert (checked.trades, checked.corrections) == ([TRADE], [CANCEL])
    (letter,) = checked.rejected
    assert (letter.kind, letter.reason) == ("correction", reason)
    assert json.loads(letter.payload) == {**asdict(bad), "conditions": []}


def test_the_bounds_of_live_time_are_taken() -> None:
    """Five seconds ahead and the greatest age are still plausible."""
    edges = [
        replace(TRADE, event_time=START_US + 5_000_000),
        replace(TRADE, event_time=START_US - 60_000_000),
    ]
    assert LIVE.check(Batch(0, edges)).trades == edges


def test_recordings_may_be_old_and_of_any_symbol() -> None:
    """A recording of 1991 passes; one of 1989 or of next week does not."""
    old = replace(TRADE, event_time=670_000_000_000_000, symbol="ANY")
    assert ANY.check(Batch(0, [old])).trades == [old]
    wrong = [
        replace(TRADE, event_time=600_000_000_000_000),
        replace(TRADE, event_time=START_US + 604_800_000_000),
    ]
    assert reasons(ANY, Batch(0, wrong)) == [("trade", "implausible_time")] * 2


def test_columns_pass_as_a_whole_or_one_by_one() -> None:
    """Simulated columns are not taken apart while all is well; a bad row costs only itself."""
    symbol, times = np.zeros(2, np.int64), np.full(2, START_US)
    sequence, size = np.arange(2), np.ones(2)
    good = TradeColumns(
        ("AAPL",), symbol, times, times, sequence, symbol, np.array([1.0, 2.0]), size, symbol > 0
    )
    assert LIVE.check(Batch(0, good)).trades is good
    bad = replace(good, price=np.array([-1.0, 2.0]))
    checked = LIVE.check(Batch(0, bad))
    assert checked.trades == [good[1]]
    assert [letter.reason for letter in checked.rejected] == ["invalid_price"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"close": float("nan")}, "invalid_price"),
        ({"low": 12.0}, "invalid_price"),
        ({"volume": -1.0}, "invalid_size"),
        ({"symbol": "MSFT"}, "unknown_symbol"),
        ({"interval": "7m"}, "invalid_identity"),
        ({"start": MINUTE_US + 1}, "invalid_identity"),
        ({"start": MINUTE_US + 120_000_000, "end": MINUTE_US + 180_000_000}, "implausible_time"),
    ],
)
def test_a_bar_of_a_provider_is_checked_too(changes: dict[str, object], reason: str) -> None:
    """It may be as old as it is; the good one beside it passes."""
    old = replace(BAR, start=BAR.start - 6 * 10**11, end=BAR.end - 6 * 10**11)
    checked = LIVE.check(Batch(0, bars=[replace(BAR, **changes), BAR, old]))  # type: ignore[arg-type]
    assert checked.bars == [BAR, old]
    assert [(letter.kind, letter.reason) for letter in checked.rejected] == [("provider_bar", reason)]
