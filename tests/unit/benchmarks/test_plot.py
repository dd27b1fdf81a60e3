"""The picture of a bench."""

from pathlib import Path
from typing import Any

from tests.benchmarks.plot import draw


def test_scenes_with_and_without_costs_are_drawn(tmp_path: Path) -> None:
    """One that only asks has latencies and no parts to tell apart; one that failed has nothing."""
    times = {"p50_ms": 2.0, "p99_ms": 9.0}
    scenes: dict[str, Any] = {
        "a rate": {"latency": {"trade -> REST": times}, "cpu_percent": {"api": 12.0}},
        "requests": {"latency": {"latest quote": times}},
        "overload": {"failed": "not within 600 s"},
    }
    figures = {"at": "now", "machine": {"cpu": "one", "pinned": 2}, "scenes": scenes}
    draw(figures, tmp_path / "bench.png")
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")
