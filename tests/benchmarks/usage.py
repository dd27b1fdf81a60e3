"""What each part of the running system costs: processor time and memory."""

import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psutil

from docker.local.supervisor import Supervisor
from tests.benchmarks.market import Market
from tests.support.servers import LiveSystem

GENERATOR = "producer"
WORKERS = "python workers"


@dataclass(frozen=True, slots=True)
class Usage:
    """At one moment: seconds of processor time since their start, by part."""

    at: float
    cpu_s: Mapping[str, float]

    def since(self, before: "Usage") -> dict[str, float]:
        """Percent of one core, by part, between two moments."""
        passed = self.at - before.at
        used = {part: self.cpu_s[part] - before.cpu_s.get(part, 0.0) for part in self.cpu_s}
        return {part: round(100 * seconds / passed, 1) for part, seconds in used.items()}


def usage(live: LiveSystem, market: Market | None) -> Usage:
    """What was used so far."""
    used: dict[str, float] = defaultdict(float)
    for part, process in _processes(live, market):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        used[part] += times.user + times.system
    return Usage(time.monotonic(), dict(used))


def resident_mb(live: LiveSystem, market: Market | None) -> float:
    """Of all parts; pages that several processes share count for each. To look costs nothing."""
    held = 0.0
    for _, process in _processes(live, market):
        with suppress(psutil.NoSuchProcess):
            held += process.memory_info().rss / 2**20
    return round(held, 1)


def memory_mb(live: LiveSystem, market: Market | None) -> dict[str, float]:
    """Proportional set size by part: pages that several processes share count once. To look stops a process,
    a JVM for a second."""
    held: dict[str, float] = defaultdict(float)
    for part, process in _processes(live, market):
        try:
            held[part] += process.memory_full_info().pss / 2**20
        except psutil.NoSuchProcess:
            continue
    return {part: round(amount, 1) for part, amount in held.items()}


def _processes(live: LiveSystem, market: Market | None) -> list[tuple[str, psutil.Process]]:
    found: list[tuple[str, psutil.Process]] = []
    for part, state in Supervisor(live.settings.folders).processes().items():
        if not state.pid:
            continue
        below = WORKERS if part == "taskmanager" else part
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(state.pid)
            found.append((part, process))
            found += [(below, child) for child in process.children(recursive=True)]
    if market is not None:
        found.append((GENERATOR, market.process))
    return found


def total(parts: Mapping[str, Any]) -> float:
    """The whole."""
    return round(sum(parts.values()), 1)
