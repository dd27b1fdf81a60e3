"""Wires the producer: settings -> source -> stamp -> validation -> publisher, until it ends or is told to
stop."""

import os
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial

import structlog

from producer.clock import Clock, SystemClock
from producer.conditions import Stamp
from producer.heartbeats import Heartbeats
from producer.metrics import ProducerMetrics
from producer.metrics_server import MetricsServer
from producer.progress import ReachedRate
from producer.publisher import Publisher
from producer.recorder import Recorder
from producer.registry import Making, check_sources, make_source, stream_symbols
from producer.runtime import Runtime
from producer.settings import ProducerSettings
from producer.sources import Batch, Source
from producer.startup import StopRequestedError, find_destination, patiently
from producer.streams.desk import StreamDesk
from producer.streams.orders import StreamOrders
from producer.streams.state import StateReport
from producer.validation import Validator
from schemas.conditions import ConditionRules
from schemas.errors import ConfigurationError, TickstreamError
from schemas.logs import configure_logging
from schemas.settings import load_settings
from schemas.stopping import set_on_signals
from schemas.symbol_classes import SymbolClasses
from schemas.tracing import open_tracing

log = structlog.get_logger()

DONE, FAILED, MISCONFIGURED = os.EX_OK, 1, os.EX_CONFIG
Gate = Callable[[Batch], Batch]


def main() -> int:
    """Runs the producer as the environment says; returns the exit code of the process."""
    try:
        settings = load_settings(ProducerSettings)
        check_sources(settings.source_names)
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return MISCONFIGURED
    configure_logging(settings, "producer")
    stop = threading.Event()
    set_on_signals(stop)
    try:
        with ExitStack() as opened:
            tracing = open_tracing(settings, "producer", root_ratio=1.0)  # the publisher picks the trades
            runtime = Runtime(SystemClock(stop), ProducerMetrics(), stop, tracing)
            if settings.record:
                recorder = opened.enter_context(closing(Recorder(settings, runtime.metrics)))
                runtime = replace(runtime, record=recorder.add)
            return run(settings, runtime)
    except StopRequestedError:
        return DONE
    except ConfigurationError as error:
        log.error("producer_misconfigured", error=str(error))
        return MISCONFIGURED
    except TickstreamError as error:
        log.error("producer_failed", error=str(error))
        return FAILED


def run(settings: ProducerSettings, runtime: Runtime) -> int:
    """Publishes until the source ends or the part is asked to stop; returns the exit code: 0 when every event
    has been acknowledged. Raises TickstreamError where it cannot go on."""
    server = MetricsServer(runtime.metrics, settings.producer_metrics_host, settings.producer_metrics_port)
    try:
        destination = find_destination(settings, runtime)
        source = make_source(settings.source_names, Making(settings, destination, runtime))
        publisher = Publisher(settings, destination, runtime, live=source.live)
        log.info("producer_started", source=source.name, topic_prefix=settings.topic_prefix)
        try:
            gate = gate_for(settings, source, runtime)
            with ExitStack() as opened:
                if source.live:
                    orders = opened.enter_context(closing(StreamOrders(settings)))
                    desk = desk_for(settings, source, orders, runtime)
                    server.state = StateReport(settings, source, desk, runtime).json
                    gate = partial(desk.pass_on, gate=gate)
                publish_all(source, gate, publisher, runtime)
        finally:
            unsent = publisher.close()
            report = log.error if unsent or publisher.failed else log.info
            report("producer_stopped", **publisher.acknowledged, unsent=unsent, failed=publisher.failed)
        return FAILED if unsent or publisher.failed else DONE
    finally:
        if runtime.tracing is not None:
            runtime.tracing.close()
        server.close()


def desk_for(
    settings: ProducerSettings, source: Source, orders: StreamOrders, runtime: Runtime
) -> StreamDesk:
    """The desk, which has obeyed what was ordered before; waits while Kafka does not answer."""
    desk = StreamDesk(source, orders, stream_symbols(settings, runtime.clock.now_us()), runtime)
    patiently(desk.open, runtime)
    return desk


def validator_for(settings: ProducerSettings, source: Source, clock: Clock) -> Validator:
    """Live events must be recent and of the symbols asked for; a recording has the symbols that it has, and
    is of any time where it is not played as if it were now."""
    if source.live:
        symbols = None if "demo" in settings.source_names else settings.symbols
        return Validator(clock, symbols, settings.max_event_age_seconds * 1_000_000)
    return Validator(clock, None, None)


def gate_for(settings: ProducerSettings, source: Source, runtime: Runtime) -> Gate:
    """What a batch goes through before it is published: what its trades update, then validation."""
    validator = validator_for(settings, source, runtime.clock)
    if settings.source_names == ("simulator",):
        return validator.check  # its trades have no conditions, and calendars take a second to make
    stamp = Stamp(ConditionRules.load(), SymbolClasses(settings), runtime.metrics)
    return lambda batch: validator.check(stamp.apply(batch))


def publish_all(source: Source, gate: Gate, publisher: Publisher, runtime: Runtime) -> None:
    """Publishes batch after batch, each followed by the heartbeat that is due: no event is behind a heartbeat
    that is younger than it, unless it came late from its source."""
    heartbeats = Heartbeats(source.heartbeat_us)
    rate = ReachedRate(runtime.clock, runtime.metrics)
    for batch in source.batches():
        publisher.publish(gate(batch))
        if batch.closing:
            publisher.settle()
        heartbeat_ms = heartbeats.due(batch.clock_us, closing=batch.closing)
        if heartbeat_ms is not None and not runtime.stop.is_set():
            publisher.heartbeat(heartbeat_ms)
        publisher.poll()
        rate.update(publisher.acknowledged["trade"])
        if runtime.stop.is_set():
            return
    publisher.settle()
