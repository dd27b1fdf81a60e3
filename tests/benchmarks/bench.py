"""``make bench``: the real system in a clean folder, driven by the simulator at fixed rates, and measured.

Everything that a user has on is on. All processes, the market and the probes among them, share the first two
cores. ``--quick`` takes three minutes and says which figures are worse by more than a fifth than those that
are kept in ``figures.json``, where these are of such a machine."""

import argparse
import gc
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.benchmarks import scenes
from tests.benchmarks.alone import bars_alone
from tests.benchmarks.baseline import compared
from tests.benchmarks.counts import counts
from tests.benchmarks.plot import draw
from tests.benchmarks.probes import Probes, probing
from tests.benchmarks.report import FOLDER, load, say, table
from tests.support.faults_finish import drain, stop_producer
from tests.support.servers import LiveSystem, local_settings

CORES = 2
SWITCH_S = 0.0005
"""How long one probe may hold the interpreter while another waits for it: ten times less than usual, as they
would find the system late by it."""
RATES = (4_000, 6_000, 8_000, 10_000, 12_500, 15_000, 18_000, 21_500, 25_000, 30_000)
KEPT = Path(__file__).with_name("figures.json")

Scene = Callable[[LiveSystem, Path], dict[str, Any]]


def _probed(scene: Callable[[LiveSystem, Probes], dict[str, Any]]) -> Scene:
    """With the probes, which read every topic and ask for what they have read; the other scenes have clients
    in this process, which would wait for them."""

    def probed(live: LiveSystem, folder: Path) -> dict[str, Any]:
        del folder
        with probing(live) as probes:
            return scene(live, probes)

    return probed


def _rate(symbols: int, rate: float, warm: float = 30, seconds: float = 60, **changes: str) -> Scene:
    return _probed(
        lambda live, probes: scenes.at_rate(
            live, probes, symbols, rate, warm=warm, seconds=seconds, **changes
        )
    )


def _alone(symbols: int, trades: int, late: float = 0.0, slice_ms: int = 200) -> Scene:
    def scene(live: LiveSystem, folder: Path) -> dict[str, Any]:
        name = f"bench-{symbols}-{int(late * 100)}-{slice_ms}"
        return bars_alone(
            live, folder / name, name, symbols=symbols, trades=trades, late=late, slice_ms=slice_ms
        )

    return scene


def _sustained(live: LiveSystem, probes: Probes) -> dict[str, Any]:
    found = scenes.search(live, probes, 50, RATES, seconds=60)
    if found["sustained"]:
        found["held_10_min"] = scenes.at_rate(live, probes, 50, found["sustained"], warm=30, seconds=600)
    return found


SCENES: dict[str, Scene] = {
    "10 symbols, 1,000/s": _rate(10, 1_000),
    "200 requests/s, 10 symbols, 1,000/s": lambda live, _: scenes.reads(
        live, 10, 1_000, asked_per_s=200, warm=60
    ),
    "200 requests/s, 500 symbols, 1,000/s": lambda live, _: scenes.reads(
        live, 500, 1_000, asked_per_s=200, warm=60
    ),
    "1,000 WebSocket clients, 500 symbols, 1,000/s": lambda live, _: scenes.clients(
        live, 500, 1_000, count=1_000, warm=60
    ),
    "50 symbols, 5,000/s": _rate(
        50, 5_000, SIMULATOR_SCENARIOS="price_spike", SIMULATOR_SCENARIO_MINUTES="3"
    ),
    "50 symbols, Zipf, 5,000/s": _rate(50, 5_000, SIMULATOR_ZIPF="1"),
    "sustained, 50 symbols": _probed(_sustained),
    "overload, 50 symbols, 30,000/s": _probed(
        lambda live, probes: scenes.overload(live, probes, 50, 30_000, 60)
    ),
    "TaskManager killed, 2,000/s": _probed(lambda live, probes: scenes.recovery(live, probes, 50, 2_000)),
    "5 minutes away, 2,000/s": lambda live, _: scenes.catch_up(live, 50, 2_000, 300),
    "500 symbols, 5,000/s": _rate(500, 5_000),
    "500 symbols, Zipf, 5,000/s": _rate(500, 5_000, SIMULATOR_ZIPF="1"),
    "5,000 symbols, Zipf, 2,000/s": _rate(5_000, 2_000, SIMULATOR_ZIPF="1"),
    "bars alone, 50 symbols": _alone(50, 2_000_000),
    "bars alone, 50 symbols, 10 % late": _alone(50, 500_000, late=0.1),
    "bars alone, 5,000 symbols, slices of 1 s": _alone(5_000, 4_000_000, slice_ms=1000),
}
QUICK: dict[str, Scene] = {
    "quick: 50 symbols, 2,000/s": _rate(50, 2_000, warm=20, seconds=40),
    "quick: bars alone, 50 symbols": _alone(50, 300_000),
}


