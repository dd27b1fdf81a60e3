"""Which figures are worse than those that were kept."""

from collections.abc import Iterator
from typing import Any

WORSE = 0.2
HIGHER_IS_BETTER = frozenset({"trades_per_s"})
COMPARED = frozenset({"p50_ms", "p99_ms", "trades_per_s", "cpu_percent_total", "memory_mb_total"})
FEWEST = {"p50_ms": 20, "p99_ms": 200}
"""Of fewer things a percentile is too much of chance to be compared."""
AS_FAST = 0.15
"""Machines whose processors take the same work in times that differ by no more than this are compared."""


def compared(kept: dict[str, Any], now: dict[str, Any]) -> str:
    """A line for each figure that is worse by more than a fifth, is missing, or went wrong; says so where
    there is none, or where the figures are of another machine, or of one that is as fast as another today."""
    if reason := _incomparable(kept["machine"], now["machine"]):
        return f"not compared: {reason}; --keep keeps the figures of this one"
    before, after = dict(figures(kept["scenes"])), dict(figures(now["scenes"]))
    lines = [f"  WRONG {problem}" for problem in wrong(now)]
    for name, old in sorted(before.items()):
        if name not in after:
            lines.append(f"  MISSING {name}: it was {old:g}")
        elif _is_worse(name, old, after[name]):
            lines.append(f"  WORSE {name}: {old:g} -> {after[name]:g}")
    return "\n".join(lines) or f"none of {len(before)} figures is worse by a fifth"


def wrong(found: dict[str, Any]) -> list[str]:
    """What makes figures no good, whatever they are."""
    problems = []
    for name, scene in found["scenes"].items():
        problems += [f"{name}: {scene[key]}" for key in ("failed", "not_drained") if key in scene]
        if scene.get("missed"):
            problems.append(f"{name}: {scene['missed']} trades could not be made in time")
        if scene.get("keeps_up") is False:
            problems.append(f"{name}: the jobs did not keep up")
        problems += [
            f"{name}: {scene['probes'][key]} {key.replace('_', ' ')}"
            for key in ("given_up", "slices_given_up", "trades_not_in_final_bar")
            if scene.get("probes", {}).get(key)
        ]
    counts = found.get("counts", {})
    if len(set(counts.values())) > 1:
        problems.append(f"not all layers have the same trades: {counts}")
    return problems


def figures(tree: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, float]]:
    """The figures that are compared, by where they stand: ``scene / latency / way / p50_ms``."""
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from figures(value, (*path, name))
        elif name in COMPARED and tree.get("count", FEWEST.get(name, 0)) >= FEWEST.get(name, 0):
            yield " / ".join((*path, name)), float(value)


def _is_worse(name: str, old: float, new: float) -> bool:
    if name.rpartition(" / ")[2] in HIGHER_IS_BETTER:
        return new < old * (1 - WORSE)
    return new > old * (1 + WORSE)


def _incomparable(kept: dict[str, Any], now: dict[str, Any]) -> str | None:
    if (kept["cpu"], kept["pinned"]) != (now["cpu"], now["pinned"]):
        return f"the kept figures are of {kept['pinned']} cores of {kept['cpu']}"
    ratio = now["work_ms"] / kept["work_ms"]
    if abs(ratio - 1) > AS_FAST:
        return (
            f"this machine takes {ratio:.2f} times as long for the same work as the one of the kept figures"
        )
    return None
