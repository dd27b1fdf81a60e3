"""What a bench does with the running system, scene by scene; each returns figures, as JSON has them."""

import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import uvloop
from confluent_kafka import Consumer

from schemas.topics import Topics
from tests.benchmarks import clients as clients_bench
from tests.benchmarks import reads as reads_bench
from tests.benchmarks.market import Market, names, records_per_s, trading
from tests.benchmarks.probes import Probes
from tests.benchmarks.report import say
from tests.benchmarks.usage import memory_mb, resident_mb, total, usage
from tests.support.faults import Target, killed
from tests.support.faults_finish import drain, lag, topic_settings
from tests.support.faults_watch import CURRENT_S
from tests.support.reading import consumer_of, eventually
from tests.support.servers import LiveSystem

Figures = dict[str, Any]

JOBS = ("bars", "store")
LAG_EVERY_S = 2.0
CHECKPOINT_S = 5.0
"""The offsets that lag is judged by are those of the last checkpoint: so much of the input is in it."""
CAUGHT_UP_S = 2 * CHECKPOINT_S
"""Jobs are this far behind at most, by their checkpoints, when they have caught up."""
BACK_SECONDS = 600
MADE = 0.98
"""Of what was asked for: less, and the market itself could not be made in time."""
CALM_S = 30.0


class Lag:
    """Records that the jobs have not covered with a checkpoint yet."""

    def __init__(self, topics: Topics, consumers: dict[str, Consumer]) -> None:
        self._topics = topics
        self._consumers = consumers

    def now(self) -> dict[str, int]:
        """By job."""
        return {job: lag(consumer, self._topics) for job, consumer in self._consumers.items()}

    def over(self, seconds: float) -> dict[str, list[int]]:
        """By job, looked at every other second for so long."""
        series: dict[str, list[int]] = {job: [] for job in self._consumers}
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for job, records in self.now().items():
                series[job].append(records)
            time.sleep(LAG_EVERY_S)
        return series


@contextmanager
def lag_of(live: LiveSystem) -> Iterator[Lag]:
    """Of both jobs."""
    settings = topic_settings(live)
    topics = Topics(settings.topic_prefix)
    with ExitStack() as stack:
        consumers = {job: stack.enter_context(consumer_of(settings, topics.job_name(job))) for job in JOBS}
        yield Lag(topics, consumers)


