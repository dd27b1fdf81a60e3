"""``python -m producer backfill SYMBOL FROM TO --source NAME``."""

import argparse
import asyncio
import os
import random
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import structlog

from producer.backfill.backfill import Backfill, interruptible_sleep
from producer.backfill.catalogue import BARS, HISTORIES, make_history
from producer.backfill.history import Asked, History
from producer.backfill.known_gaps import unfilled_gaps
from producer.backfill.pull import Patience, Puller
from producer.backfill.settings import BackfillSettings
from producer.backfill.whole_bars import check_over, whole_bars
from producer.clock import SystemClock
from producer.conditions import Stamp
from producer.metrics import ProducerMetrics
from producer.providers.backoff import Backoff
from producer.providers.http import RestClient, gate_of
from producer.publisher import Publisher
from producer.runtime import Runtime
from producer.startup import StopRequestedError, find_destination
from producer.validation import Validator
from schemas.conditions import ConditionRules
from schemas.errors import ConfigurationError, TickstreamError, UnavailableError
from schemas.events import Gap
from schemas.logs import configure_logging
from schemas.settings import load_settings
from schemas.stopping import set_on_signals
from schemas.symbol_classes import SymbolClasses
from schemas.symbols import one_spelling

log = structlog.get_logger()

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DONE, FAILED = os.EX_OK, 1


def main(arguments: Sequence[str]) -> int:
    """Runs a backfill; returns the exit code of the process: 0 when everything asked for is there."""
    parser = _parser()
    options = parser.parse_args(arguments)
    asked = Asked(one_spelling(options.symbol), options.start, options.end)
    if not asked.start < asked.end:
        parser.error("FROM must be before TO")
    try:
        settings = load_settings(BackfillSettings)
        history = make_history(options.source, settings)
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return os.EX_CONFIG
    configure_logging(settings, "backfill")
    stop = threading.Event()
    set_on_signals(stop)
    runtime = Runtime(SystemClock(stop), ProducerMetrics(), stop)
    try:
        return asyncio.run(run(settings, runtime, history, asked))
    except StopRequestedError:
        log.info("backfill_stopped", detail="the same command goes on from here")
        return FAILED
    except TickstreamError as error:
        log.error("backfill_failed", error=str(error))
        return FAILED


async def run(settings: BackfillSettings, runtime: Runtime, history: History, asked: Asked) -> int:
    """Fills what can be filled now, records what cannot. Raises TickstreamError where it cannot go on,
    StopRequestedError where the part is asked to stop."""

    async def sleep(seconds: float) -> None:
        await interruptible_sleep(runtime, seconds)

    provider = history.adapter.name
    gate = gate_of(provider, history.limits, runtime.clock.now_us, sleep)
    classes = SymbolClasses(settings)
    stamp = Stamp(ConditionRules.load(), classes, runtime.metrics)
    validator = Validator(runtime.clock, (asked.symbol,), None)
    backoff = Backoff(settings.provider_backoff_seconds, settings.provider_backoff_cap_seconds, random.random)
    async with RestClient(provider, gate, settings) as client:
        puller = Puller(client, history, runtime.clock, Patience(settings.backfill_attempts, backoff, sleep))
        backfill = Backfill(
            settings, runtime, history, puller, lambda batch: validator.check(stamp.apply(batch))
        )
        if provider in BARS:
            await _publish_bars(settings, runtime, backfill, asked)
            return DONE
        gaps = unfilled_gaps(settings, asked.symbol, asked.start, asked.end)
        fresh = [gap for gap in gaps if backfill.within_horizon(max(gap.start, asked.start))]
        if fresh:
            await _fill(settings, runtime, backfill, asked, fresh)
        if len(fresh) < len(gaps) or (not gaps and not backfill.within_horizon(asked.start)):
            whole = whole_bars(asked, classes.calendar(asked.symbol))
            check_over(whole, runtime.clock.now_us())
            await _record(backfill, whole)
        if not gaps:
            log.info("no_gap_to_fill", symbol=asked.symbol, detail="the ledger has none there that is open")
    return DONE


async def _fill(
    settings: BackfillSettings, runtime: Runtime, backfill: Backfill, asked: Asked, gaps: Sequence[Gap]
) -> None:
    with _publishing(settings, runtime) as publisher:
        trades = await backfill.fill(asked, gaps, publisher)
    log.info("backfill_finished", gaps=len(gaps), trades=trades)


async def _publish_bars(
    settings: BackfillSettings, runtime: Runtime, backfill: Backfill, asked: Asked
) -> None:
    with _publishing(settings, runtime) as publisher:
        bars = await backfill.publish(asked, publisher)
    log.info("backfill_finished", bars=bars, interval=settings.provider_bars)


@contextmanager
def _publishing(settings: BackfillSettings, runtime: Runtime) -> Iterator[Publisher]:
    """Raises UnavailableError where something is not acknowledged in the end."""
    publisher = Publisher(settings, find_destination(settings, runtime), runtime, live=False)
    try:
        yield publisher
    finally:
        unsent = publisher.close()
    if unsent:
        raise UnavailableError(f"Kafka has not acknowledged {unsent} records: the same command goes on")


async def _record(backfill: Backfill, asked: Asked) -> None:
    log.info(
        "backfill_records",
        start=_time(asked.start),
        end=_time(asked.end),
        detail="bars of that time are not corrected any more but made again, of a recording alone: it has the"
        " whole of every bar that is concerned",
    )
    path, trades = await backfill.record(asked)
    if not trades:
        log.warning(
            "backfill_found_nothing", detail="the provider knows of no trade there: nothing to replay"
        )
        return
    log.info(
        "backfill_recorded",
        file=str(path),
        trades=trades,
        next=f"GENERATION=N make replay FILE={path}, N one higher than any before",
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m producer backfill",
        description="Pulls trades out of a provider's history: into the gaps of the last minutes, or into a"
        " recording; or its bars, where it has no trades. The same command goes on where it was stopped.",
    )
    parser.add_argument("symbol", help="such as AAPL or BTC-USD")
    parser.add_argument("start", type=moment, metavar="FROM", help="ISO 8601 or epoch ms; UTC where not said")
    parser.add_argument("end", type=moment, metavar="TO", help="the end, not part of it")
    parser.add_argument("--source", required=True, help=f"one of {', '.join(HISTORIES)}")
    return parser


def _time(us: int) -> str:
    return (EPOCH + timedelta(microseconds=us)).isoformat()


def moment(text: str) -> int:
    """A time in microseconds since 1970. Raises ValueError for what is none."""
    if text.isascii() and text.isdecimal():
        return int(text) * 1000
    parsed = datetime.fromisoformat(text)
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=UTC)
    return (parsed - EPOCH) // timedelta(microseconds=1)
