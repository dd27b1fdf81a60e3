"""The numbers that failover goes by, all times in microseconds."""

from dataclasses import dataclass

SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Policy:
    """``patience``: how long the source that is followed must have been unfit, and the next one fit, before
    that is followed. ``settled``: how long a better one must have been fit for the return, and ``hold``: how
    long the other one must have been followed by then. ``silence``: least time without a trade that counts as
    silence. ``stale``: how late trades may come.

    So two changes are never nearer than ``min(patience, hold)``, and none that is not forced is nearer to the
    one before it than ``hold``."""

    patience: int = 3 * SECOND_US
    settled: int = 60 * SECOND_US
    hold: int = 30 * SECOND_US
    silence: int = 30 * SECOND_US
    stale: int = 60 * SECOND_US