def keeps_up(series: Sequence[int], records_a_second: float) -> bool:
    """Whether lag does not grow: its least value in the last third, right after a checkpoint, is no more than
    a second of the input above that in the first third, and never more than some checkpoints' worth."""
    third = max(1, len(series) // 3)
    first, last = min(series[:third]), min(series[-third:])
    return last <= first + records_a_second and last <= CAUGHT_UP_S * records_a_second


def steady(
    live: LiveSystem, probes: Probes, market: Market, rate: float, *, warm: float, seconds: float
) -> Figures:
    """Latencies, cost and lag at a rate, after the system has warmed to it."""
    time.sleep(max(warm, probes.until_whole_minute()))
    probes.begin()
    before, trades, missed = usage(live, market), market.acknowledged(), market.missed()
    began = time.monotonic()
    with lag_of(live) as watcher:
        lags = watcher.over(seconds)
        passed = time.monotonic() - began
        after = usage(live, market)
        made = market.acknowledged() - trades
        probes.finish()
    cpu = after.since(before)
    # Afterwards: to look at the memory of a process stops it, of a JVM for a second.
    memory = memory_mb(live, market)
    return {
        "asked_per_s": rate,
        "trades_per_s": round(made / passed, 1),
        "missed": market.missed() - missed,
        **probes.found(),
        "cpu_percent": cpu,
        "cpu_percent_total": total(cpu),
        "cpu_us_per_trade": {part: round(percent * passed * 1e4 / made, 2) for part, percent in cpu.items()},
        "memory_mb": memory,
        "memory_mb_total": total(memory),
        "lag": {job: {"first": series[0], "last": series[-1], "least": min(series), "most": max(series)}
                for job, series in lags.items()},
        "keeps_up": made / passed >= MADE * rate
        and all(keeps_up(series, records_per_s(rate)) for series in lags.values()),
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


def sustained(
    live: LiveSystem, probes: Probes, symbols: int, rates: Sequence[float], *, seconds: float, held: float
) -> Figures:
    """The highest of some ascending rates that the system keeps up with for ``held`` seconds: the highest one
    that it keeps up with for ``seconds``, or the next lower one that it holds."""
    tried: dict[str, Figures] = {}
    good: list[float] = []

    def keeps(rate: float, warm: float, seconds: float) -> bool:
        name = f"{rate:,.0f}/s for {seconds:g} s"
        try:
            tried[name] = found = at_rate(live, probes, symbols, rate, warm=warm, seconds=seconds)
            drain(live)
        except AssertionError as error:
            tried[name] = tried.get(name, {}) | {"failed": str(error)}
            return False
        say(f"  {name}: {'kept up' if found['keeps_up'] else 'did not keep up'}, lag {found['lag']}")
        return bool(found["keeps_up"])

    for rate in rates:
        if not keeps(rate, seconds / 3, seconds):
            break
        good.append(rate)
    best = next((rate for rate in reversed(good) if keeps(rate, CALM_S, held)), 0.0)
    return {"sustained": best, "tried": tried}


def reads(live: LiveSystem, symbols: int, rate: float, *, asked_per_s: float, warm: float) -> Figures:
    """What ``make bench-reads`` measures, at a rate of trades."""
    plan = reads_bench.Plan(live.settings.api_url, "", asked_per_s, seconds=30.0)
    with trading(live, names(symbols), rate):
        time.sleep(warm)
        found = uvloop.run(reads_bench.bench(plan))
    return {
        "asked_per_s": rate,
        "latency": found["answers"],
        "requests_per_s": found["answered_per_second"],
        "hit_ratio": found["hit_ratio"],
        "problems": found["problems"],
    }


def most_reads(
    live: LiveSystem, symbols: int, rate: float, asked_per_s: Sequence[float], warm: float
) -> Figures:
    """The most of some ascending numbers of requests a second whose answers stay within their times."""
    tried: dict[str, Figures] = {}
    best = 0.0
    with trading(live, names(symbols), rate):
        time.sleep(warm)
        for requests in asked_per_s:
            plan = reads_bench.Plan(live.settings.api_url, "", requests, seconds=15.0)
            found = uvloop.run(reads_bench.bench(plan))
            tried[f"{requests:g} requests/s"] = {"latency": found["answers"], "problems": found["problems"]}
            if reads_bench.missed(found):
                break
            best = requests
    return {"asked_per_s": rate, "requests_per_s": best, "tried": tried}


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
    """More than can be done for a while, then a tenth of it: how lag, memory and the time by which bars are
    behind go meanwhile, and when all is made up for."""
    series: list[Figures] = []
    with lag_of(live) as watcher:

        def look(market: Market, began: float) -> Figures:
            series.append(
                {
                    "at_s": round(time.monotonic() - began, 1),
                    "lag": watcher.now(),
                    "bars_behind_s": round(probes.behind_s(), 1),
                    "resident_mb": resident_mb(live, market),
                }
            )
            return series[-1]

        with trading(live, names(symbols), rate) as market:
            probes.begin()
            began, trades = time.monotonic(), market.acknowledged()
            while time.monotonic() < began + seconds:
                look(market, began)
                time.sleep(LAG_EVERY_S)
            passed = time.monotonic() - began
            made, missed = market.acknowledged() - trades, market.missed()
        worst = series[-1]
        with trading(live, names(symbols), rate / 10) as market:
            relieved = time.monotonic()
            most = records_per_s(rate / 10) * CAUGHT_UP_S
            eventually(
                lambda: all(records < most for records in look(market, began)["lag"].values()),
                BACK_SECONDS,
                "the system has caught up",
            )
            caught_up_s = time.monotonic() - relieved
        probes.finish()
    return {
        "asked_per_s": rate,
        "trades_per_s": round(made / passed, 1),
        "missed": missed,
        "at_its_end": worst,
        "most_bars_behind_s": max(each["bars_behind_s"] for each in series),
        "caught_up_after_s": round(caught_up_s, 1),
        "resident_mb": {"first": series[0]["resident_mb"], "last": series[-1]["resident_mb"],
                        "most": max(each["resident_mb"] for each in series)},
        **probes.found(),
        "series": series,
    }  # fmt: skip


def recovery(live: LiveSystem, probes: Probes, symbols: int, rate: float, kills: int) -> Figures:
    """kill -9 of the TaskManager under load, some times: until the bars of all symbols are current again, and
    until storage is."""
    bars: list[float] = []
    stored: list[float] = []
    with trading(live, names(symbols), rate), lag_of(live) as watcher:
        probes.begin()
        time.sleep(max(CALM_S, probes.until_whole_minute()))
        for _ in range(kills):
            eventually(lambda: probes.behind_s() < CURRENT_S, BACK_SECONDS, "the bars are current")
            time.sleep(CALM_S)
            Target(live, {}).process("taskmanager").kill()
            killed_at = time.monotonic()
            eventually(lambda: probes.behind_s() > CURRENT_S, 60, "the bars stand still")
            took = _current_after(probes, watcher, records_per_s(rate), killed_at)
            bars.append(round(took["bars"], 1))
            stored.append(round(took["store"], 1))
    return {
        "asked_per_s": rate,
        "bars_current_after_s": statistics.median(bars),
        "storage_current_after_s": statistics.median(stored),
        "each": {"bars": bars, "store": stored},
    }


def _current_after(probes: Probes, watcher: Lag, records_a_second: float, since: float) -> dict[str, float]:
    """By job, how long after ``since`` (s of the monotonic clock) it is current again."""
    took: dict[str, float] = {}

    def is_current() -> bool:
        after = time.monotonic() - since
        if probes.behind_s() < CURRENT_S:
            took.setdefault("bars", after)
        if watcher.now()["store"] >= records_a_second * CAUGHT_UP_S:
            took.pop("store", None)  # what had come before it stood still was little
        else:
            took.setdefault("store", after)
        return len(took) == len(JOBS) and after > CAUGHT_UP_S

    eventually(is_current, BACK_SECONDS, "bars and storage are current again")
    return took


def catch_up(live: LiveSystem, symbols: int, rate: float, away_s: float) -> Figures:
    """The TaskManager is away while the market goes on: how fast the jobs make up for it."""
    with trading(live, names(symbols), rate), lag_of(live) as watcher:
        time.sleep(CALM_S)
        with killed(Target(live, {}), "taskmanager"):
            time.sleep(away_s)
        began = time.monotonic()
        behind = watcher.now()
        took: dict[str, float] = {}
        coming = records_per_s(rate)

        def caught_up() -> bool:
            for job, records in watcher.now().items():
                if records < coming * CAUGHT_UP_S:
                    took.setdefault(job, time.monotonic() - began)
            return len(took) == len(behind)

        eventually(caught_up, 3 * away_s + BACK_SECONDS, "the jobs have caught up")
    return {
        "asked_per_s": rate,
        "away_s": away_s,
        "caught_up_after_s": {job: round(seconds, 1) for job, seconds in took.items()},
        # Trades and quotes; those that came meanwhile, too.
        "records_per_s": {
            job: round((behind[job] - coming * CAUGHT_UP_S) / took[job] + coming) for job in took
        },
    }
