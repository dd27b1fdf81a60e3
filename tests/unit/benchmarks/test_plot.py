"""The picture of a bench."""

from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.plot import draw
from tests.benchmarks.report import flat

TIMES = {"p50_ms": 2.0, "p99_ms": 9.0}
SCENES: dict[str, Any] = {
    "a rate": {"latency": {"trade -> REST": TIMES}, "cpu_percent": {"api": 12.0}},
    "requests": {"latency": {"latest quote": TIMES}},
    "sustained": {"sustained": 5, "tried": {"5/s": {"latency": {"trade -> REST": TIMES}}}},
    "overload": {"series": [{"at_s": 0.1, "lag": {"bars": 5, "store": 7}}]},
    "bars alone": {"trades_per_s": 90_000, "late_share": 0.0},
    "broken": {"failed": "not within 600 s"},
}


@pytest.mark.parametrize(
    "scenes", [SCENES, *({name: scene} for name, scene in SCENES.items()), {}], ids=["all", *SCENES, "none"]
)
def test_whatever_was_measured_is_drawn(tmp_path: Path, scenes: dict[str, Any]) -> None:
    """Scenes that only ask have no parts to tell apart; one that failed has nothing; a picture there is."""
    figures = {"at": "now", "machine": {"cpu": "one", "pinned": 2}, "scenes": scenes}
    draw(figures, tmp_path / "bench.png")
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")


def test_what_a_scene_has_tried_is_told_as_scenes_are() -> None:
    """By both names."""
    assert [name for name, _ in flat(SCENES)] == ["a rate", "requests", "sustained: 5/s"]
