"""What judges a run under faults: it must see a single trade or digit that is wrong."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

import tests.support.faults_report as report_module
from schemas.events import Candle
from schemas.intervals import INTERVALS, MINUTE_US
from tests.support.faults_check import difference, differing_bars, exact_bars, in_flight, wrong_bars
from tests.support.faults_ledger import (
    LedgerTail,
    Noted,
    corrected,
    corrections_of,
    read_ledger,
    trades_of,
    unique,
)
from tests.support.faults_report import HOLDS, Report, suffered
from tests.support.faults_watch import Sample
from tests.support.recordings import START_US, bars_of, seeded_lines

TRADE = Noted("A", "simulator", "1", START_US, 1, "100.5", "0.1")


def candle(**changes: object) -> Candle:
    values: dict[str, object] = {
        "symbol": "A", "interval": "1m", "start": TRADE.minute, "end": TRADE.minute + MINUTE_US,
        "open": 100.5, "high": 100.5, "low": 100.5, "close": 100.5, "volume": 0.1, "notional": 10.05,
        "vwap": 100.5, "trades": 1, "final": True, "version": 3,
    }  # fmt: skip
    return Candle(**{**values, **changes})  # type: ignore[arg-type]


def test_exact_bars_are_those_of_fractions() -> None:
    """Of every interval, computed in another way than the recordings' tests do."""
    lines = seeded_lines(seed=3)
    trades = [
        Noted(line.symbol, "test", line.trade_id, line.event_time, int(line.trade_id), line.price, line.size)
        for line in lines
    ]
    exact = exact_bars(trades)
    for interval, length in INTERVALS.items():
        expected = {(symbol, interval, start): bar for (symbol, start), bar in bars_of(lines, length).items()}
        found = {key: bar for key, bar in exact.items() if key[1] == interval}
        assert {
            key: (bar.open, bar.high, bar.low, bar.close, float(bar.volume), float(bar.notional), bar.trades)
            for key, bar in found.items()
        } == {
            key: (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.notional, bar.trades)
            for key, bar in expected.items()
        }


@pytest.mark.parametrize(
    "changes",
    [
        {"open": 100.0},
        {"close": 100.6},
        {"high": 101.0},
        {"trades": 2},
        {"volume": 0.1 + 1e-9},
        {"vwap": 100.6},
    ],
)
def test_a_wrong_number_in_a_bar_is_seen(changes: dict[str, object]) -> None:
    """Whichever it is, down to a billionth of a volume."""
    minutes = {key: bar for key, bar in exact_bars([TRADE]).items() if key[1] == "1m"}
    (key,) = minutes
    assert wrong_bars({key: candle()}, minutes) == []
    assert len(wrong_bars({key: candle(**changes)}, minutes)) == 1


def test_a_bar_too_few_or_too_many_is_seen() -> None:
    """On either side."""
    minutes = {key: bar for key, bar in exact_bars([TRADE]).items() if key[1] == "1m"}
    (key,) = minutes
    assert wrong_bars({}, minutes) == [f"{key}: missing"]
    assert wrong_bars({key: candle()}, {}) == [f"{key}: not expected"]
    assert differing_bars({key: candle()}, {}) == [f"{key}: in one only"]


def test_only_how_a_bar_came_about_may_differ() -> None:
    """The numbering of its versions, that is; not the last digit of anything else."""
    key = ("A", "1m", TRADE.minute)
    assert differing_bars({key: candle(version=3)}, {key: candle(version=9)}) == []
    (found,) = differing_bars({key: candle()}, {key: candle(vwap=100.50000000000001)})
    assert found.startswith(f"{key}: vwap of")


def test_trades_are_counted_one_by_one() -> None:
    """A trade that is there twice is as wrong as one that is not there."""
    other = TRADE._replace(trade_id="2")
    assert difference([TRADE, other], [other, TRADE]) == {}
    assert difference([TRADE], [TRADE, TRADE]) == {"extra": [TRADE]}
    assert difference([TRADE, other], [TRADE._replace(price="100.4"), other]) == {
        "missing": [TRADE],
        "extra": [TRADE._replace(price="100.4")],
    }


