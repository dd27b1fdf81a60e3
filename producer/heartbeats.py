"""When to write a heartbeat: the stream's clock, which is in the log and nowhere else."""


class Heartbeats:
    """Follows the event time of a source; at most one heartbeat for each ``interval_us`` of it."""

    def __init__(self, interval_us: int) -> None:
        self._interval_us = interval_us
        self._last_us: int | None = None

    def due(self, clock_us: int, *, closing: bool = False) -> int | None:
        """The timestamp (ms) of the heartbeat that is due when the source has come to ``clock_us``, or None.

        It never goes back. 0: the source has seen no event yet. ``closing``: the last one, due in any case.
        """
        if clock_us <= 0:
            return None
        if self._last_us is not None and not closing and clock_us - self._last_us < self._interval_us:
            return None
        self._last_us = clock_us if self._last_us is None else max(clock_us, self._last_us)
        return self._last_us // 1000
