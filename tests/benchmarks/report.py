"""What a bench found: a table for people, JSON for machines, and the state of the machine with both."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hdrh.histogram import HdrHistogram

FOLDER = Path(".tickstream/bench")
PERCENTILES = (50.0, 95.0, 99.0, 99.9)
LONGEST_US = 60_000_000


def histogram() -> HdrHistogram:
    """Of microseconds, 1 to a minute, to three digits."""
    return HdrHistogram(1, LONGEST_US, 3)


def record(values: HdrHistogram, micros: float, times: int = 1) -> None:
    """Counts one duration, so many times; a longer one than a minute as a minute."""
    values.record_value(min(LONGEST_US, max(1, int(micros))), times)


def percentiles(values: HdrHistogram) -> dict[str, float]:
    """Milliseconds by name, the maximum with them."""
    found = {f"p{each:g}_ms": values.get_value_at_percentile(each) / 1e3 for each in PERCENTILES}
    return found | {"max_ms": values.get_max_value() / 1e3, "count": values.get_total_count()}


def load() -> dict[str, Any]:
    """How busy the machine is: numbers mean little without."""
    return {"cores": os.cpu_count(), "load_average": [round(each, 2) for each in os.getloadavg()]}


def table(rows: dict[str, dict[str, float]]) -> str:
    """One line for each kind."""
    names = [f"p{each:g}" for each in PERCENTILES] + ["max"]
    lines = [f"{'':<42}{'count':>9}" + "".join(f"{name + ' ms':>11}" for name in names)]
    lines += [
        f"{what:<42}{row['count']:>9.0f}" + "".join(f"{row[name + '_ms']:>11.2f}" for name in names)
        for what, row in rows.items()
    ]
    return "\n".join(lines)


def flat(scenes: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, dict[str, Any]]]:
    """Everything that has latencies, by name: a scene, or what one has tried."""
    for name, found in scenes.items():
        if not isinstance(found, dict):
            continue
        if "latency" in found:
            yield ": ".join((*path, name)), found
        yield from flat(found.get("tried", {}), (*path, name))


def write_json(found: dict[str, Any], name: str) -> Path:
    """As ``.tickstream/bench/<name>.json``."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name}.json"
    path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return path


def say(text: str) -> None:
    """A line for people."""
    sys.stdout.write(f"{text}\n")


def write(name: str, found: dict[str, Any]) -> None:
    """The result of a bench by itself."""
    say(f"written to {write_json({'at': datetime.now(UTC).isoformat()} | found, name)}")
