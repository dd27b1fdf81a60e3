"""The figures of a bench as a picture."""

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt


def draw(figures: dict[str, Any], path: Path) -> None:
    """Latency by way, and processor time by part, of every measured rate; PNG."""
    steady = {name: each for name, each in figures["scenes"].items() if "latency" in each}
    if not steady:
        return
    picture, (left, right) = plt.subplots(1, 2, figsize=(16, 7), layout="constrained")
    ways = sorted({way for each in steady.values() for way in each["latency"]})
    height = 0.8 / len(steady)
    for place, (name, each) in enumerate(steady.items()):
        at = [index + place * height for index in range(len(ways))]
        middle = [each["latency"].get(way, {}).get("p50_ms", 0.0) for way in ways]
        high = [each["latency"].get(way, {}).get("p99_ms", 0.0) for way in ways]
        bars = left.barh(at, high, height, alpha=0.35)
        left.barh(at, middle, height, label=name, color=bars.patches[0].get_facecolor()[:3])
    left.set_yticks([index + 0.4 - height / 2 for index in range(len(ways))], ways)
    left.set_xscale("log")
    left.set_xlabel("ms: p50 (full), p99 (pale)")
    left.legend(loc="lower right", fontsize="small")
    costs = {name: each["cpu_percent"] for name, each in steady.items() if "cpu_percent" in each}
    base = [0.0] * len(costs)
    for part in sorted({part for used in costs.values() for part in used}):
        heights = [used.get(part, 0.0) for used in costs.values()]
        right.bar(range(len(costs)), heights, bottom=base, label=part)
        base = [below + one for below, one in zip(base, heights, strict=True)]
    right.set_xticks(range(len(costs)), list(costs), rotation=30, ha="right")
    right.set_ylabel("% of one core")
    right.legend(fontsize="small")
    picture.suptitle(f"{figures['at']}, {figures['machine']['cpu']}, {figures['machine']['pinned']} cores")
    picture.savefig(path, dpi=100)
    plt.close(picture)
