"""The figures of a bench as a picture."""

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from tests.benchmarks.report import flat


def draw(figures: dict[str, Any], path: Path) -> None:
    """Latency by way and processor time by part of everything that was measured, how an overload went, and
    how fast the bars are alone; PNG. What was not measured is not in it."""
    scenes = figures["scenes"]
    steady = dict(flat(scenes))
    costs = {name: each["cpu_percent"] for name, each in steady.items() if "cpu_percent" in each}
    overloads = {name: each["series"] for name, each in scenes.items() if "series" in each}
    alone = {name: each["trades_per_s"] for name, each in scenes.items() if "late_share" in each}
    parts = [
        (_latencies, steady, 0.35 * len(steady) + 4),
        (_costs, costs, 6),
        (_overloads, overloads, 4),
        (_alone, alone, 2 + 0.4 * len(alone)),
    ]
    shown = [part for part in parts if part[1]]
    heights = [height for _, _, height in shown] or [1]
    size = (14, sum(heights))
    picture, axes = plt.subplots(
        len(heights), 1, figsize=size, height_ratios=heights, squeeze=False, layout="constrained"
    )
    for (draw_part, found, _), (place,) in zip(shown, axes, strict=False):
        draw_part(place, found)
    picture.suptitle(f"{figures['at']}, {figures['machine']['cpu']}, {figures['machine']['pinned']} cores")
    picture.savefig(path, dpi=80)
    plt.close(picture)


def _latencies(axes: Axes, steady: dict[str, Any]) -> None:
    ways = sorted({way for each in steady.values() for way in each["latency"]})
    height = 0.8 / len(steady)
    for place, (name, each) in enumerate(steady.items()):
        at = [index + place * height for index in range(len(ways))]
        middle = [each["latency"].get(way, {}).get("p50_ms", 0.0) for way in ways]
        high = [each["latency"].get(way, {}).get("p99_ms", 0.0) for way in ways]
        bars = axes.barh(at, high, height, alpha=0.35)
        axes.barh(at, middle, height, label=name, color=bars.patches[0].get_facecolor()[:3])
    axes.set_yticks([index + 0.4 - height / 2 for index in range(len(ways))], ways)
    axes.set_xscale("log")
    axes.set_xlabel("ms: p50 (full), p99 (pale)")
    axes.legend(loc="lower right", fontsize="small")


def _costs(axes: Axes, costs: dict[str, dict[str, float]]) -> None:
    base = [0.0] * len(costs)
    for part in sorted({part for used in costs.values() for part in used}):
        heights = [used.get(part, 0.0) for used in costs.values()]
        axes.bar(range(len(costs)), heights, bottom=base, label=part)
        base = [below + one for below, one in zip(base, heights, strict=True)]
    axes.set_xticks(range(len(costs)), list(costs), rotation=20, ha="right", fontsize="small")
    axes.set_ylabel("% of one core")
    axes.legend(fontsize="small")


def _overloads(axes: Axes, overloads: dict[str, list[dict[str, Any]]]) -> None:
    for name, series in overloads.items():
        at = [each["at_s"] for each in series]
        for job in series[0]["lag"]:
            axes.plot(at, [each["lag"][job] for each in series], label=f"{name}: {job}")
    axes.set_xlabel("s since its start")
    axes.set_ylabel("records that no checkpoint covers")
    axes.legend(fontsize="small")


def _alone(axes: Axes, alone: dict[str, float]) -> None:
    axes.barh(list(alone), list(alone.values()))
    axes.set_xlabel("trades/s")
