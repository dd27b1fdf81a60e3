"""``make bench-clients``: many WebSocket clients on one API process, and how long trades take to reach them.

The market sets the pace (open loop): run the system at the rate that is to be measured, such as
``TRADES_PER_SECOND=1000 SYMBOLS=S000,..,S499 make run``. Each client subscribes to some symbols, chosen at
random with a fixed seed, so every trade goes to clients x symbols of each / all symbols of them. One trade in
SAMPLED is timed, from the event time of its trade to its arrival in this process, whose clock is the same.
"""

import argparse
import asyncio
import gc
import json
import os
import random
import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import uvloop

from tests.benchmarks.reads import get_json
from tests.benchmarks.report import histogram, load, percentiles, record, say, table, write
from tests.benchmarks.wire import HttpConnection, SocketClient

TARGET_MS = {"p50_ms": 35, "p99_ms": 100}
SAMPLED = 32
AT_ONCE = 50
"""Handshakes under way at the same time."""
WARM_SECONDS = 3.0
TRADE = b'{"type":"trade"'
GAP = b'{"type":"gap"'
EVENT_TIME = b'"event_time":"'


@dataclass(frozen=True, slots=True)
class Plan:
    """How many clients, with how many symbols each, for how long."""

    url: str
    key: str
    clients: int
    symbols: int
    seconds: float
    batch: bool


class Tally:
    """What all clients got."""

    def __init__(self) -> None:
        self.counting = False
        self.messages = 0
        self.trades = 0
        self.gaps = 0
        self.delays = histogram()
        self.acks = 0

    def take(self, text: bytes) -> None:
        """One frame: an event, an answer, or a batch of them."""
        if text.startswith(b'{"type":"batch"'):
            for message in json.loads(text)["messages"]:
                self._count(json.dumps(message, separators=(",", ":")).encode())
        else:
            self._count(text)

    def _count(self, text: bytes) -> None:
        if text.startswith(b'{"type":"ack"'):
            self.acks += 1
        if not self.counting:
            return
        self.messages += 1
        self.gaps += text.startswith(GAP)
        if text.startswith(TRADE):
            self.trades += 1
            if self.trades % SAMPLED == 0:
                now = time.time()
                at = text.index(EVENT_TIME) + len(EVENT_TIME)
                moment = datetime.fromisoformat(text[at : text.index(b'"', at)].decode())
                record(self.delays, (now - moment.timestamp()) * 1e6)


async def connect(plan: Plan, symbols: list[str], tally: Tally) -> list[SocketClient]:
    """All clients, subscribed."""
    chance = random.Random(1)
    address = urlsplit(plan.url)
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(wanted: list[str]) -> SocketClient:
        request = {"type": "subscribe", "channels": ["trades"], "symbols": wanted, "batch": plan.batch}
        first = json.dumps(request).encode()
        async with slots:
            _, client = await asyncio.get_running_loop().create_connection(
                lambda: SocketClient(address.netloc, "/ws", first, tally.take, plan.key),
                address.hostname,
                address.port,
            )
        return client

    count = min(plan.symbols, len(symbols))
    clients = await asyncio.gather(*(one(chance.sample(symbols, count)) for _ in range(plan.clients)))
    deadline = time.monotonic() + 60
    while tally.acks < plan.clients:
        refused = [client.ended.result() for client in clients if client.ended.done()]
        if refused or time.monotonic() > deadline:
            raise SystemExit(
                f"{tally.acks} of {plan.clients} clients could subscribe: {Counter(refused)};"
                " see WS_MAX_CLIENTS"
            )
        await asyncio.sleep(0.1)
    return clients


async def bench(plan: Plan) -> dict[str, Any]:
    """The result, as it is written."""
    control = HttpConnection(plan.url, plan.key)
    summary = await get_json(control, "/api/v1/market-summary")
    symbols = [row["symbol"] for row in summary["symbols"] if not row["stale"]]
    if not symbols:
        raise SystemExit("no symbol trades: start the system, `make run`, and try again in a minute")
    tally = Tally()
    clients = await connect(plan, symbols, tally)
    # All of it stays until the end. Looking through it for garbage would be a pause of 0.15 s, of ours.
    gc.collect()
    gc.freeze()
    await asyncio.sleep(WARM_SECONDS)
    busy, cpu = load(), time.process_time()
    before = await get_json(control, "/api/v1/stats/streaming")
    tally.counting, started = True, time.perf_counter()
    await asyncio.sleep(plan.seconds)
    tally.counting, seconds = False, time.perf_counter() - started
    cpu = time.process_time() - cpu
    after = await get_json(control, "/api/v1/stats/streaming")
    latency = await get_json(control, "/api/v1/stats/latency")
    lost = Counter(client.ended.result() for client in clients if client.ended.done())
    for client in clients:
        client.close()
    control.close()
    return {
        "clients": plan.clients,
        "symbols_of_each": min(plan.symbols, len(symbols)),
        "symbols": len(symbols),
        "batch": plan.batch,
        "seconds": seconds,
        "trades_per_second": after["feed"]["events_per_second"].get("trades", 0.0),
        "messages_per_second": tally.messages / seconds,
        "machine": busy,
        "cpu_of_the_bench": cpu / seconds,
        "trade_to_client": percentiles(tally.delays),
        "trade_to_api": latency["trade_to_api"],
        "targets": TARGET_MS,
        "skipped": after["skipped"] - before["skipped"],
        "gaps": tally.gaps,
        "lost": dict(lost),
    }


def main() -> None:
    """Prints a table; writes ``.tickstream/bench/clients.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default=os.environ.get("API_URL", "http://127.0.0.1:8000"))
    parser.add_argument("--key", default=os.environ.get("API_KEY", ""), help="API key, where one is needed")
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--symbols", type=int, default=10, help="symbols of each client")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--batch", action="store_true", help="let the server put messages together")
    asked = parser.parse_args()
    plan = Plan(asked.url, asked.key, asked.clients, asked.symbols, asked.seconds, asked.batch)
    found = uvloop.run(bench(plan))
    say(
        f"{found['clients']} clients with {found['symbols_of_each']} of {found['symbols']} symbols each,"
        f" {found['trades_per_second']:g} trades/s, {found['messages_per_second']:.0f} messages/s;"
        f" load {found['machine']['load_average'][0]} on {found['machine']['cores']} cores,"
        f" {100 * found['cpu_of_the_bench']:.0f} % of one for these clients"
    )
    say(table({"trade to client": found["trade_to_client"]}))
    arrival = found["trade_to_api"]
    if arrival is not None:
        say(f"of this, to the API: p50 {arrival['p50_ms']:.1f} ms, p99 {arrival['p99_ms']:.1f} ms")
    for name, most in TARGET_MS.items():
        value = found["trade_to_client"][name]
        say(f"  {'met   ' if value <= most else 'MISSED'} {name[:-3]}: {value:.1f} ms, target {most} ms")
    say(f"skipped: {found['skipped']}, gap messages: {found['gaps']}, lost: {found['lost'] or 'none'}")
    write("clients", found)


if __name__ == "__main__":
    main()
