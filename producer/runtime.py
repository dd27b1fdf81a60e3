"""What every step of a running producer is given."""

import threading
from dataclasses import dataclass, field

from producer.clock import Clock
from producer.metrics import ProducerMetrics
from producer.streams.stopped import StoppedStreams
from schemas.tracing import Tracing


@dataclass(frozen=True, slots=True)
class Runtime:
    """``stop`` is set when the part is asked to stop: every wait then ends. ``tracing``: None where it is
    off. ``stopped``: symbols that somebody has stopped."""

    clock: Clock
    metrics: ProducerMetrics
    stop: threading.Event
    tracing: Tracing | None = None
    stopped: StoppedStreams = field(default_factory=StoppedStreams)
