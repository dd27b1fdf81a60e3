"""What every step of a running producer is given."""

import threading
from dataclasses import dataclass

from producer.clock import Clock
from producer.metrics import ProducerMetrics
from schemas.tracing import Tracing


@dataclass(frozen=True, slots=True)
class Runtime:
    """``stop`` is set when the part is asked to stop: every wait then ends. ``tracing``: None where it is
    off."""

    clock: Clock
    metrics: ProducerMetrics
    stop: threading.Event
    tracing: Tracing | None = None
