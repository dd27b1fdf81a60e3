"""``make bench-reads``: how long a running system takes to answer, at a rate that does not wait for it.

Open loop: requests are due at fixed times, and each is timed from when it was due, so that a pause of the
server counts for all who would have asked meanwhile (no coordinated omission). The mix: 60 % latest quote,
25 % candles of 100 rows, 10 % trades of a minute of before, which come from Cassandra, 5 % market summary.
"""

import argparse
import asyncio
import itertools
import json
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import uvloop

from tests.benchmarks.report import histogram, load, percentiles, record, say, table, write
from tests.benchmarks.wire import HttpConnection

QUOTE, CANDLES, COLD, SUMMARY = (
    "latest quote",
    "candles, 100 rows",
    "cold: trades of before",
    "market summary",
)
MIX = (QUOTE,) * 12 + (CANDLES,) * 5 + (COLD,) * 2 + (SUMMARY,)
TARGETS_P99_MS = {QUOTE: 5, CANDLES: 20, COLD: 50, SUMMARY: 50}
CONNECTIONS = 256
"""At most so many requests are under way; further ones wait, and the wait counts: also for one another."""
MINUTE_MS = 60_000
LONGEST_S = 30.0
"""An answer that has not come by then never comes."""
WARM_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to ask, and how often."""

    url: str
    key: str
    rate: float
    seconds: float


async def get_json(connection: HttpConnection, path: str) -> Any:
    """The body of a successful answer."""
    status, body = await connection.get(path)
    if status != HTTPStatus.OK:
        raise SystemExit(f"GET {path} was answered with {status}: {body[:200].decode(errors='replace')}")
    return json.loads(body)


def requests(symbols: list[str], seed: int) -> Iterator[tuple[str, str]]:
    """Kind and path, for ever, in the proportions of the mix."""
    chance = random.Random(seed)
    while True:
        kinds = list(MIX)
        chance.shuffle(kinds)
        for kind in kinds:
            symbol = chance.choice(symbols)
            to = int(time.time() * 1e3) // MINUTE_MS * MINUTE_MS - chance.randrange(3, 13) * MINUTE_MS
            yield (
                kind,
                {
                    QUOTE: f"/api/v1/quotes/{symbol}",
                    CANDLES: f"/api/v1/candles/{symbol}?limit=100",
                    COLD: f"/api/v1/trades/{symbol}?from={to - MINUTE_MS}&to={to}&limit=100",
                    SUMMARY: "/api/v1/market-summary",
                }[kind],
            )


async def ask(plan: Plan, symbols: list[str], seconds: float) -> tuple[dict[str, Any], Counter[str], float]:
    """Asks at the rate of the plan; time by kind of request, what went wrong, and good answers a second until
    the last of them."""
    free: asyncio.LifoQueue[HttpConnection] = asyncio.LifoQueue()
    for _ in range(CONNECTIONS):
        free.put_nowait(HttpConnection(plan.url, plan.key))
    times = {kind: histogram() for kind in TARGETS_P99_MS}
    problems: Counter[str] = Counter()

    async def one(kind: str, path: str, due: float) -> None:
        connection = await free.get()
        try:
            async with asyncio.timeout(LONGEST_S):
                status, _ = await connection.get(path)
        except (OSError, EOFError, TimeoutError) as error:
            status = type(error).__name__
        finally:
            free.put_nowait(connection)
        if status == HTTPStatus.OK:
            record(times[kind], (time.perf_counter() - due) * 1e6)
        else:  # however soon it came, it is no answer
            problems[f"{kind}: {status}"] += 1
            record(times[kind], LONGEST_S * 1e6)

    started = time.perf_counter()
    count = int(plan.rate * seconds)
    async with asyncio.TaskGroup() as under_way:
        for number, (kind, path) in enumerate(itertools.islice(requests(symbols, 1), count)):
            due = started + number / plan.rate
            if (pause := due - time.perf_counter()) > 0:
                await asyncio.sleep(pause)
            under_way.create_task(one(kind, path, due))
    while not free.empty():
        free.get_nowait().close()
    answered = (count - problems.total()) / (time.perf_counter() - started)
    return {kind: percentiles(each) for kind, each in times.items()}, problems, answered


def hits(before: Any, after: Any) -> dict[str, float | None]:
    """Share of the questions between two looks that memory answered, by cache."""
    ratios: dict[str, float | None] = {}
    for name, cache in after["caches"].items():
        asked = Counter(cache["requests"])
        asked.subtract(before["caches"][name]["requests"])
        ratios[name] = asked["hit"] / asked.total() if asked.total() else None
    return ratios


async def bench(plan: Plan) -> dict[str, Any]:
    """The result, as it is written."""
    control = HttpConnection(plan.url, plan.key)
    summary = await get_json(control, "/api/v1/market-summary")
    symbols = [row["symbol"] for row in summary["symbols"] if not row["stale"]]
    if not symbols:
        raise SystemExit("no symbol trades: start the system, `make run`, and try again in a minute")
    await ask(plan, symbols, WARM_SECONDS)
    before = await get_json(control, "/api/v1/stats/cache")
    busy = load()
    rows, problems, answered = await ask(plan, symbols, plan.seconds)
    after = await get_json(control, "/api/v1/stats/cache")
    control.close()
    return {
        "rate": plan.rate,
        "seconds": plan.seconds,
        "symbols": len(symbols),
        "trades_per_second": summary["totals"]["trades_per_second"],
        "machine": busy,
        "answers": rows,
        "answered_per_second": round(answered, 1),
        "targets_p99_ms": TARGETS_P99_MS,
        "hit_ratio": hits(before, after),
        "problems": dict(problems),
    }


def missed(found: dict[str, Any]) -> list[str]:
    """The kinds of requests whose answers took longer than they may."""
    return [kind for kind, most in TARGETS_P99_MS.items() if found["answers"][kind]["p99_ms"] > most]


def main() -> None:
    """Prints a table; writes ``.tickstream/bench/reads.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default=os.environ.get("API_URL", "http://127.0.0.1:8000"))
    parser.add_argument("--key", default=os.environ.get("API_KEY", ""), help="API key, where one is needed")
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second")
    parser.add_argument("--seconds", type=float, default=30.0)
    asked = parser.parse_args()
    found = uvloop.run(bench(Plan(asked.url, asked.key, asked.rate, asked.seconds)))
    say(
        f"{found['rate']:g} requests/s for {found['seconds']:g} s, {found['symbols']} symbols,"
        f" {found['trades_per_second']:g} trades/s; load {found['machine']['load_average'][0]}"
        f" on {found['machine']['cores']} cores"
    )
    say(table(found["answers"]))
    for kind, most in TARGETS_P99_MS.items():
        p99 = found["answers"][kind]["p99_ms"]
        say(f"  {'MISSED' if kind in missed(found) else 'met   '} {kind}: p99 {p99:.2f} ms, target {most} ms")
    say(f"hit ratio: {found['hit_ratio']}")
    say(f"errors: {found['problems'] or 'none'}")
    write("reads", found)


if __name__ == "__main__":
    main()
