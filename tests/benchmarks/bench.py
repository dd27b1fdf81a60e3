"""``make bench``: the real system in a clean folder, driven by the simulator at fixed rates, and measured.

Everything that a user has on is on. All processes, the market and the probes among them, share the first two
cores. ``--quick`` takes some minutes and says which figures are worse by more than a fifth than those that
are kept in ``figures.json``, where these are of such a machine."""

import argparse
import gc
import json
import os
import platform
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException

from schemas.errors import TickstreamError
from tests.benchmarks import scenes
from tests.benchmarks.alone import bars_alone
from tests.benchmarks.baseline import compared, wrong
from tests.benchmarks.counts import counts
from tests.benchmarks.market import names, trading
from tests.benchmarks.plot import draw
from tests.benchmarks.probes import Probes, probing
from tests.benchmarks.report import flat, load, say, table, write_json
from tests.support.faults_finish import drain, stop_producer
from tests.support.servers import LiveSystem, local_settings

CORES = 2
SWITCH_S = 0.0005
"""How long one probe may hold the interpreter while another waits for it: ten times less than usual, as they
would find the system late by it."""
RATES = (4_000, 6_000, 8_000, 10_000, 12_500, 15_000, 18_000, 21_500, 25_000, 30_000)
HELD_S = 600
WARM_UP_S, WARM_UP_RATE = 60, 2_000
"""Before the first scene, whichever that is: in a minute the JVMs have compiled what they do most."""
REQUESTS = (200, 300, 400, 500, 600, 800, 1_000, 1_500, 2_000)
KEPT = Path(__file__).with_name("figures.json")
SUSTAINED = "sustained, 50 symbols"
USUAL_RATE = 18_000.0
"""Sustained, where no scene before has found how much is."""

Found = dict[str, Any]
Scene = Callable[[LiveSystem, Found], Found]
"""Of the running system, and of what the scenes before have found."""


def _probed(scene: Callable[[LiveSystem, Probes, Found], Found]) -> Scene:
    """With the probes, which read every topic and ask for what they have read; the other scenes have clients
    in this process, which would wait for them."""

    def probed(live: LiveSystem, before: Found) -> Found:
        with probing(live) as probes:
            return scene(live, probes, before)

    return probed


def _rate(symbols: int, rate: float, warm: float = 30, seconds: float = 60, **changes: str) -> Scene:
    return _probed(
        lambda live, probes, _: scenes.at_rate(
            live, probes, symbols, rate, warm=warm, seconds=seconds, **changes
        )
    )


def _alone(symbols: int, trades: int, late: float = 0.0, slice_ms: int = 200) -> Scene:
    def scene(live: LiveSystem, _: Found) -> Found:
        name = f"bench-{symbols}-{int(late * 100)}-{slice_ms}"
        folder = live.settings.folders.root / name
        return bars_alone(live, folder, name, symbols=symbols, trades=trades, late=late, slice_ms=slice_ms)

    return scene


def _overload(live: LiveSystem, probes: Probes, before: Found) -> Found:
    sustained = before.get(SUSTAINED, {}).get("sustained") or USUAL_RATE
    return scenes.overload(live, probes, 50, 2 * sustained, 60)


