"""What an earlier run has left, read from the log itself: until when it observed the market, and what it was
missing then."""

from collections.abc import Sequence
from typing import NamedTuple

from producer.failover.holes import TOLD_EVERY_US
from producer.failover.last_heard import last_heard_us
from producer.told_gaps import told_gaps
from schemas.events import Gap
from schemas.settings import KafkaSettings

LOOK_BACK_US = 3 * TOLD_EVERY_US
"""A hole that is open is told again every TOLD_EVERY_US: one that still was open had been told within this
time."""


class Before(NamedTuple):
    """``observed_until`` (us) is None where nothing was, as far as Kafka remembers. ``open_gaps``: those that
    still grew then. Stops are not among them: they go on by themselves."""

    observed_until: int | None = None
    open_gaps: Sequence[Gap] = ()


def find_before(settings: KafkaSettings) -> Before:
    """Raises UnavailableError."""
    heard_us = last_heard_us(settings)
    if heard_us is None:
        return Before()
    told = told_gaps(settings, heard_us - LOOK_BACK_US)
    return Before(heard_us, [gap for gap in told if not gap.closed and gap.reason != "stopped"])