def test_only_the_last_moments_of_a_killed_producer_are_excused() -> None:
    """What Kafka has and the ledger has not is wrong at any other time."""
    killed_at = TRADE.event_time / 1e6 + 1
    assert in_flight([TRADE], [], [killed_at], 2.0) == {TRADE.key: TRADE}
    assert in_flight([TRADE], [TRADE], [killed_at], 2.0) == {}
    assert in_flight([TRADE], [], [killed_at + 5, killed_at - 5], 2.0) == {}


def test_of_several_corrections_the_latest_counts() -> None:
    """Whatever came first; a cancelled trade is in no bar."""
    other = TRADE._replace(trade_id="2")
    earlier, later = (
        TRADE._replace(event_time=at, price="99.0", size=size, kind="correct", correction_id=f"c{at}")
        for at, size in ((START_US + 1, "1.0"), (START_US + 2, "2.0"))
    )
    cancel = other._replace(event_time=START_US + 3, price="", size="", kind="cancel", correction_id="c3")
    assert corrected([later, TRADE, earlier, other, cancel]) == [TRADE._replace(price="99.0", size="2.0")]
    assert trades_of([later, TRADE, cancel]) == [TRADE]
    assert corrections_of([later, TRADE, cancel]) == [later, cancel]
    assert (cancel.key, cancel.about) == (("A", "simulator", "c3"), other.key)


def test_the_ledger_is_followed_while_it_is_written(tmp_path: Path) -> None:
    """Half a line waits for its end; a trade that was sent twice counts once."""
    path = tmp_path / "ledger.csv"
    tail = LedgerTail(path)
    tail.follow()
    line = f"A,simulator,1,{START_US},1,100.5,0.1,trade,\n"
    path.write_text(line + line + "A,simulator,2,17231")
    tail.follow()
    assert tail.event_time("A", TRADE.minute, 1) == START_US
    assert tail.event_time("A", TRADE.minute, 5) == START_US
    assert tail.event_time("B", TRADE.minute, 1) is None
    path.write_text(line + line + f"A,simulator,2,{START_US + 7},2,100.5,0.1,trade,\n")
    tail.follow()
    assert tail.event_time("A", TRADE.minute, 2) == START_US + 7
    assert unique(read_ledger(path)).keys() == {("A", "simulator", "1"), ("A", "simulator", "2")}


def test_the_figures_of_a_fault_are_those_of_its_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken at 100 s, mended at 110 s; bars back after 2 s more, all parts ready after 3."""
    good, stale = Sample(99.0, (), 0.5), Sample(101.0, ("kafka",), 9.0)
    samples = [
        good,
        *(replace(stale, at=float(at)) for at in range(101, 112)),
        Sample(112.0, ("kafka",), 0.5),
    ]
    samples += [Sample(113.0, (), 0.5), Sample(114.0, (), 0.5)]
    fault = suffered("kafka", "kill -9 of Kafka", (100.0, 110.0), samples, ["kafka"])
    assert (fault.bars_back_s, fault.ready_back_s, fault.most_behind_s) == (2.0, 3.0, 9.0)
    assert (fault.not_current_s, fault.not_ready_s, fault.not_ready) == (11.0, 12.0, ("kafka",))

    monkeypatch.setattr(report_module, "FOLDER", tmp_path / "faults")
    report = Report(faults=[fault], acknowledged=200, stored=150, checks={"bars": HOLDS})
    report.availability(samples)
    table = report.write().read_text()
    values = json.loads((tmp_path / "faults" / "last.json").read_text())
    assert (values["completeness"], values["faults"][0]["bars_back_s"]) == (0.75, 2.0)
    assert values["bars_availability"] == pytest.approx(4 / 15)
    assert "| completeness (stored / acknowledged) | 75.0000% |" in table
    assert "| kill -9 of Kafka | 10 | 11 | 9.0 | 2 | 3 | kafka |" in table