SCENES: dict[str, Scene] = {
    "10 symbols, 1,000/s": _rate(10, 1_000),
    "10 symbols, Zipf, 1,000/s": _rate(10, 1_000, SIMULATOR_ZIPF="1"),
    "200 requests/s, 10 symbols, 1,000/s": lambda live, _: scenes.reads(
        live, 10, 1_000, asked_per_s=200, warm=60
    ),
    "200 requests/s, 500 symbols, 1,000/s": lambda live, _: scenes.reads(
        live, 500, 1_000, asked_per_s=200, warm=60
    ),
    "most requests/s within their times, 10 symbols, 1,000/s": lambda live, _: scenes.most_reads(
        live, 10, 1_000, REQUESTS, warm=30
    ),
    "1,000 WebSocket clients, 500 symbols, 1,000/s": lambda live, _: scenes.clients(
        live, 500, 1_000, count=1_000, warm=60
    ),
    # Long enough for some minutes' ends, and for spikes of several symbols.
    "50 symbols, 5,000/s": _rate(
        50, 5_000, seconds=360, SIMULATOR_SCENARIOS="price_spike", SIMULATOR_SCENARIO_MINUTES="3"
    ),
    "50 symbols, Zipf, 5,000/s": _rate(50, 5_000, SIMULATOR_ZIPF="1"),
    SUSTAINED: _probed(
        lambda live, probes, _: scenes.sustained(live, probes, 50, RATES, seconds=60, held=HELD_S)
    ),
    "overload, 50 symbols, twice what is sustained": _probed(_overload),
    "TaskManager killed three times, 2,000/s": _probed(
        lambda live, probes, _: scenes.recovery(live, probes, 50, 2_000, kills=3)
    ),
    "5 minutes away, 2,000/s": lambda live, _: scenes.catch_up(live, 50, 2_000, 300),
    "500 symbols, 5,000/s": _rate(500, 5_000),
    "500 symbols, Zipf, 5,000/s": _rate(500, 5_000, SIMULATOR_ZIPF="1"),
    "5,000 symbols, Zipf, 2,000/s": _rate(5_000, 2_000, SIMULATOR_ZIPF="1"),
    "5,000 symbols, 2,000/s": _rate(5_000, 2_000),
    # As many trades each: what a JVM can do grows for a minute.
    "bars alone, 50 symbols": _alone(50, 4_000_000),
    "bars alone, 50 symbols, 10 % late": _alone(50, 2_000_000, late=0.1),
    "bars alone, 5,000 symbols, slices of 1 s": _alone(5_000, 4_000_000, slice_ms=1000),
}
QUICK: dict[str, Scene] = {
    "quick: 50 symbols, 2,000/s": _rate(50, 2_000, warm=40, seconds=40),
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
    return {"cpu": cpu, "pinned": len(os.sched_getaffinity(0)), "work_ms": work_ms(), **load()}


def work_ms() -> float:
    """The shortest of some times that one core takes for the same work: two machines of one name differ by
    half, and one from day to day."""

    def once() -> float:
        began = time.perf_counter()
        sum(number * number for number in range(1_000_000))
        return time.perf_counter() - began

    return round(1e3 * min(once() for _ in range(20)), 1)


def run(chosen: dict[str, Scene], *, warm_up: bool) -> Found:
    """Starts the system in a folder of its own, plays the scenes, and deletes the folder."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    sys.setswitchinterval(SWITCH_S)
    figures: Found = {"at": datetime.now(UTC).isoformat(), "machine": machine(), "scenes": {}}
    folder = Path(tempfile.mkdtemp(prefix="tickstream-bench-"))
    live = LiveSystem(local_settings(folder), folder)
    try:
        say("starting the system ...")
        live.start(LEDGER_FILE="", SYMBOLS="B0000", TRADES_PER_SECOND="1")
        stop_producer(live)
        if warm_up:
            say("warming it up ...")
            with trading(live, names(50), WARM_UP_RATE):
                time.sleep(WARM_UP_S)
            drain(live)
        gc.collect()
        gc.freeze()  # a pause of the bench would count as the system's
        for name, scene in chosen.items():
            say(f"{name} ...")
            figures["scenes"][name] = found = _played(scene, live, figures["scenes"])
            _tell(name, found)
            write_json(figures, "partial")
        figures["counts"] = counts(live)
        say(f"trades: {figures['counts']}")
    finally:
        live.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return figures


def _played(scene: Scene, live: LiveSystem, before: Found) -> Found:
    """The figures of a scene; where it fails, why: the hour before it and the others are worth something.
    What it left for the jobs to do, or what it broke, is not in the way of the next one."""
    try:
        found = scene(live, before)
    except (Exception, SystemExit) as error:
        say(traceback.format_exc())
        found = {"failed": f"{type(error).__name__}: {error}"}
    try:
        drain(live)
    except (AssertionError, TickstreamError, KafkaException) as error:
        found["not_drained"] = str(error)
    return found


def _tell(name: str, found: Found) -> None:
    for each, measured in flat({name: found}):
        say(f"{each}:\n{table(measured['latency'])}")
    rest = {name: value for name, value in found.items() if name not in {"latency", "tried", "series"}}
    say(json.dumps(rest, indent=1))


def main() -> None:
    """Prints tables; writes JSON and a picture to ``.tickstream/bench``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="some minutes, compared with the kept figures")
    parser.add_argument("--only", default="", help="scenes whose name holds this")
    parser.add_argument("--keep", action="store_true", help="keep the figures to compare later ones with")
    asked = parser.parse_args()
    every = QUICK if asked.quick else SCENES
    chosen = {name: scene for name, scene in every.items() if asked.only in name}
    if not chosen:
        raise SystemExit(f"no scene has {asked.only!r} in its name: {', '.join(every)}")
    figures = run(chosen, warm_up=not asked.quick)
    path = write_json(figures, "quick" if asked.quick else "bench")
    draw(figures, path.with_suffix(".png"))
    say(f"written to {path} and {path.with_suffix('.png')}")
    problems = wrong(figures)
    if asked.keep and problems:
        raise SystemExit("not kept:\n" + "\n".join(f"  {problem}" for problem in problems))
    if asked.keep:
        KEPT.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    elif asked.quick and KEPT.is_file():
        say(compared(json.loads(KEPT.read_text(encoding="utf-8")), figures))
    elif asked.quick:
        say("nothing to compare with yet: --keep keeps these figures")
    if len(set(figures["counts"].values())) > 1:
        raise SystemExit(f"trades are lost, or there twice: {figures['counts']}")


if __name__ == "__main__":
    main()
