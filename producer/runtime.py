"""What every step of a running producer is given."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from producer.clock import Clock
from producer.metrics import ProducerMetrics
from producer.providers.contract import Frame
from producer.streams.stopped import StoppedStreams
from schemas.tracing import Tracing

Record = Callable[[str, Frame], None]


@dataclass(frozen=True, slots=True)
class Runtime:
    """``stop`` is set when the part is asked to stop: every wait then ends. ``tracing``: None where it is
    off. ``stopped``: symbols that somebody has stopped. ``record``: takes each frame of a provider, with its
    name, as it came; None where nothing is recorded."""

    clock: Clock
    metrics: ProducerMetrics
    stop: threading.Event
    tracing: Tracing | None = None
    stopped: StoppedStreams = field(default_factory=StoppedStreams)
    record: Record | None = None
