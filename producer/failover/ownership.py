"""Whose trades count at which time of the market: at every moment those of one source."""

from bisect import bisect_right

MOST_PERIODS = 256
"""That are remembered of a symbol. Changes are seconds apart at least, so this is a quarter of an hour at the
very worst; what is dated before the oldest one counts for nobody."""

BEGINNING = -(2**63)


class Ownership:
    """The sources of one symbol by event time. What has been decided about a time is never changed: a change
    of source can only be made for the time behind the last one."""

    def __init__(self, source: str) -> None:
        self._starts = [BEGINNING]
        self._sources = [source]

    @property
    def source(self) -> str:
        """The source of the newest period."""
        return self._sources[-1]

    @property
    def since(self) -> int:
        """When the newest period began."""
        return self._starts[-1]

    def hand_over(self, source: str, at: int) -> None:
        """From ``at`` on, events of ``source`` count; ``at`` is behind the start of the newest period."""
        if at <= self._starts[-1]:
            raise ValueError(f"a period from {at} on would change one that began at {self._starts[-1]}")
        self._starts.append(at)
        self._sources.append(source)
        if len(self._starts) > MOST_PERIODS:
            del self._starts[0], self._sources[0]

    def owner(self, event_time: int) -> str | None:
        """The source whose events of that time count; None for a time that is no longer remembered."""
        if event_time >= self._starts[-1]:
            return self._sources[-1]
        place = bisect_right(self._starts, event_time) - 1
        return self._sources[place] if place >= 0 else None
