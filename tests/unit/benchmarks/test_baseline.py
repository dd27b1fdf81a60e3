"""Which figures of a bench count as worse."""

from typing import Any

import pytest

from tests.benchmarks.baseline import compared, wrong
from tests.benchmarks.scenes import keeps_up

MACHINE = {"cpu": "a processor", "pinned": 2, "work_ms": 50.0}


def bench(**figures: float) -> dict[str, Any]:
    return {"machine": MACHINE, "scenes": {"5,000/s": {"latency": {"trade -> REST": figures}}}}


@pytest.mark.parametrize(
    ("name", "kept", "now", "worse"),
    [
        ("p99_ms", 100.0, 119.0, False),
        ("p99_ms", 100.0, 121.0, True),
        ("p99_ms", 100.0, 10.0, False),
        ("trades_per_s", 1000.0, 801.0, False),
        ("trades_per_s", 1000.0, 799.0, True),
        ("trades_per_s", 1000.0, 5000.0, False),
        ("count", 1000.0, 1.0, False),
    ],
)
def test_worse_by_more_than_a_fifth(name: str, kept: float, now: float, *, worse: bool) -> None:
    """Durations and costs may not rise by it, rates not fall by it; other figures are not judged."""
    told = compared(bench(**{name: kept}), bench(**{name: now}))
    assert ("WORSE 5,000/s / latency / trade -> REST / " + name in told) == worse


def test_figures_of_another_machine_are_not_compared() -> None:
    """And it is said so; nor are those of one that is as slow as another today."""
    other = bench(p99_ms=1.0) | {"machine": MACHINE | {"pinned": 8}}
    assert "not compared: the kept figures are of 8 cores" in compared(other, bench(p99_ms=100.0))
    slower = bench(p99_ms=100.0) | {"machine": MACHINE | {"work_ms": 75.0}}
    assert "takes 1.50 times as long" in compared(bench(p99_ms=1.0), slower)


def test_percentiles_of_few_are_not_compared() -> None:
    """They are chance."""
    assert compared(bench(p99_ms=1.0, count=199), bench(p99_ms=9.0, count=199)).startswith("none of 0")
    assert "WORSE" in compared(bench(p99_ms=1.0, count=200), bench(p99_ms=9.0, count=200))


def test_what_is_missing_or_went_wrong_is_said() -> None:
    """Nothing is as good as before because it was not measured."""
    kept = bench(p99_ms=1.0)
    failed = {"machine": MACHINE, "scenes": {"5,000/s": {"failed": "it did not start"}}}
    told = compared(kept, failed)
    assert "WRONG 5,000/s: it did not start" in told
    assert "MISSING 5,000/s / latency / trade -> REST / p99_ms: it was 1" in told
    scene = {"missed": 3, "keeps_up": False, "probes": {"given_up": 2, "slices": 9}}
    bad = {"machine": MACHINE, "scenes": {"a": scene}, "counts": {"topic": 5, "silver": 4}}
    assert wrong(bad) == [
        "a: 3 trades could not be made in time",
        "a: the jobs did not keep up",
        "a: 2 given up",
        "not all layers have the same trades: {'topic': 5, 'silver': 4}",
    ]
    good = {"missed": 0, "keeps_up": True, "probes": {"slices": 9}}
    assert wrong({"scenes": {"a": good}, "counts": {"topic": 5, "silver": 5}}) == []


@pytest.mark.parametrize(
    ("series", "good"),
    [
        ([100, 600, 1100, 100, 600, 1100, 100, 600, 1100], True),
        ([100, 1100, 2100, 3100, 4100, 5100, 6100, 7100, 8100], False),
        ([50_000, 50_000, 50_000, 50_000, 50_000, 50_000], False),
    ],
    ids=["rises until each checkpoint", "grows", "stands far behind"],
)
def test_lag_that_does_not_grow(series: list[int], *, good: bool) -> None:
    """At 1,000 records a second lag comes and goes with the checkpoints; neither growth nor a long way behind
    is keeping up."""
    assert keeps_up(series, 1000.0) is good