def machine() -> dict[str, Any]:
    """What figures may be compared by."""
    cpu = platform.processor() or platform.machine()
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                cpu = line.partition(":")[2].strip()
                break
    return {"cpu": cpu, "pinned": len(os.sched_getaffinity(0)), **load()}


def run(chosen: dict[str, Scene]) -> dict[str, Any]:
    """Starts the system in a folder of its own, plays the scenes, and deletes the folder."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    sys.setswitchinterval(SWITCH_S)
    figures: dict[str, Any] = {"at": datetime.now(UTC).isoformat(), "machine": machine(), "scenes": {}}
    folder = Path(tempfile.mkdtemp(prefix="tickstream-bench-"))
    live = LiveSystem(local_settings(folder), folder)
    try:
        say("starting the system ...")
        live.start(LEDGER_FILE="", SYMBOLS="B0000", TRADES_PER_SECOND="1")
        stop_producer(live)
        gc.collect()
        gc.freeze()  # a pause of the bench would count as the system's
        for name, scene in chosen.items():
            say(f"{name} ...")
            figures["scenes"][name] = found = _played(scene, live, folder)
            _tell(found)
            _write(figures, "partial")
        drain(live)
        figures["counts"] = counts(live)
        say(f"trades: {figures['counts']}")
    finally:
        live.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return figures


def _played(scene: Scene, live: LiveSystem, folder: Path) -> dict[str, Any]:
    """The figures of a scene; where it fails, why: the hour before it and the others are worth something.
    What it left for the jobs to do, or what it broke, is not in the way of the next one."""
    try:
        found = scene(live, folder)
    except (AssertionError, SystemExit, OSError) as error:
        found = {"failed": str(error)}
    try:
        drain(live)
    except AssertionError as error:
        found["not_drained"] = str(error)
    return found


def _tell(found: dict[str, Any]) -> None:
    if "latency" in found:
        say(table(found["latency"]))
    rest = {name: value for name, value in found.items() if name not in {"latency", "tried", "held_10_min"}}
    say(json.dumps(rest, indent=1))


def _write(figures: dict[str, Any], name: str) -> Path:
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name}.json"
    path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return path


def main() -> None:
    """Prints tables; writes JSON and a picture to ``.tickstream/bench``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three minutes, compared with the kept figures")
    parser.add_argument("--only", default="", help="scenes whose name holds this")
    parser.add_argument("--keep", action="store_true", help="keep the figures to compare later ones with")
    asked = parser.parse_args()
    every = QUICK if asked.quick else SCENES
    chosen = {name: scene for name, scene in every.items() if asked.only in name}
    if not chosen:
        raise SystemExit(f"no scene has {asked.only!r} in its name: {', '.join(every)}")
    figures = run(chosen)
    path = _write(figures, "quick" if asked.quick else "bench")
    draw(figures, path.with_suffix(".png"))
    say(f"written to {path} and {path.with_suffix('.png')}")
    if asked.keep:
        KEPT.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    elif asked.quick and KEPT.is_file():
        say(compared(json.loads(KEPT.read_text(encoding="utf-8")), figures))
    elif asked.quick:
        say("nothing to compare with yet: --keep keeps these figures")


if __name__ == "__main__":
    main()
