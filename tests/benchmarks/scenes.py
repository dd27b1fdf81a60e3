"""What a bench does with the running system, scene by scene; each returns figures, as JSON has them."""

import time
from collections.abc import Sequence
from typing import Any

import uvloop

from schemas.topics import Topics
from tests.benchmarks import clients as clients_bench
from tests.benchmarks import reads as reads_bench
from tests.benchmarks.market import Market, names, trading
from tests.benchmarks.probes import Probes
from tests.benchmarks.report import percentiles, say
from tests.benchmarks.usage import memory_mb, total, usage
from tests.support.faults import Target, killed
from tests.support.faults_finish import drain, lag, topic_settings
from tests.support.faults_watch import CURRENT_S
from tests.support.reading import consumer_of, eventually
from tests.support.servers import LiveSystem

Figures = dict[str, Any]

LAG_EVERY_S = 2.0
CHECKPOINT_S = 5.0
"""The offsets that lag is judged by are those of the last checkpoint: so much of the rate is always in it."""
BACK_SECONDS = 600


class Lag:
    """Records that the jobs have not covered with a checkpoint yet."""

    def __init__(self, live: LiveSystem) -> None:
        self._settings = topic_settings(live)
        self._topics = Topics(self._settings.topic_prefix)

    def now(self) -> dict[str, int]:
        """By job."""
        found = {}
        for job in ("bars", "store"):
            with consumer_of(self._settings, self._topics.job_name(job)) as consumer:
                found[job] = lag(consumer, self._topics)
        return found

    def over(self, seconds: float) -> dict[str, list[int]]:
        """By job, looked at every other second for so long."""
        series: dict[str, list[int]] = {"bars": [], "store": []}
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for job, records in self.now().items():
                series[job].append(records)
            time.sleep(LAG_EVERY_S)
        return series


