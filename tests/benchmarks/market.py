"""The market of a bench: a producer with a rate that can be changed while the system runs."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import psutil

from docker.local.settings import PROJECT
from tests.support.reading import eventually
from tests.support.servers import LiveSystem

ACKNOWLEDGED = re.compile(r'^producer_events_acknowledged_total\{kind="trade"\} (\S+)$', re.MULTILINE)
MISSED = re.compile(r"^producer_simulator_missed_trades_total (\S+)$", re.MULTILINE)
LOG = "bench-producer"
"""Where each producer says at its end what Kafka has acknowledged."""
START_SECONDS = 30
STOP_SECONDS = 120


MOST_QUOTES_PER_S = 1000


def quotes_per_s(rate: float) -> float:
    """Half as many as trades, as far as that goes."""
    return min(rate / 2, MOST_QUOTES_PER_S)


def records_per_s(rate: float) -> float:
    """Trades and quotes together, which is what the jobs read."""
    return rate + quotes_per_s(rate)


def names(count: int) -> tuple[str, ...]:
    """So many symbols."""
    return tuple(f"B{number:04d}" for number in range(count))


class Market:
    """A running producer."""

    def __init__(self, process: "subprocess.Popen[bytes]", metrics_url: str) -> None:
        self._process = process
        self._metrics_url = metrics_url

    @property
    def process(self) -> psutil.Process:
        return psutil.Process(self._process.pid)

    def acknowledged(self) -> int:
        """Trades that Kafka has acknowledged, of this producer."""
        return int(self._read(ACKNOWLEDGED))

    def missed(self) -> int:
        """Trades that it could not make in time: the rate was more than it, or Kafka, can do."""
        return int(self._read(MISSED))

    def _read(self, pattern: re.Pattern[str]) -> float:
        text = httpx.get(self._metrics_url, timeout=5.0).text
        found = pattern.search(text)
        return float(found.group(1)) if found else 0.0


@contextmanager
def trading(live: LiveSystem, symbols: tuple[str, ...], rate: float, **changes: str) -> Iterator[Market]:
    """So many trades a second of these symbols, with quotes, and nothing unusual unless ``changes`` says so,
    until the block ends and Kafka has acknowledged all."""
    environment = {
        **live.environment,
        "PRODUCER_METRICS_PORT": str(live.settings.producer_metrics_port),
        "SYMBOLS": ",".join(symbols),
        "TRADES_PER_SECOND": f"{rate:g}",
        "QUOTES_PER_SECOND": f"{quotes_per_s(rate):g}",
        "SIMULATOR_SCENARIOS": "none",
        **changes,
    }
    with live.settings.folders.log(LOG).open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "producer"], cwd=PROJECT, env=environment, stderr=log
        )
    market = Market(process, live.settings.producer_metrics_url)
    try:
        eventually(lambda: _answers(market), START_SECONDS, "the producer makes trades")
        yield market
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(STOP_SECONDS)


def _answers(market: Market) -> bool:
    try:
        return market.acknowledged() > 0
    except httpx.HTTPError:
        time.sleep(0.2)
        return False
