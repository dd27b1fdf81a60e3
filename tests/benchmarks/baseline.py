"""Which figures are worse than those that were kept."""

from collections.abc import Iterator
from typing import Any

WORSE = 0.2
HIGHER_IS_BETTER = ("trades_per_s", "records_per_s")
COMPARED = ("p50_ms", "p99_ms", "trades_per_s", "cpu_percent_total", "memory_mb_total")


def compared(kept: dict[str, Any], now: dict[str, Any]) -> str:
    """A line for each figure that is worse by more than a fifth; says so where there is none, or where the
    figures are of another machine."""
    if (kept["machine"]["cpu"], kept["machine"]["pinned"]) != (
        now["machine"]["cpu"],
        now["machine"]["pinned"],
    ):
        return (
            f"not compared: the kept figures are of {kept['machine']['pinned']} cores of"
            f" {kept['machine']['cpu']}; --keep keeps those of this machine"
        )
    before, after = dict(figures(kept["scenes"])), dict(figures(now["scenes"]))
    lines = []
    for name in sorted(before.keys() & after.keys()):
        old, new = before[name], after[name]
        better_high = name.rpartition(" / ")[2] in HIGHER_IS_BETTER
        ratio = (old / new if new else float("inf")) if better_high else (new / old if old else 1.0)
        if ratio > 1 + WORSE:
            lines.append(f"  WORSE {name}: {old:g} -> {new:g}")
    return (
        "\n".join(lines) if lines else f"no figure of {len(before.keys() & after.keys())} is worse by a fifth"
    )


def figures(tree: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, float]]:
    """The figures that are compared, by where they stand: ``scene / latency / way / p50_ms``."""
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from figures(value, (*path, name))
        elif name in COMPARED and isinstance(value, (int, float)):
            yield " / ".join((*path, name)), float(value)