def keeps_up(series: Sequence[int], rate: float) -> bool:
    """Whether lag does not grow: its least value in the last third, right after a checkpoint, is no more than
    a second of the rate above that in the first third, and never more than some checkpoints' worth."""
    third = max(1, len(series) // 3)
    first, last = min(series[:third]), min(series[-third:])
    return last <= first + rate and last <= 2 * CHECKPOINT_S * rate


def steady(
    live: LiveSystem, probes: Probes, market: Market, rate: float, *, warm: float, seconds: float
) -> Figures:
    """Latencies, cost and lag at a rate, after the system has warmed to it."""
    time.sleep(warm)
    probes.begin()
    before, trades, missed = usage(live, market), market.acknowledged(), market.missed()
    began = time.monotonic()
    lags = Lag(live).over(seconds)
    passed = time.monotonic() - began
    after = usage(live, market)
    made = market.acknowledged() - trades
    cpu = after.since(before)
    memory = memory_mb(live, market)
    return {
        "asked_per_s": rate,
        "trades_per_s": round(made / passed, 1),
        "missed": market.missed() - missed,
        "latency": {name: percentiles(times) for name, times in sorted(probes.times().items())},
        "not_sampled": probes.not_sampled,
        "given_up": probes.given_up,
        "cpu_percent": cpu,
        "cpu_percent_total": total(cpu),
        "cpu_us_per_trade": {part: round(percent * passed * 1e4 / made, 2) for part, percent in cpu.items()},
        "memory_mb": memory,
        "memory_mb_total": total(memory),
        "lag": {job: {"first": series[0], "last": series[-1], "least": min(series), "most": max(series)}
                for job, series in lags.items()},
        "keeps_up": all(keeps_up(series, rate * 1.5) for series in lags.values()),
    }  # fmt: skip


def at_rate(
    live: LiveSystem,
    probes: Probes,
    symbols: int,
    rate: float,
    *,
    warm: float,
    seconds: float,
    **changes: str,
) -> Figures:
    """``steady`` with a market of its own."""
    with trading(live, names(symbols), rate, **changes) as market:
        return steady(live, probes, market, rate, warm=warm, seconds=seconds)


def search(live: LiveSystem, probes: Probes, symbols: int, rates: Sequence[float], seconds: float) -> Figures:
    """The highest of some ascending rates that the system keeps up with, each held for so long."""
    tried: list[Figures] = []
    for rate in rates:
        found = at_rate(live, probes, symbols, rate, warm=seconds / 3, seconds=seconds)
        tried.append(found)
        ok = found["keeps_up"] and found["trades_per_s"] > 0.98 * rate
        say(f"  {rate:>8,.0f} trades/s: {'kept up' if ok else 'did not keep up'}, lag {found['lag']}")
        drain(live)
        if not ok:
            break
    good = [each for each in tried if each["keeps_up"] and each["trades_per_s"] > 0.98 * each["asked_per_s"]]
    return {"tried": tried, "sustained": max((each["asked_per_s"] for each in good), default=0.0)}


def reads(live: LiveSystem, symbols: int, rate: float, *, asked_per_s: float, warm: float) -> Figures:
    """What ``make bench-reads`` measures, at a rate of trades."""
    plan = reads_bench.Plan(live.settings.api_url, "", asked_per_s, seconds=30.0)
    with trading(live, names(symbols), rate):
        time.sleep(warm)
        found = uvloop.run(reads_bench.bench(plan))
    answered = sum(row["count"] for row in found["answers"].values())
    return {
        "asked_per_s": rate,
        "latency": found["answers"],
        "requests_per_s": round(answered / plan.seconds, 1),
        "hit_ratio": found["hit_ratio"],
        "problems": found["problems"],
    }


def clients(live: LiveSystem, symbols: int, rate: float, *, count: int, warm: float) -> Figures:
    """What ``make bench-clients`` measures, at a rate of trades."""
    plan = clients_bench.Plan(live.settings.api_url, "", count, symbols=10, seconds=30.0, batch=False)
    with trading(live, names(symbols), rate):
        time.sleep(warm)
        found = uvloop.run(clients_bench.bench(plan))
    return {
        "asked_per_s": rate,
        "clients": count,
        "latency": {"trade -> WebSocket client": found["trade_to_client"]},
        "messages_per_s": round(found["messages_per_second"], 1),
        "skipped": found["skipped"],
        "lost": found["lost"],
    }


def overload(live: LiveSystem, probes: Probes, symbols: int, rate: float, seconds: float) -> Figures:
    """More than can be done for a while, then a tenth of it: how lag and memory go, how far bars are behind
    meanwhile, and when all is made up for."""
    watcher = Lag(live)
    with trading(live, names(symbols), rate) as market:
        probes.begin()
        series = watcher.over(seconds)
        behind = probes.behind_s()
        memory = memory_mb(live, market)
        made = market.acknowledged()
    began = time.monotonic()
    with trading(live, names(symbols), rate / 10):
        eventually(
            lambda: all(records < rate / 10 * 3 * CHECKPOINT_S for records in watcher.now().values()),
            BACK_SECONDS,
            "the system has caught up",
        )
    return {
        "asked_per_s": rate,
        "trades_per_s": round(made / seconds, 1),
        "lag_end": {job: each[-1] for job, each in series.items()},
        "bars_behind_s": round(behind, 1),
        "caught_up_after_s": round(time.monotonic() - began, 1),
        "memory_mb_total": total(memory),
    }


def recovery(live: LiveSystem, probes: Probes, symbols: int, rate: float) -> Figures:
    """kill -9 of the TaskManager under load: until the bars of all symbols are current again, and until
    storage is."""
    watcher = Lag(live)
    with trading(live, names(symbols), rate):
        probes.begin()
        eventually(lambda: probes.behind_s() < CURRENT_S, BACK_SECONDS, "the bars are current")
        Target(live, {}).process("taskmanager").kill()
        killed_at = time.monotonic()
        eventually(lambda: probes.behind_s() > CURRENT_S, 60, "the bars stand still")
        eventually(lambda: probes.behind_s() < CURRENT_S, BACK_SECONDS, "the bars are current again")
        bars_s = time.monotonic() - killed_at
        eventually(
            lambda: watcher.now()["store"] < rate * 3 * CHECKPOINT_S, BACK_SECONDS, "storage is current"
        )
        stored_s = time.monotonic() - killed_at
    return {
        "trades_per_s": rate,
        "bars_current_after_s": round(bars_s, 1),
        "storage_current_after_s": round(stored_s, 1),
    }


def catch_up(live: LiveSystem, symbols: int, rate: float, away_s: float) -> Figures:
    """The TaskManager is away while the market goes on: how fast the jobs make up for it."""
    watcher = Lag(live)
    with trading(live, names(symbols), rate):
        time.sleep(10)
        with killed(Target(live, {}), "taskmanager"):
            time.sleep(away_s)
        began = time.monotonic()
        behind = watcher.now()
        took: dict[str, float] = {}

        def caught_up() -> bool:
            for job, records in watcher.now().items():
                if records < rate * 2 * CHECKPOINT_S:
                    took.setdefault(job, time.monotonic() - began)
            return len(took) == len(behind)

        eventually(caught_up, 3 * away_s + BACK_SECONDS, "the jobs have caught up")
    return {
        "trades_per_s": rate,
        "away_s": away_s,
        "caught_up_after_s": {job: round(seconds, 1) for job, seconds in took.items()},
        "records_per_s": {job: round((behind[job] + rate * took[job]) / took[job]) for job in took},
    }
